"""The printed command makes the campaign that is shown, and its cost is that of its updates."""

import functools
import shlex
from pathlib import Path

import pandas as pd
import pytest
import tyro
from campaign_tables import TASK, around, episodes, gathered

from ramac_lib import cli
from ramac_lib.analysis import evidence
from ramac_lib.analysis.evidence import Missing
from ramac_lib.campaign.grid import choose
from ramac_lib.system.paths import data_folder
from support.evidence import commands
from support.speed import cost

NEUTRAL = "radac:risk=neutral"


@pytest.mark.parametrize(("size", "named"), [(None, ()), (300_000, (1_000,)), (None, (1_000, 3_000))])
def test_the_printed_command_is_the_grid(size, named):
    rows = ["radac", "radac:risk=neutral", "cql"]
    tables = [episodes(row, around(100), hazard=hazard) for hazard in ("paper", "none") for row in rows]
    for step in (5_000, 10_000, *named):
        tables += [episodes(row, around(100, count=4), step=step, purpose="training") for row in rows]
    found = gathered(*tables)
    for facts in found.facts.values():
        facts["config"]["size"] = size
    program, command, *given = shlex.split(commands.command(found).replace("\\\n", ""))
    assert (program, command) == ("ramac", "campaign")
    asked = {}
    tyro.cli(functools.wraps(cli.campaign)(lambda **options: asked.update(options)), args=given)
    grid = choose(asked["profile"], vars(asked["grid"]), None)
    assert (grid.tasks, grid.hazards, grid.seeds) == ((TASK,), ("paper", "none"), (0, 1, 2))
    assert grid.rows == tuple(rows)
    assert (grid.steps, grid.size, grid.source) == (10_000, size, "bundled")
    assert grid.evaluate_at == named
    assert (grid.evaluations, grid.episodes, grid.report_episodes) == (2, 4, 20)


def test_episodes_of_another_length_are_not_the_reports():
    tables = [episodes("radac", around(100)), episodes("radac", around(100, count=60), horizon=1000)]
    assert "--report-episodes 20 " in commands.command(gathered(*tables)).replace("\\\n", "")


def test_rows_that_the_command_makes_beyond_what_is_stored_are_named():
    whole = [episodes(row, around(100), hazard=hazard) for hazard in ("paper", "none") for row in ("radac", NEUTRAL)]
    assert commands.unmade(gathered(*whole)) == {}
    assert commands.unmade(gathered(*whole[:3])) == {(TASK, "none"): ["RADAC, neutral"]}


@pytest.mark.parametrize(
    ("made", "engine"),
    [
        (["cpu eager float32"] * 2, ("eager", "float32")),
        (["cpu eager float32", "cuda graph tf32"], (None, None)),
        ([None, None], (None, None)),
    ],
)
def test_the_engine_is_the_one_of_every_run(made, engine):
    found = gathered(episodes("radac", around(100)), episodes("cql", around(100)))
    for facts, name in zip(found.facts.values(), made, strict=True):
        facts["made"] = {"engine": name} if name else {}
    assert commands.engine(found) == engine


def test_options_with_a_blank_are_quoted():
    assert "'radac:hidden=(64, 64)'" in commands.command(gathered(episodes("radac:hidden=(64, 64)", [[1.0]])))


def test_a_row_is_priced_as_its_method():
    found = gathered(*[episodes(row, around(100)) for row in ("radac", NEUTRAL, "cql")])
    spent = commands.hours(found, pd.Series({"radac": 10.0}))
    assert spent == {"radac": pytest.approx(30_000 / 10 / 3600), NEUTRAL: pytest.approx(30_000 / 36_000)}
    with pytest.raises(Missing, match="No speed"):
        commands.hours(found, pd.Series(dtype=float))


def test_the_readme_prices_the_stored_campaign_as_the_chapter_does():
    """README.md: "about ten core-hours"; the chapter computes the number from the measured rates."""
    found = evidence.load()
    rows, _ = cost.load(data_folder() / "results" / "bench.json")
    hours = sum(commands.hours(found, cost.best_rates(rows, *commands.engine(found))).values())
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    assert "about ten core-hours of updates" in readme
    assert round(hours) == 10
