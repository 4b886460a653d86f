"""Rows, cells, profiles; what may be added to a campaign and what not."""

import dataclasses
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramac_lib.campaign.grid import PROFILES, ROWS, Grid, choose, get_profile, parse_row
from ramac_lib.system.errors import RamacError

GRID = Grid(("hopper-medium-expert",), ("radac", "cql"), ("paper",), (0, 1), 100)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("radac", ("radac", {})),
        ("radac:risk=neutral", ("radac", {"risk": "neutral"})),
        ("radac:hidden=16,16,td_clip=none", ("radac", {"hidden": "16,16", "td_clip": "none"})),
        ("oraac-flow:radius=0,alpha=0.2", ("oraac-flow", {"radius": "0", "alpha": "0.2"})),
    ],
)
def test_rows_are_methods_with_options(row, expected):
    assert parse_row(row) == expected


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("sac", ("unknown method 'sac'", "radac")),
        ("radac:etha=1", ("unknown option of RADAC 'etha'", "eta")),
        ("radac:eta=big", ("option eta is 'big'", "float")),
        ("radac:eta", ("row 'radac:eta'", "option=value")),
        ("radac:", ("row 'radac:'", "option=value")),
        ("radac:eta=1,eta=2", ("row 'radac:eta=1,eta=2'", "twice")),
        ("radac:risk=var", ("'var'", "cvar, wang, cpw")),
    ],
)
def test_bad_rows_end_in_one_sentence(row, words):
    with pytest.raises(RamacError) as caught:
        dataclasses.replace(GRID, rows=(row,))
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks": ("ant",)}, "unknown task 'ant'"),
        ({"hazards": ("fire",)}, "unknown hazard 'fire'"),
        ({"seeds": ()}, "no seeds"),
        ({"seeds": (1, 1)}, "given twice"),
        ({"steps": 0}, "steps is 0"),
        ({"rows": ()}, "no rows were given"),
        ({"evaluations": 0}, "evaluations is 0"),
        ({"evaluate_at": (20, 0)}, "evaluate_at has 0"),
        ({"report_episodes": 0}, "report_episodes is 0"),
        ({"rows": ("radac", "radac:alpha=0.1")}, "the rows radac and radac:alpha=0.1 are the same"),
    ],
)
def test_bad_grids_are_refused(changes, words):
    with pytest.raises(RamacError, match=re.escape(words)):
        dataclasses.replace(GRID, **changes)


def test_a_cell_is_a_task_a_row_and_a_hazard_with_all_seeds():
    grid = dataclasses.replace(GRID, tasks=("hopper-medium-expert", "risky-bandit"), hazards=("paper", "calibrated"))
    cells = grid.cells()
    assert [c.name for c in cells] == [
        "hopper-medium-expert.paper.radac", "hopper-medium-expert.paper.cql",
        "hopper-medium-expert.calibrated.radac", "hopper-medium-expert.calibrated.cql",
        "risky-bandit.none.radac", "risky-bandit.none.cql",
    ]  # fmt: skip
    assert all(c.config.seeds == (0, 1) and c.config.steps == 100 for c in cells)
    assert len({c.config.hash for c in cells}) == 6


@given(st.dictionaries(st.sampled_from(["eta", "alpha", "td_clip"]), st.floats(0.01, 1).map(str), max_size=3))
def test_every_cell_has_a_folder_name_that_travels(options):
    row = "radac" + (":" + ",".join(f"{k}={v}" for k, v in options.items()) if options else "")
    (cell,) = dataclasses.replace(GRID, rows=(row,)).cells()
    assert re.fullmatch(r"[A-Za-z0-9._-]+", cell.name)


def test_a_grid_survives_json():
    grown = choose(
        None, {"seeds": (3, 4)}, choose(None, {"seeds": (2,)}, dataclasses.replace(GRID, env_id="Hopper-v5"))
    )
    for grid in (GRID, grown):
        assert Grid.from_json(json.loads(json.dumps(grid.to_json()))) == grid
    old = {k: v for k, v in GRID.to_json().items() if k not in ("env_id", "more_seeds")}
    assert Grid.from_json(old) == GRID


def test_seeds_that_are_added_are_runs_of_their_own():
    """The cells that were there keep their names and hashes; seeds that are there are just there."""
    grown = choose(None, {"seeds": (1, 3, 4)}, GRID)
    assert grown == choose(None, {"seeds": (0, 1, 3, 4)}, GRID)
    there, cells = GRID.cells(), grown.cells()
    assert [c for c in cells if c.config.seeds == (0, 1)] == there
    added = [c for c in cells if c not in there]
    assert [(c.row, c.config.seeds, c.name) for c in added] == [
        ("radac", (3, 4), "hopper-medium-expert.paper.radac.seeds-3-4"),
        ("cql", (3, 4), "hopper-medium-expert.paper.cql.seeds-3-4"),
    ]
    assert choose(None, {"seeds": (4, 0)}, grown) == grown
    more = choose(None, {"seeds": (5,), "tasks": ("risky-bandit",)}, grown)
    assert more.every_seed == (0, 1, 3, 4, 5)
    assert len(more.cells()) == 2 * 2 * 3  # a task that is added has every seed
    assert len({c.config.hash for c in more.cells()}) == len({c.name for c in more.cells()}) == 12
    with pytest.raises(RamacError, match="seed 1 is given twice"):
        dataclasses.replace(GRID, more_seeds=((2, 1),))


def test_the_environments_id_is_the_runs():
    grid = dataclasses.replace(GRID, source="d4rl", env_id="Hopper-v2")
    assert {c.config.env_id for c in grid.cells()} == {"Hopper-v2"}
    assert {c.config.hash for c in grid.cells()} & {c.config.hash for c in GRID.cells()} == set()


def test_profiles_are_those_of_the_plan():
    assert set(PROFILES) == {"quick", "laptop", "gpu", "paper"}
    assert len(PROFILES["paper"].cells()) == 6 * 8
    updates = {name: len(g.cells()) * len(g.seeds) * g.steps for name, g in PROFILES.items()}
    assert updates["paper"] == 480_000_000
    assert updates["gpu"] == 6 * 2 * len(ROWS) * 5 * 50_000
    assert updates["laptop"] == len(ROWS) * 3 * 10_000
    with pytest.raises(RamacError, match="unknown profile 'huge': choose one of quick, laptop, gpu, paper"):
        get_profile("huge")


def test_tasks_rows_hazards_and_seeds_may_be_added_and_nothing_else():
    more = choose(None, {"rows": ("cql", "bc-flow"), "steps": None, "seeds": ()}, GRID)
    assert more == dataclasses.replace(GRID, rows=("radac", "cql", "bc-flow"))
    assert choose(None, {}, GRID) == GRID
    for name, value, words in (
        ("steps", 200, "steps is 100 in the campaign there and 200 here"),
        ("env_id", "Hopper-v5", "env_id is None in the campaign there and Hopper-v5 here"),
        ("source", "d4rl", "source is bundled in the campaign there and d4rl here"),
    ):
        with pytest.raises(RamacError, match=words):
            choose(None, {name: value}, GRID)
