"""A neighbour's row with those of chapter 5's campaign, from made-up episodes; and what is stored."""

import json

import pandas as pd
import pytest

from ramac_lib.analysis.evidence import Missing
from support.forest import text
from support.neighbours import clean, hopper

EPISODE = {
    "task": hopper.TASK, "source": "bundled", "env_id": "Hopper-v4", "hazard": hopper.HAZARD, "step": 100,
    "horizon": 500, "discounted_return": 0.0, "length": 10, "violations": 1, "purpose": "report", "sampler_noise": 1,
}  # fmt: skip
METHODS = {"dac-cvar": 300.0, "radac": 200.0, "rafmac": 310.0}


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


@pytest.fixture
def stored(tmp_path):
    _store(tmp_path, "campaign", _episodes({"radac": 200.0, "rafmac": 310.0, "cql": 0.0}))
    _store(tmp_path, f"{hopper.FOLDER}/results", _episodes({"dac-cvar": 300.0}))
    return tmp_path


def test_the_neighbour_stands_first_and_what_differs_has_an_interval(stored):
    found = hopper.load(stored)
    assert hopper.rows(found) == ["dac-cvar", "radac", "rafmac"]
    table = hopper.table(found).set_index("method")
    assert table.index.to_list()[:3] == ["DAC-CVaR", "RADAC", "RAFMAC"]
    assert text(table.loc["DAC-CVaR", "mean"], 0).startswith("304 [")  # 300 … 309, and half an even number's rounding
    assert table.loc["DAC-CVaR", "seeds"] == "2"
    above = hopper.differences(found, "mean")
    assert above["radac"].value == 100.0
    assert above["rafmac"].value == -10.0
    assert above["radac"].sign == 1
    assert set(above) == {"radac", "rafmac"}
    assert hopper.quiet(found) is None


def test_of_a_row_made_again_only_episodes_without_noise_count(stored):
    again = {"radac": 500.0, hopper.ROW: 300.0}
    both = pd.concat([_episodes(again), _episodes(again, sampler_noise=0, **{"length": 20})])
    one = _episodes({"dac-cvar": 350.0}).assign(options="candidates=1", run="run one")
    _store(stored, f"{hopper.FOLDER}/results", pd.concat([both, one]))
    found = hopper.load(stored)
    assert hopper.rows(found) == ["dac-cvar", hopper.ONE, "radac", "rafmac"]
    table = hopper.table(found).set_index("method")
    assert table.loc["RADAC", "mean"].value == 204.5  # chapter 5's
    assert table.loc["RADAC", "mean, noise 0"].value == 504.5
    assert hopper.again(stored).estimate("mean").value == 504.5  # another training
    assert table.loc["DAC-CVaR with one candidate", "mean"].value == 354.5
    assert set(hopper.differences(found, "mean")) == {"radac", "rafmac"}


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


def test_the_stored_row_has_the_campaigns_seeds_and_length():
    found = hopper.load()
    assert hopper.rows(found) == [hopper.ROW, hopper.ONE, *hopper.BESIDE]
    assert found.steps(hopper.TASK, hopper.HAZARD)[hopper.ROW] == found.updates(hopper.TASK, hopper.HAZARD)
    assert found.sample(hopper.TASK, hopper.HAZARD, hopper.ROW).seeds == found.seeds(hopper.TASK, hopper.HAZARD)
