"""From the chapters to an open book: execute, build with Jupyter Book, check the pages, and only then publish them."""

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ramac_lib.publish.chapters import (
    PROFILES,
    Chapter,
    chapters,
    choose,
    execute,
    first_page,
    library_hash,
    pages_in_order,
)
from ramac_lib.publish.check_pages import check
from ramac_lib.publish.finish import finish
from ramac_lib.publish.pdf import print_book
from ramac_lib.publish.site import configure, read, title
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.files import writing
from ramac_lib.system.processes import set_death_signal

DEVICES = ("auto", "cpu", "cuda")
_MATHJAX = (
    "startup.js", "core.js", "input/tex.js", "input/tex/extensions", "output/chtml.js", "output/chtml/fonts",
    "a11y/assistive-mml.js",
)  # fmt: skip
ROOT = Path(__file__).parents[2]


def build(
    profile: str = "quick",
    only: str | None = None,
    source: str = "bundled",
    device: str = "auto",
    seeds: Sequence[int] | None = None,
    out: Path | str | None = None,
    *,
    root: Path | str = ROOT,
    force: bool = False,
    jobs: int | None = None,
    pdf: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Execute the chapters, build the book and check its pages.

    Pages appear in `out/html` only when everything went well: what stood there before is removed first, so that no
    page of a failed chapter can be taken for a result.

    Args:
        profile: how much is computed: quick, laptop, gpu or paper.
        only: execute one chapter alone; the others appear as last executed in this profile, or as committed.
        source: of the data: bundled, d4rl, minari or an HDF5 file's path.
        device: auto, cpu or cuda.
        seeds: of the chapters' runs (default: each chapter's own choice for the profile).
        out: the folder for all that is built (default: `_build` in `root`).
        root: where `_config.yml` and `_toc.yml` lie.
        force: execute chapters again that have not changed.
        jobs: chapters executed side by side (default: two where there are two cores; one where a GPU is asked for).
        pdf: print the whole book as one PDF, too, which every page then links.
        say: told of progress, a line at a time.

    Returns:
        The path of the book's first page.

    Raises:
        RamacError: an unknown name, another build in the same folder, a chapter that failed, a warning of Sphinx, a
            page that did not pass its check.
    """
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    if device not in DEVICES:
        raise unknown("device", device, DEVICES)
    root = Path(root).resolve()
    out = Path(out).resolve() if out else root / "_build"
    known = chapters(root)
    chosen = choose(known, only)
    parameters: dict[str, Any] = {"profile": profile, "source": _absolute(source), "device": device}
    if seeds is not None:
        parameters["seeds"] = [int(seed) for seed in seeds]
    if jobs is None:
        jobs = 1 if device == "cuda" or profile in ("gpu", "paper") else min(2, os.cpu_count() or 1)

    with _alone(out):
        shutil.rmtree(out / "html", ignore_errors=True)
        executed = out / "executed" / profile
        execute(chosen, parameters, library_hash(root), executed, force=force, jobs=jobs, say=say)
        place = read(root)
        staged = _stage(root, out / "source", known, executed)
        configure(staged / "_config.yml", place)
        say("building the pages")
        html = _pages(staged, out)
        finish(html, place, f"{first_page(root)}.html", title(root))
        if pdf:
            say("printing the book")
            order = [f"{page}.html" for page in pages_in_order(root)]
            made = print_book(html, order, title(root), f"Version {place.version} of {place.date}")
            say(f"printed {made.name}, {made.stat().st_size / 1e6:.1f} MB")
        say("checking the pages")
        report = check(html, staged)
        if report.problems:
            for problem in report.problems:
                print(problem, file=sys.stderr)
            raise RamacError(f"the pages have {len(report.problems)} problems, the first one: {report.problems[0]}")
        say(report.summary)
        html.rename(out / "html")
    return out / "html" / f"{first_page(root)}.html"


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder of all that is built; another build would take its pages away."""
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock", timeout=1)
        try:
            lock.acquire()
        except Timeout:
            raise RamacError(f"{out}: another build of the book is under way there") from None
    try:
        yield
    finally:
        lock.release()


def _absolute(source: str) -> str:
    """Chapters run in their own folder: a file named from here must be found from there."""
    return str(Path(source).resolve()) if Path(source).is_file() else source


def _stage(root: Path, staged: Path, known: Sequence[Chapter], executed: Path) -> Path:
    """Lay out what Sphinx reads: the book's pages and static files, with the executed copies for notebooks."""
    shutil.rmtree(staged, ignore_errors=True)
    folders = {chapter.relative.parts[0] for chapter in known if len(chapter.relative.parts) > 1} | {"book"}
    staged.mkdir(parents=True)
    for folder in folders:
        if (root / folder).is_dir():
            hidden = shutil.ignore_patterns(".*", "__pycache__")
            shutil.copytree(root / folder, staged / folder, ignore=hidden)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(root / name, staged / name)
    for chapter in known:
        copy = executed / f"{chapter.name}.ipynb"
        (staged / chapter.relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(copy if copy.is_file() else chapter.path, staged / chapter.relative)
    _bundle_mathjax(staged / "book" / "_static" / "mathjax")
    return staged


def _bundle_mathjax(target: Path) -> None:
    """Copy those parts of MathJax that the pages load."""
    found = importlib.util.find_spec("sphinx-mathjax-offline")
    if found is None or found.origin is None:
        raise RamacError("the package sphinx-mathjax-offline is missing: install the extra `book`")
    mathjax = Path(found.origin).parent / "static" / "mathjax"
    for part in _MATHJAX:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (mathjax / part).is_dir() else shutil.copy)(mathjax / part, target / part)


def _pages(staged: Path, out: Path) -> Path:
    """Run Jupyter Book; a warning is an error. Return the folder of its HTML.

    Always afresh: Sphinx repeats no warning about a page that it need not read again.
    """
    pages = out / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    program = "from jupyter_book.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "build", str(staged), "--path-output", str(pages), "-W", "-n", "--keep-going"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=set_death_signal,
    )  # fmt: skip
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    out.joinpath("sphinx.log").write_text(text, encoding="utf-8")
    if done.returncode:
        marks = ("WARNING:", "ERROR:", "CRITICAL:", "Error:")
        told = [line for line in text.splitlines() if any(mark in line for mark in marks)]
        told = told or text.splitlines()[-5:]
        print("\n".join(told), file=sys.stderr)
        raise RamacError(f"Jupyter Book failed ({len(told)} messages in {out / 'sphinx.log'}): {told[0].strip()}")
    return pages / "_build" / "html"
