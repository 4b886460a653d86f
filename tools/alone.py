"""Run a command while no other one runs under the same lock: two installers in one environment spoil it.

The kernel gives the lock back when its holder ends, however it ends. Usage: python3 tools/alone.py LOCK COMMAND …
"""

import fcntl
import subprocess
import sys


def main(lock, *command):
    """Wait for the lock, run the command, return its exit code."""
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        return subprocess.call(command)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
