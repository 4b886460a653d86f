"""Chapter 7's cells on results that are there, or not: none, decisions, a campaign of several tasks."""

import json
import re
from pathlib import Path

import IPython.display
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler
from rate_tables import rated

from support.evidence import places
from support.ood import reports

BOOK = Path(__file__).parents[3] / "book"
ABSENT = "No stored run says how often it acted out of the data"
FEW = np.random.default_rng(0).uniform(0, 0.02, (3, 10))


@pytest.fixture(scope="module")
def code():
    cells = json.loads((BOOK / "7_ood.ipynb").read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture
def show(code, monkeypatch, tmp_path):
    """Return a function that executes the cells that read reports, on these tables, and returns what they show."""
    seen = []
    for module in (IPython.display, places):
        monkeypatch.setattr(module, "display", seen.append)
    monkeypatch.chdir(BOOK)

    def run(name="", *tables):
        if name:
            table = pd.concat(tables, ignore_index=True)
            table.to_csv(tmp_path / f"{name}.csv", index=False)
            facts = {run: {"config": {"hazard": "paper"}} for run in table["run"].unique()}
            (tmp_path / f"{name}.json").write_text(json.dumps(facts))
        names = {}
        for cell in code[:2]:
            exec(cell, names)
        names["there"] = reports.load(tmp_path)
        seen.clear()
        for cell in code[2:]:
            if re.search(r"\(there\b|\bthere\.\w", cell):
                exec(cell, names)
        return seen

    yield run
    plt.close("all")


def words(seen):
    return [thing.data for thing in seen if isinstance(thing, Markdown)]


def test_without_runs_there_is_one_sentence(show):
    told = words(show())
    assert sum(ABSENT in text for text in told) == 1
    assert not any("Figure 7.9" in text for text in told)
    assert not any("O1 is" in text for text in told)


def test_decisions_say_what_they_are(show):
    rows = [
        rated(name, rate + FEW, rate + FEW, rate + FEW, step=5_000) for name, rate in (("radac", 0.0), ("oraac", 0.1))
    ]
    rows += [rated("oraac-diffusion", 0.2 + FEW, FEW, FEW, step=5_000), rated("oraac:radius=0.05", FEW, step=5_000)]
    seen = show("decisions", *rows)
    told = words(seen)
    assert any(text.startswith("**3 unreported seeds, 5,000 updates.**") for text in told)
    assert any("O1 in the stored runs" in text and "by the action alone holds" in text for text in told)
    assert any("Table 7.10" in text for text in told)
    assert any("Table 7.13" in text for text in told)
    assert len([thing for thing in seen if isinstance(thing, Figure)]) == 1


def test_a_campaign_has_its_tables_for_each_task(show):
    tasks = {"walker2d-medium-replay": 500, "halfcheetah-medium-expert": 200, "hopper-medium-replay": 7}
    rows = [
        rated(name, FEW, FEW, FEW, task=task, horizon=horizon)
        for task, horizon in tasks.items()
        for name in ("radac", "oraac", "cql")
    ]
    seen = show("campaign", *rows)  # nothing of the last task is of its horizon
    told = words(seen)
    assert any(text.startswith("**The campaign**: halfcheetah-medium-expert, walker2d-medium-replay") for text in told)
    tabs = [thing.data for thing in seen if type(thing) is HTML]
    assert sum(text.count("Figure 7.9.</strong>") for text in tabs) == 2
    assert any("Table 7.11" in text for text in told)  # three rows have rates
    assert sum("O1 is not tested here" in text for text in told) == 2  # in short, and in its place
    assert all("not of ORAAC-Diffusion" in text for text in told if "O1 is not tested here" in text)
    assert not any("sentence" in thing.data for thing in seen if isinstance(thing, Styler))


def test_o1_is_judged_where_its_methods_are(show):
    rows = [rated(name, FEW, FEW, FEW, task="hopper-medium-replay") for name in ("radac", "cql")]
    rows += [
        rated(name, rate + FEW, rate + FEW, rate + FEW, task="walker2d-medium-replay")
        for name, rate in (("radac", 0.0), ("oraac", 0.1), ("oraac-diffusion", 0.2))
    ]
    seen = show("campaign", *rows)
    tables = [thing.data for thing in seen if isinstance(thing, Styler)]
    judged = next(table for table in tables if "sentence" in table)
    assert judged["tasks"].tolist() == ["1 of 2"] * 2
    assert judged["verdict"].tolist() == ["holds"] * 2
    here = next(table for table in tables if "updates" in table and "where" in table)
    assert here["task"].tolist() == ["walker2d-medium-replay"] * 2
