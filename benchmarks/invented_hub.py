"""Invented rows in the form of real repositories, to try every shipped suite without a network.

    python benchmarks/invented_hub.py DIR [--v2]

writes a hub with the repositories of MTEB(eng, v1), BRIGHT and LongEmbed into DIR, small and at once; `--v2` those of
MTEB(eng, v2), of which some have the same name and another content. Scores over it mean nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))


def main() -> int:
    """Write the hub; returns 2 for a command that is none."""
    from small_hub.tasks import ALL, NEWER, SHARED, write_hub

    folders = [one for one in sys.argv[1:] if one != "--v2"]
    if len(folders) != 1 or folders[0].startswith("-"):
        print(f"usage: {Path(sys.argv[0]).name} DIR [--v2]", file=sys.stderr)
        return 2
    hub = Path(folders[0])
    if hub.exists() and any(hub.iterdir()):
        print(f"{hub}: is not empty; name a new folder", file=sys.stderr)
        return 2
    table = NEWER if "--v2" in sys.argv else ALL | SHARED
    write_hub(hub, table)
    print(f"{hub}: the repositories of {len(table)} tasks; harness run SUITE --hub {hub} --offline")
    return 0


if __name__ == "__main__":
    sys.exit(main())
