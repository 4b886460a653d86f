"""The tidy table: labels, summaries by hand, gathering and reading back."""

import numpy as np
import pandas as pd
import pytest

from ramac_lib.analysis import summary
from ramac_lib.system.errors import RamacError
from ramac_lib.training import loop, results
from ramac_lib.training.config import make_config


def episodes(returns_by_seed):
    rows = [(s, k, r) for s, returns in returns_by_seed.items() for k, r in enumerate(returns)]
    frame = pd.DataFrame(rows, columns=["seed", "episode", "return"])
    return frame.assign(discounted_return=0.0, length=10, violations=2)


def labelled(returns_by_seed, **options):
    config = make_config("radac", "hopper-medium-expert", sorted(returns_by_seed), 100, options)
    return results.label(episodes(returns_by_seed), config, "Hopper-v5", 100, "report", 500)


def test_labels_name_what_departs_from_the_methods_settings():
    plain, changed = labelled({0: [1.0]}), labelled({0: [1.0]}, eta="0.7", td_clip="none", alpha="0.2")
    assert tuple(plain.columns) == results.COLUMNS
    assert plain["options"].tolist() == [""]
    assert changed["options"].tolist() == ["eta=0.7;td_clip=None"]
    assert changed["alpha"].tolist() == [0.2]
    assert plain["run"][0] != changed["run"][0]


def test_summary_by_hand():
    table = labelled({0: np.arange(10.0), 1: np.arange(10.0, 20.0)})
    row = summary.summary(table).iloc[0]
    assert (row["seeds"], row["episodes"], row["mean"], row["violations"]) == (2, 20, 9.5, 2)
    assert row["CVaR_0.1"] == pytest.approx(0.5)  # the mean of the two worst of twenty, 0 and 1


def test_intervals_grow_with_the_spread_between_seeds():
    rng = np.random.default_rng(0)
    alike = summary.summary(labelled({s: rng.normal(0, 1, 50) for s in range(4)}), intervals=True).iloc[0]
    apart = summary.summary(labelled({s: rng.normal(10 * s, 1, 50) for s in range(4)}), intervals=True).iloc[0]
    assert alike["mean_low"] < 0.3
    assert alike["mean_high"] > -0.3
    assert apart["mean_high"] - apart["mean_low"] > 5 * (alike["mean_high"] - alike["mean_low"])


def test_groups_do_not_mix():
    both = pd.concat([labelled({0: [1.0]}), labelled({0: [3.0]}, risk="neutral")])
    assert summary.summary(both)["mean"].tolist() == [1.0, 3.0]


def test_gather_and_load(hopper_file, tmp_path):
    for method in ("bc-flow", "bc-diffusion"):
        config = make_config(
            method, "hopper-medium-expert", (0, 1), 4, {"hidden": "8", "batch_size": "16"}, source=str(hopper_file)
        )
        schedule = loop.Schedule(episodes=2)
        loop.train(config, tmp_path / method, device="cpu", schedule=schedule, progress=False)
    merged = results.gather([tmp_path / "bc-flow", tmp_path / "bc-diffusion"], tmp_path / "results" / "both")
    table, facts = results.load("both", tmp_path / "results")
    assert len(table) == len(merged) == 2 * 2 * 2 * 4
    assert set(facts) == set(table["run"])
    assert all({"made", "config", "data"} <= set(f) for f in facts.values())
    np.testing.assert_array_equal(table["return"], merged["return"])
    for k, method in enumerate(("bc-flow", "bc-diffusion")):  # the part after a name's dot is no suffix of ours
        results.gather([tmp_path / method], tmp_path / f"results/eta0.{k}")
    assert set(results.load("eta0.0", tmp_path / "results")[0]["method"]) == {"bc-flow"}
    with pytest.raises(RamacError, match="given twice"):
        results.gather([tmp_path / "bc-flow"] * 2, tmp_path / "x")
    with pytest.raises(RamacError, match="ramac gather"):
        results.load("nothing", tmp_path)
    table.drop(columns="violations").to_csv(tmp_path / "results/both.csv", index=False)
    with pytest.raises(RamacError, match="column violations is missing"):
        results.load("both", tmp_path / "results")
