"""Make a virtual environment with pip, or say in one sentence why this interpreter cannot.

It is made aside and moved, so that a kill leaves none or a whole one; a whole one is left as it is, one that lacks pip
is made anew. Kept to what Python 3.6 understands, so that an old interpreter gets its sentence too.
Usage: python3 tools/make_venv.py FOLDER
"""

import glob
import os
import shutil
import subprocess
import sys

NEEDED = (3, 11)
PYTHON = sys.executable


def _has(module):
    return subprocess.run([PYTHON, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode == 0


def is_whole(folder):
    """Return whether the environment can install."""
    inside = os.path.join(folder, "bin", "python")
    return (
        os.path.exists(inside)
        and subprocess.run([inside, "-c", "import pip"], stderr=subprocess.DEVNULL).returncode == 0
    )


def _move(aside, folder):
    """Put the environment in its place, and its place into the scripts that name it."""
    old, new = os.path.abspath(aside).encode(), os.path.abspath(folder).encode()
    for path in [*glob.glob(os.path.join(aside, "bin", "*")), os.path.join(aside, "pyvenv.cfg")]:
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "rb") as file:
                text = file.read()
            with open(path, "wb") as file:
                file.write(text.replace(old, new))
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(aside, folder)


def main(folder):
    """Make the environment; return an error's sentence, or None."""
    if is_whole(folder):
        return None
    found, needed = (".".join(map(str, version[:2])) for version in (sys.version_info, NEEDED))
    if sys.version_info < NEEDED:
        return f"Python {needed} or newer is needed, but {PYTHON} is {found}: name another one with PYTHON="
    if not _has("venv"):
        return f"{PYTHON} has no venv module: install it (Debian, Ubuntu: python3-venv), or name another with PYTHON="
    bare = not _has("ensurepip")  # Debian ships ensurepip in a package of its own
    if bare and not _has("pip"):
        return f"{PYTHON} has neither ensurepip nor pip: install python3-venv, or name another with PYTHON="
    aside = folder + ".part"
    named = ["--prompt", os.path.basename(os.path.abspath(folder))]
    made = subprocess.run([PYTHON, "-m", "venv", "--clear", *named, *["--without-pip"] * bare, aside])
    if made.returncode == 0 and bare:
        inside = os.path.join(aside, "bin", "python")
        made = subprocess.run([PYTHON, "-m", "pip", "--python", inside, "install", "-q", "pip"])
    if made.returncode == 0:
        _move(aside, folder)
    else:
        shutil.rmtree(aside, ignore_errors=True)
        return f"{PYTHON} could not make the virtual environment {folder}; its own reason is above"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
