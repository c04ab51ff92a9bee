"""What the statistics of a cell's rationales cost: `python benchmarks/rationale_statistics.py [TEXTS ...]`.

Invented texts of 100 words with rationales of 45, told one after the other as an encoder writes them; memory is that of
the process above its start, in a process a line. Version of the harness: whichever is on the path.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np

from harness.encoders.rationale.describe import Tally

SIZES = (20_000, 40_000, 200_000)
WORDS, OWN = 45, 100
VOCABULARY = 30_000


def tell(texts: int) -> None:
    """Count so many rationales and print what it took."""
    rng = np.random.default_rng(0)
    words = [f"word{number}" for number in range(VOCABULARY)]
    tally = Tally()
    before, started = _peak(), time.process_time()
    for _ in range(texts):
        drawn = rng.zipf(1.2, OWN + WORDS) % VOCABULARY
        text, rationale = (" ".join(words[one] for one in some) for some in (drawn[:OWN], drawn[OWN:]))
        tally.add(text, rationale, tokens=WORDS, cut=False)
    found = tally.described()
    seconds = time.process_time() - started
    sample = f", of {found['distinct_2_of']:,}" if "distinct_2_of" in found else ""
    said = f"distinct-2 {found['distinct_2']:.4f}{sample}"
    print(f"{texts:9,} texts  {_peak() - before:+8.1f} MB  {1000 * seconds / texts:.3f} ms a text  {said}", flush=True)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print a line a size."""
    if sys.argv[1:2] == ["--one"]:
        tell(int(sys.argv[2]))
        return
    for size in [int(one) for one in sys.argv[1:]] or SIZES:
        subprocess.run([sys.executable, __file__, "--one", str(size)], check=True)


if __name__ == "__main__":
    main()
