"""Chapters of the book: which there are, and their execution with papermill, outside the folder `book/`.

A chapter that ran well is kept under a key of all that it depends on (its notebook, the parameters, this library, the
committed data, the installed packages), so that an unchanged chapter is not executed again.
"""

import ast
import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ramac_lib.system.errors import RamacError, killed, unknown
from ramac_lib.system.files import atomic
from ramac_lib.system.processes import end_with_parent

PARAMETERS = ("profile", "source", "device", "seeds")
PROFILES = ("quick", "laptop", "gpu", "paper")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_START_SECONDS = (60, 180)  # what a kernel has to answer, at the first try and at the second
_UNANSWERED = ("Kernel didn't respond", "Kernel died before")


@dataclass(frozen=True)
class Chapter:
    """One notebook of the book.

    Attributes:
        name: what ``--only`` calls it, e.g. ``3_risky_bandit``.
        path: the committed notebook.
        relative: its path inside the book's root.
    """

    name: str
    path: Path
    relative: Path


def chapters(root: Path) -> list[Chapter]:
    """Return the notebooks that `_toc.yml` lists, in reading order.

    Raises:
        RamacError: there is no `_toc.yml` in `root`, or it lists a page that is not there.
    """
    from sphinx_external_toc.parsing import parse_toc_yaml

    toc = root / "_toc.yml"
    if not toc.is_file():
        raise RamacError(f"{toc}: there is no table of contents here; run this in the book's repository")
    found = []
    for page in parse_toc_yaml(toc):
        relative = Path(f"{page}.ipynb")
        if (root / relative).is_file():
            found.append(Chapter(relative.stem, root / relative, relative))
        elif not (root / f"{page}.md").is_file():
            raise RamacError(f"{toc}: lists {page}, but there is neither {page}.ipynb nor {page}.md")
    return found


def first_page(root: Path) -> str:
    """Return the name of the book's first page, without an ending."""
    from sphinx_external_toc.parsing import parse_toc_yaml

    return str(parse_toc_yaml(root / "_toc.yml").root.docname)


def pages_in_order(root: Path) -> list[str]:
    """Return the names of all pages in reading order, without an ending."""
    from sphinx_external_toc.parsing import parse_toc_yaml

    return [str(page) for page in parse_toc_yaml(root / "_toc.yml")]


def choose(known: Sequence[Chapter], only: str | None) -> list[Chapter]:
    """Return the chapters to execute: all of them, or the one named.

    Raises:
        RamacError: no chapter has that name; the known ones are listed.
    """
    if only is None:
        return list(known)
    name = Path(only).stem
    chosen = [chapter for chapter in known if chapter.name == name]
    if not chosen:
        raise unknown("chapter", only, [chapter.name for chapter in known])
    return chosen


def library_hash(root: Path) -> str:
    """Return the hash of all that every chapter depends on: library, support, committed data, installed packages."""
    digest = hashlib.sha256()
    data = (path for path in (root / "data").rglob("*") if (root / "data" / "cache") not in path.parents)
    sources = (*Path(__file__).parents[1].rglob("*.py"), *(root / "book" / "support").rglob("*.py"))
    for path in sorted({*sources, *data}):
        if path.is_file():
            digest.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    packages = sorted(f"{found.name}=={found.version}" for found in importlib.metadata.distributions())
    digest.update("\n".join(packages).encode())
    return digest.hexdigest()


def chapter_key(chapter: Chapter, parameters: Mapping[str, Any], library: str) -> str:
    """Return the key under which an executed copy is kept."""
    settings = json.dumps(dict(parameters), sort_keys=True)
    return hashlib.sha256(f"{library}\0{settings}\0".encode() + chapter.path.read_bytes()).hexdigest()


