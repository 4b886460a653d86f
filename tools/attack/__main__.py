"""Attack the command line: bad inputs, kills, full disks; nothing may be lost, and nothing end in a traceback.

``make attack`` or ``python tools/attack [--inputs 1000] [--kills 300] [--minutes 20] [--seed 0]``; a sample of it is
part of the tests. Exit code 1 if anything went wrong. The same seed tries the same things.
"""

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

import bad_inputs  # noqa: E402
import kills  # noqa: E402
from world import Record, World  # noqa: E402


def main() -> int:
    """Attack; print the counts and what went wrong."""
    parser = argparse.ArgumentParser("attack", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began, record, world = time.monotonic(), Record(), World()
    end = began + 60 * given.minutes
    os.chdir(world.folder)
    try:
        kills.attack(world, record, given.kills, given.seed, lambda: time.monotonic() > (began + end) / 2)
        bad_inputs.attack(world, record, given.inputs, given.seed, lambda: time.monotonic() > end)
    finally:
        os.chdir("/")
        world.close()
    for fault, count in Counter(record.faults).most_common():
        print(f"{fault}{f' ({count} times)' if count > 1 else ''}")
    counts = ", ".join(f"{count} {kind}" for kind, count in record.tried.items())
    print(f"{counts}; {len(record.faults)} went wrong; {time.monotonic() - began:.0f} s")
    return int(bool(record.faults))


if __name__ == "__main__":
    sys.exit(main())
