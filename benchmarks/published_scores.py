"""Do we reproduce published scores? `python benchmarks/published_scores.py --hub HUB [--results DIR]`.

Runs all-MiniLM-L6-v2 through `harness run benchmarks/published.yaml` and compares each score with the figure in MTEB's
public results repository (model revision 8b3219a9, mteb 1.x). Exit 1 where one is more than 0.1 points away. HUB is a
local hub with the exact data; `harness fetch` makes one.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from pathlib import Path

TOLERANCE = 0.1
PUBLISHED = {
    ("STSBenchmark", "default"): 82.03,
    ("STS12", "default"): 72.37,
    ("STS14", "default"): 75.59,
    ("STS15", "default"): 85.39,
    ("SICK-R", "default"): 77.58,
    ("STS17", "en-en"): 87.59,
    ("STS17", "es-en"): 16.31,
    ("STS17", "es-es"): 76.12,
    ("Banking77Classification", "default"): 80.04,
    ("EmotionClassification", "default"): 40.83,
    ("AmazonCounterfactualClassification", "en"): 63.64,
    ("SciFact", "default"): 64.51,
    ("PawsXPairClassification", "en"): 57.68,
    ("SIB200Classification", "eng_Latn"): 72.16,
}


def main() -> int:
    """Run, compare, print a table; return 1 where a score is off."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hub", required=True)
    parser.add_argument("--results", default="results/published")
    arguments = parser.parse_args()
    suite = Path(__file__).with_name("published.yaml")
    out = Path(arguments.results) / "report"
    command = [sys.executable, "-m", "harness.cli", "run", str(suite), "--offline", "--hub", arguments.hub]
    subprocess.run([*command, "--results", arguments.results, "--out", str(out)], check=True)
    with (out / "metrics.csv").open(encoding="utf-8") as file:
        ours = {
            (row["task"], row["subset"]): row["value"] for row in csv.DictReader(file) if row["metric"] == "main_score"
        }
    off = 0
    print(f"{'task':36} {'subset':10} {'published':>9} {'here':>7} {'apart':>6}")
    for (task, subset), published in PUBLISHED.items():
        here = float(ours[task, subset])
        apart = here - published
        off += abs(apart) > TOLERANCE
        mark = "  OFF" if abs(apart) > TOLERANCE else ""
        print(f"{task:36} {subset:10} {published:9.2f} {here:7.2f} {apart:+6.2f}{mark}")
    print(f"{len(PUBLISHED) - off} of {len(PUBLISHED)} within {TOLERANCE} points")
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
