"""Costs by hand, and the critic's two ways to the same quantiles."""

import json

import pandas as pd
import pytest
import torch

from ramac_lib.bench.updates import count_flop
from ramac_lib.campaign.grid import PROFILES, Grid
from ramac_lib.networks.critics import IQNCritic
from ramac_lib.networks.layers import initialise
from ramac_lib.system.errors import RamacError
from support.speed import cost

ROWS = pd.DataFrame(
    {
        "method": ["radac", "radac", "radac", "cql"],
        "engine": ["eager", "eager", "compile", "eager"],
        "precision": ["float32", "float32", "bfloat16", "float32"],
        "seed_updates_per_s": [10.0, 20.0, 50.0, 4.0],
    }
)


def test_the_papers_campaign_is_480_million_updates():
    paper = PROFILES["paper"]
    assert cost.row_updates(paper) * len(paper.rows) == 480_000_000
    assert cost.NEUTRAL in PROFILES["laptop"].rows


def test_hours_by_hand():
    tasks = ("hopper-medium-expert", "hopper-medium-replay")
    grid = Grid(tasks, ("radac", "cql"), ("paper", "none"), seeds=(0, 1, 2), steps=3600)
    assert cost.row_updates(grid) == 43_200
    hours = cost.hours(grid, pd.Series({"cql": 4.0, "radac": 20.0, "bc-flow": 1.0}))
    assert hours.to_dict() == {"radac": 0.6, "cql": 3.0}
    with pytest.raises(RamacError, match="no rate was measured for cql"):
        cost.hours(grid, pd.Series({"radac": 1.0}))


def test_the_best_rate_of_an_engine():
    assert cost.best_rates(ROWS).to_dict() == {"radac": 50.0, "cql": 4.0}
    assert cost.best_rates(ROWS, "eager", "float32").to_dict() == {"radac": 20.0, "cql": 4.0}
    assert cost.best_rates(ROWS, "compile").to_dict() == {"radac": 50.0}
    assert cost.with_neutral(cost.best_rates(ROWS, "eager"), 2.0)[cost.NEUTRAL] == 10.0


def test_stored_files(tmp_path):
    path = tmp_path / "bench.json"
    with pytest.raises(RamacError, match="cannot be read"):
        cost.load(path)
    for text in ("{", "{}", "[]"):
        path.write_text(text)
        with pytest.raises(RamacError, match="expected what"):
            cost.load(path)
    path.write_text(json.dumps({"rows": ROWS.to_dict("records"), "machine": {"device": "CPU"}}))
    rows, machine = cost.load(path)
    pd.testing.assert_frame_equal(rows, ROWS)
    assert machine == {"device": "CPU"}


def test_repeated_rows_give_the_same_at_a_multiple_of_the_products():
    b, s, a, n, h, e, m, k = 6, 5, 3, 4, 7, 9, 8, 10
    critic = IQNCritic((2,), s, a, hidden=h, encoder=m, embedding=e, n_cos=k)
    initialise(critic, [torch.Generator().manual_seed(seed) for seed in range(2)])
    generator = torch.Generator().manual_seed(2)
    states, actions = (torch.randn(2, b, width, generator=generator) for width in (s, a))
    taus = torch.rand(n, generator=generator)
    torch.testing.assert_close(cost.repeated_rows(critic, states, actions, taus), critic(states, actions, taus))
    once = 2 * (b * s * m + b * a * m + b * 2 * m * e + n * k * e)
    rest = 2 * (b * n * e * h + b * n * h)
    every = n * 2 * (b * s * m + b * a * m + b * 2 * m * e) + b * 2 * n * k * e
    networks = 4  # two seeds, two critics
    assert count_flop(lambda: critic(states, actions, taus)) == networks * (once + rest)
    assert count_flop(lambda: cost.repeated_rows(critic, states, actions, taus)) == networks * (every + rest)


def test_a_policy_of_fifty_candidates_acts_fifty_times_as_dearly_and_asks_its_critic():
    clone, chosen = (cost.acting_flop(m, "hopper-medium-expert", 10) for m in ("bc-diffusion", "diffusion-ql"))
    # One pass of a chain of five: 11 + 3 + 16 inputs, two hidden layers, three outputs (time's own layers left out).
    floor = 2 * 10 * 5 * (30 * 256 + 256 * 256 + 256 * 3)
    assert floor <= clone <= 3 * floor
    assert 50 * floor < chosen
