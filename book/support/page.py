"""What every page uses: its beginning, tables that fit their columns, and where a number was measured."""

import ast
import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, Markdown, display
from pandas.io.formats.style import Styler

from ramac_lib.analysis import style
from ramac_lib.datasets import kind_of
from ramac_lib.publish.chapters import PARAMETERS, PROFILES
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.machine import get_device
from ramac_lib.system.minus import minus
from ramac_lib.system.paths import data_folder


def begin(
    given: Mapping[str, Any], *, one_thread: bool = False, own_seeds: bool = False
) -> tuple[str, str, str, list[int]]:
    """Check a chapter's parameters before anything is computed, set the look of its figures, say where it is from.

    Args:
        given: the notebook's ``globals()``.
        one_thread: let PyTorch use one thread in the profile ``quick``.
        own_seeds: the chapter chooses seeds where none are given.

    Returns:
        profile, source, device and seeds.

    Raises:
        RamacError: a parameter that no chapter has, or a value that none takes; no data beside the package.
    """
    for name in injected(given):
        if name not in PARAMETERS:
            raise unknown("parameter", name, PARAMETERS)
    for name in PARAMETERS:
        if name not in given:
            raise RamacError(f"{name} is not set: run the cell of the parameters first")
    profile, source, device = (given[name] for name in PARAMETERS[:3])
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    if kind_of(str(source)) == "file" and not Path(source).is_file():
        raise RamacError(f"source {source}: there is no such file, seen from {Path.cwd()}")
    get_device(device)
    seeds = seeds_of(given["seeds"], own_seeds)
    if not data_folder().is_dir():
        raise RamacError(f"{data_folder()} is not there: the data are in the checkout; `pip install -e .` in it")
    style.use()
    if one_thread and profile == "quick":
        torch.set_num_threads(1)  # networks this small lose more to threads than they win
    display(Markdown(f"<small>{origin()}</small>"))
    return profile, source, device, seeds


