"""Tables and figures of chapter 6: names, the map's cells, what each measure prefers exactly."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from ablation_tables import row, sweeps

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import SAFE, VIOLATION
from ramac_lib.envs.bandit import Bandit
from ramac_lib.system.errors import RamacError
from support.ablations import choice, cost, effects, figures, tables
from support.ablations.knobs import KNOBS, LENGTHS, MAP
from support.ablations.measures import MEASURES, OnBandit


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def grid(seeds=(0, 1), without=()):
    """A map in which the CVaR is η + 10 α, stored as the suites store it."""
    rows = []
    for eta in map(float, MAP["eta"]):
        for alpha in map(float, MAP["alpha"]):
            parts = [f"{n}={v:g}" for n, v, own in (("eta", eta, 0.3), ("alpha", alpha, 0.1)) if v != own]
            suite = "map" if len(parts) == 2 else "knobs"
            if (eta, alpha) not in without:
                rows.append(
                    row(
                        ",".join(parts),
                        eta + 10 * alpha,
                        suite=suite,
                        settings={"eta": eta, "alpha": alpha},
                        seeds=seeds,
                    )
                )
    others = [row("batch_size=64", -99.0, seeds=seeds), row("alpha=0.7", 7.0, seeds=seeds, settings={"alpha": 0.7})]
    return sweeps(*rows, *others)  # neither is a cell of the map


def test_the_map_takes_its_middle_from_the_knobs_and_reads_settings_from_the_facts():
    found = tables.eta_alpha(*grid())["cvar"]
    assert found.shape == (3, 5)
    for alpha in found.index:
        for eta in found.columns:
            assert found.loc[alpha, eta] == pytest.approx(eta + 10 * alpha)
    figure = figures.maps(tables.eta_alpha(*grid()))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[0] == f"{0.03 + 10 * 0.1:.2f}"
    assert len(texts) == 15


def test_a_map_with_a_hole_or_without_a_common_seed_is_said_to_be_so():
    with pytest.raises(Missing, match=r"no cell at η = 1, α = 0\.25"):
        tables.eta_alpha(*grid(without={(1.0, 0.25)}))
    table, facts = grid(seeds=(0,))
    table.loc[table["variant"] == "eta=1,alpha=1", "seed"] = 7
    with pytest.raises(Missing, match="No seed is in every cell"):
        tables.eta_alpha(table, facts)


def test_what_each_measure_prefers_is_exact():
    found = tables.prefers().set_index("")
    assert list(found["prefers"]) == ["centre", "centre", "ring", "centre", "ring"]
    assert found.loc["CVaR", "ring"] == pytest.approx(-3.2)
    assert found.loc["neutral", "ring"] == pytest.approx(1.3)
    assert (found["centre"] == 1).all()
    wang = Bandit().reward_risk("ring", "wang")  # the trap's .05 weighs Φ(Φ⁻¹(.05) + .7) = Φ(−.944854)
    assert wang == pytest.approx(1.8 - 10 * 0.172367, abs=1e-5)


def test_lengths_stand_beside_chapter_3s_runs(tmp_path):
    whole = pd.concat([row("", 0.5, suite="methods", method=m)[0].assign(step=5000) for m in LENGTHS])
    whole.to_csv(tmp_path / "bandit.csv", index=False)
    (tmp_path / "bandit.json").write_text("{}")
    ends = [
        row("", 0.1 * k, suite="lengths", method=m, seeds=(0, 1))[0].assign(step=steps)
        for m in LENGTHS
        for k, steps in enumerate((1000, 20_000), start=1)
        if k <= len(LENGTHS[m])
    ]
    found = tables.length_rows(pd.concat(ends), tmp_path)
    shown = tables.lengths(found)
    assert list(shown["updates"]) == ["1,000", "5,000", "20,000", "1,000", "5,000", "1,000", "5,000", "20,000"]
    assert list(shown["CVaR₀.₁"][:3]) == ["0.10", "0.50 [0.50, 0.50]", "0.20"]  # two seeds have no interval
    assert list(shown["seeds"][:3]) == ["2", "5", "2"]
    without = tables.length_rows(pd.concat(ends[2:]), tmp_path)
    assert set(without["method"]) == set(LENGTHS) - {"radac"}
    assert list(tables.lengths(without)["updates"]) == ["1,000", "5,000", "1,000", "5,000", "20,000"]
    with pytest.raises(Missing, match="of several lengths have none of RADAC"):
        tables.length_rows(pd.concat(ends).iloc[:0], tmp_path)


def test_settings_are_read_from_the_stored_cells_and_the_rule_is_shown_in_its_order():
    made = sweeps(row("", [0.9, 0.8], seeds=(0, 1), settings={k: 7 for k in KNOBS["radac"]}))
    shown = tables.tried(*made).set_index("")
    assert set(shown["its own value"]) == {"7"}
    assert shown.loc["N", "values tried"] == "8, 16, 16 with eq. 15's weights, 32"
    with pytest.raises(Missing, match="no rafmac in knobs"):
        tables.tried(*made, method="rafmac")
    order = [choice.Ranked(k, True, f"{k}={v[0]}", -1.0, 0.1) for k, v in choice.VALUES.items()]
    ranks = tables.ranks(order)
    assert list(ranks["on Hopper"][:1]) == ["0.0125, 0.2"]
    assert list(ranks["on Hopper"][6:]) == ["–"] * 5


def test_measures_of_two_cases_stand_below_each_other():
    seeds = (0, 1, 2)
    others = [row(f"risk={m}", [0.0, 1.0, 2.0], suite="measures", seeds=seeds) for m in MEASURES[1:]]
    case = OnBandit(sweeps(row("", [1.0, 2.0, 3.0], seeds=seeds), *others)[0], "radac")
    shown = tables.measured({"first": case, "second": case})
    assert list(shown["measure"][:2]) == ["first with CVaR", "first with Wang"]
    assert list(shown.index[5:7]) == ["radac", "radac:risk=wang"]
    gaps = shown["CVaR₀.₁ less that with CVaR"]
    assert gaps.iloc[0] is None
    assert gaps.iloc[1] == Estimate(-1.0, -1.0, -1.0)


def test_a_values_name_in_words():
    assert tables.value_text("eta=0.1", plain=True) == "η = 0.1"
    assert tables.value_text("n_fractions=16,grid_rule=floor", plain=True) == "N = 16, weights eq. 15"
    assert tables.value_text("quantile_axis=target", plain=True) == "loss's axis: released"
    for knobs in KNOBS.values():
        for knob, values in knobs.items():
            for value in values:
                assert tables.value_text(f"{knob}={value}")
    with pytest.raises(RamacError, match="unknown knob 'momentum': choose one of eta"):
        tables.value_text("momentum=1")


def test_the_tornados_bars_are_the_differences_and_blue_is_better():
    seeds = (0, 1, 2)
    table, _ = sweeps(
        row("", [0.5, 0.6, 0.7], seeds=seeds),
        row("eta=1", [0.9, 1.0, 1.1], ood=0.3, seeds=seeds),
        row("alpha=1", [0.1, 0.2, 0.3], ood=0.05, seeds=seeds),
        row("alpha=0.25", [0.5, 0.7, 0.6], seeds=seeds),
    )
    figure = figures.tornado(effects.effects(table), ["alpha"], ("cvar", "ood"))
    left, right = figure.axes
    assert [patch.get_width() for patch in left.patches if patch.get_height() == 0.75] == pytest.approx([-0.4, 0, 0.4])
    assert [t.get_text() for t in left.get_yticklabels()] == [r"$\alpha$ = 1", r"$\alpha$ = 0.25", r"$\eta$ = 1"]
    assert figures.colour_of(0.3, 0.5, "cvar") == SAFE
    assert figures.colour_of(0.3, 0.5, "ood") == VIOLATION  # more out of the data is no better
    assert figures.colour_of(-0.1, 0.5, "cvar") == figures.UNTOLD
    assert right.get_title().startswith("probability out of the data")


def test_speed_is_measured_for_what_changes_the_work_and_refuses_nonsense(tmp_path):
    listed = cost.values("risky-bandit")
    assert "n_fractions=8" in listed
    assert not [v for v in listed if v.startswith(("eta", "alpha", "td_clip"))]
    assert "policy_steps=20" in cost.values("hopper-medium-expert")
    for wrong in ({"seconds": 0}, {"passes": 0}):
        with pytest.raises(RamacError, match="expected positive numbers"):
            cost.measure("risky-bandit", [], **wrong)
    with pytest.raises(RamacError, match="unknown option of RADAC 'speed'"):
        cost.measure("risky-bandit", ["speed=1"])
    with pytest.raises(Missing, match=r"no data/results/knob_costs\.json"):
        cost.load(tmp_path)


def test_fewer_steps_of_the_chain_are_faster():
    found = cost.measure("risky-bandit", ["policy_steps=1,hidden=8,critic_hidden=8,batch_size=8"], 0.01, 1)
    (value,) = set(found) - {""}
    assert found[value]["ratio"] > 1.5
    assert found[""]["ratio"] == 1
