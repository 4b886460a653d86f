"""A neighbour's row with those of chapter 5's campaign, from made-up episodes; and what is stored."""

import json

import pandas as pd
import pytest

from ramac_lib.analysis.evidence import Missing
from ramac_lib.training import unseen
from support.forest import text
from support.neighbours import clean, hopper

EPISODE = {
    "task": hopper.TASK, "source": "bundled", "env_id": "Hopper-v4", "hazard": hopper.HAZARD, "step": 100,
    "horizon": 500, "discounted_return": 0.0, "length": 10, "violations": 1, "purpose": "report", "sampler_noise": 1,
}  # fmt: skip
METHODS = {"dac": 10.0, "dac-cvar": 300.0, "radac": 200.0}


def _episodes(methods, **more):
    """Two seeds of ten episodes of each method, whose returns differ by at most 9."""
    lines = []
    for method, value in methods.items():
        of = {"method": method, "run": f"run {method}", "risk": "cvar", "alpha": 0.1, "options": ""}
        for seed in (0, 1):
            lines += [EPISODE | of | {"seed": seed, "episode": e, "return": value + e} | more for e in range(10)]
    return pd.DataFrame(lines)


def _store(folder, name, table):
    facts = {run: {"config": {"hazard": hopper.HAZARD}} for run in table["run"].unique()}
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / f"{name}.csv", index=False)
    (folder / f"{name}.json").write_text(json.dumps(facts))


RATES = {name: 0.02 for name in unseen.NAMES}


@pytest.fixture
def stored(tmp_path):
    table = pd.concat([_episodes(METHODS, **RATES), _episodes(METHODS, sampler_noise=0, **{"return": 500.0})])
    one = _episodes({"dac-cvar": 350.0}).assign(options="candidates=1", run="run one")
    _store(tmp_path, f"{hopper.FOLDER}/results", pd.concat([table, one]))
    return tmp_path


def test_neighbours_stand_first_and_what_differs_has_an_interval(stored):
    found = hopper.load(stored)
    assert hopper.rows(found) == ["dac", "dac-cvar", hopper.ONE, "radac"]
    table = hopper.table(found).set_index("method")
    assert table.index.to_list() == ["DAC", "DAC-CVaR", "DAC-CVaR with one candidate", "RADAC"]
    assert text(table.loc["DAC-CVaR", "mean"], 0).startswith("304 [")  # 300 … 309, and half an even number's rounding
    assert table.loc["DAC-CVaR", "seeds"] == "2"
    gaps = hopper.differences(found, "mean")
    assert {row: gap.value for row, gap in gaps.items()} == {"dac": -190.0, "dac-cvar": 100.0, hopper.ONE: 150.0}
    grouped = {1: ["DAC-CVaR", "DAC-CVaR with one candidate"], -1: ["DAC"], 0: []}
    assert hopper.grouped(gaps) == grouped


def test_episodes_without_noise_and_actions_out_of_the_data_are_columns_where_they_are_stored(stored):
    found = hopper.load(stored)
    table = hopper.table(found).set_index("method")
    assert table.loc["RADAC", "mean, noise 0"].value == 500.0
    assert pd.isna(table.loc["DAC-CVaR with one candidate", "mean, noise 0"])
    assert table.loc["DAC", hopper.OOD].value == pytest.approx(2)
    assert hopper.out_of_data(found, hopper.ONE) is None
    assert hopper.quiet(found, hopper.ONE) is None
    assert set(hopper.differences(found, "mean", noisy=False)) == {"dac", "dac-cvar"}


def test_without_results_a_sentence_says_so(tmp_path):
    with pytest.raises(Missing, match="the command stands at this page's end"):
        hopper.load(tmp_path)
    with pytest.raises(Missing, match="the command stands in the README"):
        clean.load(tmp_path)


def test_neighbours_on_clean_data_are_judged_by_the_clones_interval(tmp_path):
    before = _episodes({"bc-diffusion": 500.0, "radac": 500.5, "cql": 9.0}, hazard="none")
    _store(tmp_path, clean.BEFORE, before)
    _store(tmp_path, clean.NAME, _episodes({"dac": 900.0, "qdq": 100.0, "cped": 501.0}, hazard="none"))
    rows = clean.load(tmp_path)
    assert list(rows.index) == ["dac", "cped", "radac", "bc-diffusion", "qdq"]
    assert rows["verdict"].to_dict() == {
        "dac": "above", "radac": "overlaps", "cped": "overlaps", "bc-diffusion": "overlaps", "qdq": "below",
    }  # fmt: skip
    table = clean.table(rows).set_index("method")
    assert table.loc["BC-diffusion", "compared with the clone"] == "–"
    assert text(table.loc["DAC", "mean"], 0).startswith("904 [")


def test_the_density_of_cped_is_a_row_of_its_own():
    rows = clean.load()
    assert rows.index.is_unique
    assert rows.loc[clean.DENSITY, "mean"] > rows.loc["cped", "mean_high"]
    assert clean.table(rows).loc[clean.DENSITY, "method"] == "CPED by density alone"


def test_the_stored_rows_share_data_seeds_and_length():
    found = hopper.load()
    assert {"radac", hopper.ROW, hopper.ONE} <= set(hopper.rows(found))
    assert len({facts["data"]["sha256"] for facts in found.facts.values()}) == 1
    assert len({found.sample(hopper.TASK, hopper.HAZARD, row).seeds for row in hopper.rows(found)}) == 1
    assert len(set(found.steps(hopper.TASK, hopper.HAZARD).values())) == 1


def test_the_best_evaluation_and_the_last(stored):
    path = stored / hopper.FOLDER / "results.csv"
    table = pd.read_csv(path)
    steps = [
        _episodes({"dac": value}, purpose="training", step=step) for step, value in ((10, 3.0), (20, 9.0), (30, 5.0))
    ]
    pd.concat([table, *steps]).to_csv(path, index=False)
    assert hopper.first_and_last(hopper.load(stored), "dac") == ((20, 13.5), (30, 9.5))


def test_clean_rows_without_noise():
    assert clean.quiet("dac-cvar").estimate("mean").value == pytest.approx(clean.load().loc["dac-cvar", "mean_silent"])
    assert clean.quiet(clean.ONE).seeds == 2
    with pytest.raises(Missing, match="was not played without"):
        clean.quiet("radac")


def test_the_bound_of_cped_is_loose_or_never_met():
    wide, narrow = (hopper.training(row) for row in ("cped", hopper.TIGHT))
    assert wide.index.max() == narrow.index.max() == 10_000
    returns = hopper.load().curve(hopper.TASK, hopper.HAZARD)["return"]
    assert wide["policy_value"].iloc[-1] > 50 * returns.max()
    assert (narrow["gap"] > 1).all()
    assert narrow["multiplier"].is_monotonic_increasing
