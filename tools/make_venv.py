"""Make a virtual environment with pip, or say in one sentence why this interpreter cannot.

Kept to what Python 3.6 understands, so that an old interpreter gets its sentence too.
Usage: python3 tools/make_venv.py FOLDER
"""

import os
import shutil
import subprocess
import sys

NEEDED = (3, 11)
PYTHON = sys.executable


def _has(module):
    return subprocess.run([PYTHON, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode == 0


def main(folder):
    """Make the environment; return an error's sentence, or None."""
    found, needed = (".".join(map(str, version[:2])) for version in (sys.version_info, NEEDED))
    if sys.version_info < NEEDED:
        return f"Python {needed} or newer is needed, but {PYTHON} is {found}: name another one with PYTHON="
    if not _has("venv"):
        return f"{PYTHON} has no venv module: install it (Debian, Ubuntu: python3-venv), or name another with PYTHON="
    bare = not _has("ensurepip")  # Debian ships ensurepip in a package of its own
    if bare and not _has("pip"):
        return f"{PYTHON} has neither ensurepip nor pip: install python3-venv, or name another with PYTHON="
    made = subprocess.run([PYTHON, "-m", "venv", "--clear", *["--without-pip"] * bare, folder])
    if made.returncode == 0 and bare:
        inside = os.path.join(folder, "bin", "python")
        made = subprocess.run([PYTHON, "-m", "pip", "--python", inside, "install", "-q", "pip"])
    if made.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        return f"{PYTHON} could not make the virtual environment {folder}; its own reason is above"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
