"""Chapter 5's cells, executed on made-up results."""

import json
from pathlib import Path

import IPython.display
import matplotlib.pyplot as plt
import pytest
from campaign_tables import episodes, gathered, policies
from IPython.display import Markdown

from support import page  # noqa: F401 (what it shows at a page's head is not looked at)
from support.evidence import places

BOOK = Path(__file__).parents[3] / "book"


@pytest.fixture
def chapter(monkeypatch):
    """Return the code of the chapter's cells by id, and a list that gets what they show."""
    seen = []
    for module in (IPython.display, places):
        monkeypatch.setattr(module, "display", seen.append)
    monkeypatch.chdir(BOOK)
    cells = json.loads((BOOK / "5_training.ipynb").read_text())["cells"]
    yield {cell["id"]: "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"}, seen
    plt.close("all")


@pytest.fixture(scope="session")
def _begun():
    """The names of the chapter's first two cells, which are executed once."""
    return {}


@pytest.fixture
def sentences(chapter, _begun):
    """Return a function that executes one cell on given evidence and returns the Markdown that it shows."""
    code, seen = chapter
    if not _begun:
        exec(code["e01"], _begun)
        exec(code["e02"], _begun)

    def run(cell, found):
        seen.clear()
        exec(code[cell], _begun | {"found": found})
        return [thing.data for thing in seen if isinstance(thing, Markdown)]

    return run


@pytest.fixture
def curves():
    """Evaluations of three rows, three seeds and three moments, and a report of each row."""
    tables = [
        episodes(row, [[k + s, k - s]] * 2, violations=10 * k + s, step=100 * s, purpose="training")
        for k, row in enumerate(("cql", "radac", "radac:risk=neutral"))
        for s in (1, 2, 3)
    ]
    report = [episodes(row, [[1.0]] * 2) for row in ("cql", "radac", "radac:risk=neutral")]
    yield gathered(*tables, *report, behaviour=policies(40.0, 30.0))
    plt.close("all")