def defaults(chapter: Chapter) -> dict[str, Any]:
    """Return the literals that the chapter's cell tagged `parameters` assigns.

    Raises:
        RamacError: the notebook cannot be read, has no such cell, or the cell lacks one of the parameters.
    """
    try:
        cells = json.loads(chapter.path.read_text(encoding="utf-8"))["cells"]
        tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
        body = ast.parse("".join(tagged[0]["source"])).body if tagged else []
    except (ValueError, KeyError, TypeError, SyntaxError) as error:
        raise RamacError(f"{chapter.path}: is not a notebook that can be read ({error})") from None
    values = {}
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                values[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                values[node.targets[0].id] = None
    if missing := [name for name in PARAMETERS if name not in values]:
        raise RamacError(f"{chapter.path}: its cell tagged `parameters` must assign {', '.join(missing)}")
    return values


def _run(source: Path, target: Path, parameters: dict[str, Any]) -> Any:
    """Execute a notebook into `target` and return it; a kernel that does not answer is started once more."""
    import papermill

    for seconds in _START_SECONDS:
        try:
            return papermill.execute_notebook(
                str(source), str(target), parameters, kernel_name="python3", progress_bar=False,
                cwd=str(source.parent), start_timeout=seconds,
            )  # fmt: skip
        except RuntimeError as error:  # of Jupyter, before the first cell: e.g. another kernel took one of its ports
            if not str(error).startswith(_UNANSWERED) or seconds == _START_SECONDS[-1]:
                raise
    raise AssertionError("the last try returns or raises")


def _execute(chapter: Chapter, parameters: dict[str, Any], target: Path, key: str, threads: int) -> str | None:
    """Execute one chapter, keep it in `target`; return None, or the reason why it failed. Runs in its own process."""
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    import nbformat
    from papermill.exceptions import PapermillExecutionError

    failed = target.parent / "failed" / target.name
    failed.parent.mkdir(parents=True, exist_ok=True)
    log = failed.with_suffix(".log")
    with open(log, "w") as stream:  # what the kernel itself prints, e.g. as it dies
        os.dup2(stream.fileno(), 2)
    shown = {name: value for name, value in parameters.items() if defaults(chapter)[name] != value}
    began = time.monotonic()
    try:
        notebook = _run(chapter.path, failed, parameters)
    except PapermillExecutionError as error:
        # The injected cell stands before any that can fail, so the index counts one too many and starts from 0.
        code = (line.strip() for line in error.source.splitlines())
        first = next((line for line in code if line and not line.startswith("#")), "")
        value = str(error.evalue).strip().splitlines() or [""]
        return f"cell {error.cell_index} ({first}) raised {error.ename}: {value[0]} (executed as far as {failed})"
    except KeyboardInterrupt:  # the pool would hand this process the next chapter
        os._exit(130)
    except Exception as error:  # a kernel that dies, no space left: whatever it is, it is this chapter's reason
        reason = str(error).strip().splitlines() or [""]
        return f"{type(error).__name__}: {reason[-1]} (the kernel's own messages are in {log})"
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []) and not shown:
            cell.metadata["tags"].append("remove-cell")
    notebook.metadata["ramac"] = {"key": key, "seconds": round(time.monotonic() - began, 1)}
    with atomic(target) as part:
        nbformat.write(notebook, part)
    failed.unlink()
    log.unlink()
    return None


def executed_key(path: Path) -> str | None:
    """Return the key of an executed copy, None where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["metadata"]["ramac"]["key"]
    except (OSError, ValueError, KeyError):
        return None


def execute(
    chosen: Sequence[Chapter],
    parameters: Mapping[str, Any],
    library: str,
    folder: Path,
    *,
    force: bool = False,
    jobs: int = 1,
    say: Callable[[str], None] = print,
) -> None:
    """Execute the chapters into `folder`, each in a process of its own, `jobs` side by side.

    Args:
        chosen: the chapters.
        parameters: what is injected into each chapter's cell tagged `parameters`.
        library: of `library_hash`.
        folder: where the executed copies go, one `NAME.ipynb` a chapter.
        force: execute also what has not changed.
        jobs: chapters side by side; the cores are shared evenly.
        say: told of progress, a line at a time.

    Raises:
        RamacError: a chapter failed; the chapter, its cell and the exception are named. The others were finished.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keys = {chapter: chapter_key(chapter, parameters, library) for chapter in chosen}
    todo = [chapter for chapter in chosen if force or executed_key(folder / f"{chapter.name}.ipynb") != keys[chapter]]
    for chapter in chosen:
        if chapter in todo:
            defaults(chapter)  # refuse a malformed notebook before any long execution
            (folder / f"{chapter.name}.ipynb").unlink(missing_ok=True)
        else:
            say(f"{chapter.name}: unchanged since it was executed")
    if not todo:
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    failures = []
    began = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(todo)), context, initializer=end_with_parent) as pool:
        # The later chapters run longer: started first, none of them is left to run alone at the end.
        running = {
            pool.submit(
                _execute, chapter, dict(parameters), folder / f"{chapter.name}.ipynb", keys[chapter], threads
            ): chapter
            for chapter in reversed(todo)
        }
        say(f"executing {', '.join(chapter.name for chapter in todo)}; {min(jobs, len(todo))} at a time")
        try:
            for done, future in enumerate(as_completed(running), 1):
                chapter, reason = running[future], future.result()
                state = "FAILED" if reason else "executed"
                say(f"[{done}/{len(todo)}] {chapter.name}: {state}, {time.monotonic() - began:.0f} s from the start")
                if reason:
                    failures.append(f"chapter {chapter.name} failed: {reason}")
        except BrokenProcessPool:
            left = [c.name for future, c in running.items() if not (future.done() and future.exception() is None)]
            state = f" before {', '.join(left)} was done"
            raise killed("executed chapters", "the same command goes on with what is missing", state) from None
        except BaseException:  # Ctrl-C: begin no further chapter
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failures:
        more = f" (and {len(failures) - 1} more: {'; '.join(failures[1:])})" if failures[1:] else ""
        raise RamacError(failures[0] + more)
