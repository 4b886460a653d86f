"""The answer in short claims no more than its runs bear; the printed command makes the campaign that is shown."""

import functools
import shlex

import pytest
import tyro
from campaign_tables import TASK, around, episodes, gathered, policies

from ramac_lib import cli
from ramac_lib.campaign.grid import TABLE_1, choose
from support.evidence import words
from support.evidence.case import LEAST_SEEDS, LEAST_UPDATES

NEUTRAL, CLONE = "radac:risk=neutral", "bc-diffusion"


@pytest.mark.parametrize(("size", "named"), [(None, ()), (300_000, (1_000,)), (None, (1_000, 3_000))])
def test_the_printed_command_is_the_grid(size, named):
    rows = ["radac", "radac:risk=neutral", "cql"]
    tables = [episodes(row, around(100), hazard=hazard) for hazard in ("paper", "none") for row in rows]
    for step in (5_000, 10_000, *named):
        tables += [episodes(row, around(100, count=4), step=step, purpose="training") for row in rows]
    found = gathered(*tables)
    for facts in found.facts.values():
        facts["config"]["size"] = size
    program, command, *given = shlex.split(words.command(found).replace("\\\n", ""))
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
    assert "--report-episodes 20 " in words.command(gathered(*tables)).replace("\\\n", "")


def test_rows_that_the_command_makes_beyond_what_is_stored_are_named():
    whole = [episodes(row, around(100), hazard=hazard) for hazard in ("paper", "none") for row in ("radac", NEUTRAL)]
    assert words.unmade(gathered(*whole)) == ""
    assert words.unmade(gathered(*whole[:3])) == (
        f"It also makes what the stored results lack: {TASK} under none (RADAC, neutral)."
    )


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
    assert words.engine(found) == engine


def told(*without, step=LEAST_UPDATES, seeds=LEAST_SEEDS, variants=()):
    """The answer on a campaign in which RADAC earns 200, every other row 100."""
    rows = [row for row in (*TABLE_1, NEUTRAL, CLONE, *variants) if row not in without]
    tables = [
        episodes(row, around(200 if row == "radac" else 100, seeds=seeds, seed=k), step=step)
        for k, row in enumerate(rows)
    ]
    return words.answer(gathered(*tables, behaviour=policies(300.0, 100.0)))


@pytest.mark.parametrize(
    ("absent", "twin"),
    [(NEUTRAL, "BC-diffusion"), (CLONE, "RADAC, neutral")],
)
def test_a_missing_twin_is_named_and_the_rest_is_said(absent, twin):
    said = told(absent)
    assert "RADAC's CVaR₀.₁ is 1" in said
    assert said.count("**above**") == 3
    name = {NEUTRAL: "RADAC, neutral", CLONE: "BC-diffusion"}[absent]
    assert said.endswith(f"Its CVaR is **above** that of {twin}. Not in the results: {name}.")


def test_methods_that_are_not_there_are_named():
    said = told("flow-ql", "rafmac", NEUTRAL, CLONE)
    assert said.count("**above** the best of the others'") == 2
    assert said.endswith("Not in the results: FlowQL; RAFMAC; RADAC, neutral; BC-diffusion.")
    alone = told(*[row for row in TABLE_1 if row != "radac"])
    assert "others" not in alone
    assert "Its CVaR is **above** that of RADAC, neutral and **above** that of BC-diffusion." in alone


def test_a_variant_of_a_twin_is_used_and_not_called_missing():
    said = told(CLONE, variants=["bc-diffusion:hidden=64"])
    assert said.endswith("**above** that of BC-diffusion, hidden=64.")


@pytest.mark.parametrize(
    ("changes", "scale"),
    [
        ({"step": LEAST_UPDATES - 1}, "9,999 updates and 3 seeds"),
        ({"seeds": LEAST_SEEDS - 1}, "10,000 updates and 2 seeds"),
        ({"seeds": 1, "step": 400}, "400 updates and 1 seed"),
    ],
)
def test_short_runs_give_numbers_and_no_comparison(changes, scale):
    said = told(**changes)
    assert not [word for word in words.WORDS.values() if word in said]
    assert said.startswith(f"*{TASK}*, {changes.get('step', LEAST_UPDATES):,} updates: RADAC's CVaR₀.₁ is 1")
    assert said.count("[") == 6  # two of RADAC, two of the best others, two twins
    assert said.endswith(f"Runs of {scale} are too short to say more.")
