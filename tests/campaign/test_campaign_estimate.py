"""What a grid costs: the arithmetic against simulated campaigns, and a dry run of one that is measured."""

import math

import numpy as np
import pytest
from campaign_helpers import FLOW, RADAC, SMALL

from ramac_lib import campaign
from ramac_lib.campaign import estimate
from ramac_lib.campaign.grid import Grid
from ramac_lib.campaign.plan import Cost
from ramac_lib.campaign.slices import SliceResult

COSTS = {FLOW: Cost(2.0, 0.01, 5.0, 20.0), RADAC: Cost(3.0, 0.03, 4.0, 15.0)}
GRID = Grid(**{**SMALL, "hazards": ("none",), "steps": 1000, "evaluations": 10})
THOUSAND = Grid(**{
    **SMALL, "hazards": ("none",), "steps": 1000, "seeds": (0,), "evaluations": 10,
    "rows": tuple(f"bc-flow:hidden={8 + k % 100},batch_size={16 + k // 100}" for k in range(1000)),
})  # fmt: skip


def test_two_cells_by_hand():
    """Ten rounds of 100 updates, each with a loading and an evaluation; the last with the report."""
    cells = estimate.states(GRID, COSTS)
    flow = 10 * (2.0 + 100 * 0.01 + 5.0) + 20.0
    radac = 10 * (3.0 + 100 * 0.03 + 4.0) + 15.0
    assert estimate.alone(cells) == pytest.approx(flow + radac)
    assert estimate.seconds(cells, 2) == pytest.approx(9 * 10.0 + max(8.0 + 20.0, 10.0 + 15.0))
    made = estimate.estimate(GRID, COSTS, 1)
    assert made.hours * 3600 == pytest.approx(flow + radac)
    assert made.rows["hours"].tolist() == pytest.approx([flow / 3600, radac / 3600])
    assert made.nodes["machines"].tolist() == [1, 2]
    assert (made.nodes["days"] * 86_400).tolist() == pytest.approx([flow + radac, 118.0])


@pytest.fixture(scope="module")
def thousand():
    rng = np.random.default_rng(0)
    costs = {
        row: Cost(*np.array([2.0, 0.02, 5.0, 20.0]) * rng.lognormal(0.0, 0.5)) for row in dict.fromkeys(THOUSAND.rows)
    }
    return estimate.states(THOUSAND, costs)


@pytest.mark.parametrize("workers", [1, 7, 64])
def test_a_thousand_cells_simulated_take_what_was_said(thousand, workers):
    """To the second in a regular world; with slices that differ by 20 % a few in a hundred."""
    said = estimate.seconds(thousand, workers)
    assert estimate.alone(thousand) / workers <= said * (1 + 1e-9)
    assert estimate.simulate(thousand, workers, np.random.default_rng(1)) == pytest.approx(said, rel=0.01)
    irregular = [estimate.simulate(thousand, workers, np.random.default_rng(k), spread=0.2) for k in range(5)]
    assert np.mean(irregular) == pytest.approx(said, rel=0.04)


def test_machines_that_are_lost_cost_what_their_slices_had_done(thousand):
    """A slice of d seconds on a machine lost after L on average takes L (exp(d / L) − 1), done anew until it ends."""
    lost = 100.0
    said = estimate.alone(thousand)
    expected = 0.0
    for state in thousand:
        regular = state.cost.setup + 100 * state.cost.update + state.cost.evaluation
        for d in (*[regular] * 9, regular + state.cost.report):
            expected += lost * (math.exp(d / lost) - 1)
    mean = np.mean([estimate.simulate(thousand, 16, np.random.default_rng(k), lost_after=lost) * 16 for k in range(3)])
    assert mean == pytest.approx(expected, rel=0.05)
    assert mean > 1.05 * said


def test_the_first_updates_count_as_set_up():
    """Compiling takes 10 s, an update 0.1 s, loading 1 s: of 5 and of 25 updates."""
    short = SliceResult("a", 5, setup=1.0, update=(10.0 + 0.5) / 5, evaluation=2.0, report=3.0)
    long = SliceResult("a", 25, setup=1.0, update=(10.0 + 2.5) / 25, evaluation=2.0, report=3.0)
    cost = estimate.difference(short, long)
    assert cost == Cost(pytest.approx(11.0), pytest.approx(0.1), 2.0, 3.0)


def test_a_dry_run_measures_each_row_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = campaign.dry_run(None, {**SMALL, "steps": 5000}, workers=0, device="cpu")
    assert text.startswith("2 cells of 2 seeds × 5,000 updates; each row measured on risky-bandit, 1 at a time on this")
    assert FLOW in text
    assert "core-hours in all" in text
    assert text.endswith("GPU-hours, and cells that share a GPU: unmeasured, as there is no GPU here")
    assert list(tmp_path.iterdir()) == []
    assert "share a GPU: unmeasured; --backend ray" in estimate.told(
        GRID, estimate.estimate(GRID, COSTS, 1), 1, "cuda", 1.0
    )
    half = estimate.told(GRID, estimate.estimate(GRID, COSTS, 2), 2, "cuda", 0.5)
    assert f"{0.5 * estimate.estimate(GRID, COSTS, 2).hours:,.4g} GPU-hours in all" in half
    assert "unmeasured" not in half