def injected(given: Mapping[str, Any]) -> list[str]:
    """Return the names that papermill's own cell, known by its first line, has assigned; none without such a cell."""
    cells = [code for code in given.get("In", ()) if code.startswith("# Parameters\n")]
    nodes = [node for code in cells for node in ast.walk(ast.parse(code))]
    return [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def seeds_of(value: Any, may_be_empty: bool = False) -> list[int]:
    """Return seeds as a list; one number is one seed.

    Raises:
        RamacError: what is no whole number from 0 on, or is given twice, or none at all.
    """
    seeds = list(value) if isinstance(value, (list, tuple, range)) else [value]
    whole = all(type(seed) is int and seed >= 0 for seed in seeds)  # True is an int, too, but no seed
    if not whole or len(set(seeds)) < len(seeds) or not (seeds or may_be_empty):
        raise RamacError(
            f"seeds is {value!r}: expected different whole numbers from 0 on; papermill takes one as -p seeds 1 and "
            "several as -y 'seeds: [0, 1]'"
        )
    return seeds


def origin(address: str | None = None) -> str:
    """Return the line that says which version made a page, and how to get the rest of the book.

    Args:
        address: of the repository (default: what the installed package names, from `pyproject.toml`).
    """
    address = repository() if address is None else address
    made = f"ramac_lib {importlib.metadata.version('ramac-lib')}" + (f", {address}" if address else "")
    clone = f"`git clone {address}`" if address else "`git clone` its repository"
    return f"{made}. All chapters, code and data: {clone}, then `pip install -e '.[book]'` in it."


def repository() -> str:
    """Return the repository's address as `pyproject.toml` names it; empty where that, or the installation, lacks it."""
    try:
        urls = importlib.metadata.metadata("ramac-lib").get_all("Project-URL", [])
    except importlib.metadata.PackageNotFoundError:
        return ""
    return next((url.partition(",")[2].strip() for url in urls if url.startswith("Repository,")), "")


def where(machine: Mapping[str, Any]) -> str:
    """Return device, torch and date of a measurement, as they stand beside its numbers."""
    device = re.sub(r"\b1 threads", "one thread", machine["device"])
    return f"{device}, torch {machine['torch']}, {machine['date']}"


def wrapped(table: pd.DataFrame, name: str, left: Sequence[str] = ()) -> Styler:
    """Return a narrow table for the page: headings and sentences break into lines, cells stand close.

    Args:
        table: numbers are shown with two decimals, negative ones with a minus sign.
        name: unique on its page; a fixed one keeps the page's bytes.
        left: the columns of text.
    """
    headings = ", ".join(f"th.col_heading.col{table.columns.get_loc(column)}" for column in left)
    styles: Any = [
        {"selector": "th, td", "props": "padding: .3rem .35rem; vertical-align: top"},
        {"selector": "thead th", "props": "white-space: normal; vertical-align: bottom"},
        {"selector": headings or "none", "props": "text-align: left"},
    ]
    styler = table.style.format(cell).set_table_styles(styles).set_uuid(name)
    return styler.set_properties(subset=list(left), **{"white-space": "normal", "text-align": "left"})


def cell(value: Any, precision: int = 2) -> Any:
    """Return what a table's cell says: a fraction with so many decimals, a negative number with a minus sign."""
    if isinstance(value, (float, np.floating)):
        return minus(f"{value:.{precision}f}")
    return minus(str(value)) if isinstance(value, (int, np.integer)) else value


def power(value: float, digits: int = 0) -> str:
    """Return a number as ``9.2·10⁻⁶``, with so many decimals before the power of ten; ``10⁻⁵`` of a bare power."""
    if not value:
        return "0"
    front, _, exponent = f"{value:.{digits}e}".partition("e")
    ten = "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return ten if front == "1" else minus(f"{front}·{ten}")


class Headed(pd.DataFrame):
    """A table on whose page the heads of the index stand at the left, as the index below them does."""

    def _repr_html_(self) -> str | None:
        html = super()._repr_html_()  # type: ignore[misc]  # the stubs lack it
        return html and html.replace("<th>", '<th style="text-align: left">', self.index.nlevels)


def headed(table: pd.DataFrame) -> Headed:
    """Return a table whose heads are one row: pandas gives the index's names a second one, empty but for them.

    The name of the last level stands at the head of its column, the others are left out.
    """
    bare = Headed(table.copy())
    bare.columns.name = table.index.names[-1]
    bare.index.names = [None] * table.index.nlevels
    return bare


def stacked(table: pd.DataFrame, name: str, title: str, strong: str = "", inline: Sequence[str] = ()) -> HTML:
    """Return a table of text that a phone can show: there a row is a block, each cell in a line under its heading.

    The title comes first, after a column without a heading, which numbers the rows; an empty cell is left out.

    Args:
        table: of text, without an index of its own.
        name: unique on its page.
        title: the column that names a row; bold on a phone.
        strong: a column that is bold everywhere.
        inline: neighbouring columns that share a line on a phone.

    Raises:
        RamacError: there is no such column.
    """
    for column in (title, *filter(None, [strong]), *inline):
        if column not in table.columns:
            raise unknown("column", column, list(table.columns))
    first = [column for column in table.columns if not column] + [title]
    table = table[first + [column for column in table.columns if column not in first]]
    styler = wrapped(table, name, list(table.columns)).hide(axis="index")
    if strong:
        styler = styler.set_properties(subset=[strong], **{"font-weight": "600"})
    here = f"#T_{name}"
    rules = [
        f"{here} thead {{ display: none; }}",
        f"{here}, {here} tbody, {here} tr, {here} td {{ display: block; width: auto; }}",
        f"{here} tr {{ padding: .5rem 0; }}",
        f"{here} td {{ padding: .05rem .4rem; }}",
        f"{here} td:empty {{ display: none; }}",
    ]
    for k, column in enumerate(table.columns):
        cell = f"{here} td.col{k}"
        if column in first:
            rules.append(f"{cell} {{ font-weight: 600;{'' if column else ' float: left;'} }}")
            continue
        if column in inline:
            rules.append(f"{cell} {{ display: inline-block; }}")
        rules.append(f'{cell}::before {{ content: "{column}: "; opacity: .75; font-weight: 400; }}')
    narrow = "\n".join(rules)
    return HTML(f"<style>\n@media (max-width: 600px) {{\n{narrow}\n}}\n</style>\n{styler.to_html()}")
