"""The command that the page prints makes the campaign that it shows."""

import functools
import shlex

import pytest
import tyro
from campaign_tables import TASK, around, episodes, gathered

from ramac_lib import cli
from ramac_lib.campaign.grid import choose
from ramac_lib.evidence import words


@pytest.mark.parametrize("size", [None, 300_000])
def test_the_printed_command_is_the_grid(size):
    rows = ["radac", "radac:risk=neutral", "cql"]
    tables = [episodes(row, around(100), hazard=hazard) for hazard in ("paper", "none") for row in rows]
    for step in (5, 10_000):
        tables += [episodes(row, around(100, count=4), step=step, purpose="training") for row in rows]
    found = gathered(*tables)
    for facts in found.facts.values():
        facts["config"]["size"] = size
    program, command, *given = shlex.split(words.command(found).replace("\\\n", ""))
    assert (program, command) == ("ramac", "campaign")
    asked = {}
    tyro.cli(functools.wraps(cli.campaign)(lambda **options: asked.update(options)), args=given)
    fields = ("tasks", "hazards", "seeds", "steps", "evaluations", "episodes", "report_episodes", "size", "source")
    grid = choose(asked["profile"], {"rows": asked["methods"]} | {name: asked[name] for name in fields}, None)
    assert (grid.tasks, grid.hazards, grid.seeds) == ((TASK,), ("paper", "none"), (0, 1, 2))
    assert grid.rows == tuple(rows)
    assert (grid.steps, grid.size, grid.source) == (10_000, size, "bundled")
    assert (grid.evaluations, grid.episodes, grid.report_episodes) == (2, 4, 20)
