"""Chapter 5 runs with whatever results there are: none, or a campaign of some rows."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from campaign_tables import TASK, around, episodes, policies
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from ramac_lib.analysis.style import style
from ramac_lib.campaign.grid import PROFILES

ROOT = Path(__file__).parents[3]
ABSENT = "There is no data/results/campaign.csv yet"


@pytest.fixture
def execute(tmp_path, monkeypatch, chapter):
    """Return a function that executes the chapter's cells on the results in a folder, and returns what it shows."""
    (tmp_path / "results").mkdir()
    shutil.copytree(ROOT / "data" / "paper", tmp_path / "paper")
    monkeypatch.setenv("RAMAC_DATA", str(tmp_path))
    code, seen = chapter

    def run():
        names = {}
        for cell in code.values():
            exec(cell, names)
        return seen

    return tmp_path / "results", run


def stored(folder, tables):
    """Write a campaign of these tables, and behaviour policies, as the chapter reads them."""
    table = pd.concat(tables, ignore_index=True)
    seeds = sorted(set(table["seed"]))
    config = {"hazard": "paper", "task": TASK, "seeds": seeds, "steps": 10_000, "source": "bundled", "size": None}
    made = {"device": "CPU, 1 threads", "torch": "2", "date": "2026-01-01"}
    facts = {run_name: {"config": config, "made": made} for run_name in table["run"].unique()}
    played = pd.concat(policies(300.0, 100.0), ignore_index=True)
    for name, found, beside in (("campaign", table, facts), ("behaviour", played, {})):
        found.to_csv(folder / f"{name}.csv", index=False)
        (folder / f"{name}.json").write_text(json.dumps(beside))


def sentences(seen):
    return [thing.data for thing in seen if isinstance(thing, Markdown)]


def test_without_a_campaign_every_table_is_a_sentence(execute):
    _, run = execute
    seen = run()
    assert not [thing for thing in seen if isinstance(thing, (Styler, Figure))]
    assert len(sentences(seen)) == len(seen) > 10
    assert [text for text in sentences(seen) if not text.startswith(f"*{ABSENT}")] == []


def test_with_a_campaign_there_are_tables_and_figures(execute):
    folder, run = execute
    rows, tables = [*PROFILES["laptop"].rows, "radac:td_clip=None"], []
    for k, row in enumerate(rows):
        returns = around(100 + 10 * k, 30, seed=k)
        tables.append(episodes(row, returns, violations=around(20, 2, seed=k)))
        for step in (1000, 10_000):
            tables.append(episodes(row, returns[:, :10] * step / 10_000, step=step, purpose="training"))
    stored(folder, tables)
    seen = run()
    assert sum(isinstance(thing, Figure) for thing in seen) == 4  # curves, two aggregates, figure 8
    open_ones = [
        thing.uuid for thing in seen if isinstance(thing, Styler)
    ]  # figures 5.1 and 5.3 are drawn, others folded
    assert open_ones == [f"best-{TASK}-paper", f"three-{TASK}-paper"]
    folded = [thing.data for thing in seen if isinstance(thing, HTML) and 'class="numbers"' in thing.data]
    for name in ("judged-paper", "states-paper", f"untrained-{TASK}"):
        found = [text for text in folded if f'<table id="T_{name}' in text]
        assert len(found) == 1, name
    forests = [text for text in folded if "download=" in text]
    for name in ("figure-5-1", "figure-5-3-steps"):  # no episodes of 1,000 steps were played
        (drawn,) = (text for text in forests if f'download="{name}-{TASK}-paper.csv"' in text)
        assert len(re.findall("<svg|<img", drawn)) == 1
        assert "Mean return and CVaR with 95 % intervals" in drawn
        assert all(style(row).label in drawn for row in ("radac", "rafmac", "cql"))
    assert len(forests) == 2
    told = re.sub(r" \\\n +", " ", " ".join(sentences(seen)))
    assert ABSENT not in told
    assert sum("ramac evaluate RUN --horizon 1000" in text for text in forests) == 1  # in the other reading's tab
    assert "RADAC's CVaR₀.₁ is" in told
    assert f"ramac campaign --profile laptop --tasks {TASK} --methods {' '.join(rows)}" in told
    assert f"on {TASK}, hazard paper (the numbers are folded above): 10,000 updates" in told
    assert "**Figure 5.4.** Interquartile means" in told
    assert "With 3 runs a row none is named better or worse" in told


def test_a_single_seed_of_rows_that_are_no_method_of_the_paper(execute):
    folder, run = execute
    stored(folder, [episodes(row, around(100, seeds=1)) for row in ("bc-diffusion", "bc-flow")])
    told = " ".join(sentences(run()))
    assert "nan" not in told
    assert f"**Table 5.2.** Mean ± standard error over seeds on {TASK}, hazard paper, 20 episodes a seed." in told
    assert f"- {TASK}, paper: none of the paper's methods is in the results." in told
    assert "- All this after 10,000 updates" in told
