"""The page's tables and figures: what they say, from made-up numbers."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from campaign_tables import gathered
from rate_tables import TASK, rated

from ramac_lib.analysis.intervals import Estimate
from ramac_lib.datasets import ood
from ramac_lib.envs.bandit import Bandit
from ramac_lib.system.errors import RamacError
from support.ood import calibration, cost, figures, known, shown
from support.ood.calibration import Calibrated
from support.ood.reports import Reports


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def calibrated():
    lines, hits, curves = [], {}, {}
    for k, detector in enumerate(calibration.DETECTORS[:3]):
        for kind in ("held out", *calibration.KINDS):
            line = {
                "detector": detector,
                "kind": kind,
                "auc": 0.75,
                "auc_low": 0.7,
                "auc_high": 0.8,
                "verdict": "detects",
            }
            share = 0.01 * (k + 1) if kind == "held out" else 0.1
            for scale in ood.SCALES:
                line |= {scale: share, f"{scale}_low": share / 2, f"{scale}_high": 2 * share}
            lines.append(line)
            hits[detector, kind] = calibration.ALARMS**0.5
            curves[detector, kind] = np.full(len(calibration.KAPPAS), share)
    return {TASK: Calibrated(pd.DataFrame(lines), hits, curves, {}, (100, 10), 5)}


@pytest.fixture
def there():
    return Reports(
        "campaign", gathered(rated("radac", 0.02), rated("oraac", 0.05, 0.1), rated("oraac:radius=0.05", 0.03))
    )


def test_table_2_has_the_yardsticks_our_rates_and_the_papers(there, calibrated):
    table = shown.table_2(there, TASK, "paper", calibrated).set_index("")
    assert table.index.tolist() == ["held-out data", "uniform actions", "ORAAC", "RADAC", "ORAAC, radius=0.05"]
    assert [one.value for one in table["action alone"]][:2] == [1.0, 10.0]
    assert table.loc["RADAC", "action alone"] == Estimate(2.0, 2.0, 2.0)
    assert table.loc["RADAC", "action alone, mean ± s.e."] == "2.00 ± 0.00"
    assert table.loc["RADAC", "paper, earlier"].replace("\N{NO-BREAK SPACE}", " ") == "0.77 ± 0.56"
    assert table.loc["ORAAC", "paper, ICML"].replace("\N{NO-BREAK SPACE}", " ") == "11.60 ± 3.95"
    assert table.loc["ORAAC, radius=0.05", "paper, ICML"] == "–"


def test_a_task_without_a_calibration_has_no_yardsticks(there):
    assert shown.table_2(there, TASK, "paper", {})[""].tolist()[0] == "ORAAC"


def test_radii_show_each_rate_and_the_difference(there):
    table = shown.radii(there, TASK, "paper").set_index("Φ")["action alone"]
    assert table["0.05"] == "3.00 [3.00, 3.00]"
    assert table["0.25"] == "5.00 [5.00, 5.00]"
    assert table["smaller − own"] == "−2.00 [−2.00, −2.00]"


def test_scales_and_verdicts_as_text(calibrated):
    assert shown.scales(calibrated)[TASK].tolist()[:3] == ["1.0 / 10.0"] * 3
    table = shown.verdicts(calibrated).data
    assert table["action alone"].tolist() == ["0.75 ✓"] * 6  # without the alteration by .05
    assert set(table["behaviour's density"]) == {"\N{EN DASH}"}


def test_the_papers_table_has_both_versions():
    table = shown.published().data
    assert len(table) == 5
    assert "–" not in table.to_numpy()


def test_figures_draw_the_numbers(calibrated, there):
    drawn = figures.hits(calibrated).axes[0]
    points = drawn.containers[1].lines[0].get_xdata()
    np.testing.assert_allclose(points, [0.02] + [0.1] * len(calibration.KINDS))
    marks = [line for line in figures.roc(calibrated[TASK]).axes[0].lines if len(line.get_xdata()) == 1]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in marks] == [(0.01, 0.1), (0.02, 0.1), (0.03, 0.1)]
    curves = figures.curves(there.rates(TASK, "paper"), {"action alone": np.zeros(len(calibration.KAPPAS))}).axes[0]
    np.testing.assert_allclose(curves.lines[0].get_ydata(), [1, 0.75, 0.5, 0.25, 0])


def test_a_radius_of_zero_is_the_prior():
    table = pd.DataFrame(
        {"method": "oraac", "radius": [0.1, 0.1, 0.5, 0.5], "seed": [0, 1] * 2, "prior": [0.2, 0.4] * 2}
    )
    table = table.assign(ood=[0.1, 0.1, 0.6, 0.8], out=0.5, back=[0.5, np.nan, 0.5, 0.5])
    axes = figures.radius(table, uniform=False).axes
    line = axes[0].containers[0].lines[0]
    np.testing.assert_allclose(line.get_xdata(), [0, 0.1, 0.5])
    np.testing.assert_allclose(line.get_ydata(), [0.3, 0.1, 0.7])


def test_the_reach_flags_what_lies_in_no_disc():
    _, axes = plt.subplots()
    figures.reach(axes, np.zeros((1, 2)), 0.2, np.array([[0.1, 0.0], [0.5, 0.0]]), "one row")
    far, near = axes.lines[-2:]
    assert far.get_xdata().tolist() == [0.5]
    assert near.get_xdata().tolist() == [0.1]


def test_truth_and_training_have_a_line_a_policy():
    rates = known.rates({"radac": Bandit().sample_behaviour(60, np.random.default_rng(0)).reshape(2, 30, 2)}, rows=200)
    drawn = figures.against_truth({"200 rows": rates}).axes[0].lines[1]
    np.testing.assert_allclose(drawn.get_ydata(), rates["flagged"])
    moments = pd.DataFrame({"method": "radac", "seed": [0, 0, 1, 1], "step": [1, 2] * 2, "bc_loss": 1.0})
    top = figures.training(moments.assign(bound=0.9, ood=[0.1, 0.2, 0.3, 0.4], flagged=0.5)).axes[0]
    assert len(top.lines) == 6
    assert len(top.figure.legends[0].get_texts()) == 3


# -- cost -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(cost.MAKERS))
def test_what_is_timed_is_a_fit_and_a_question(name, hopper, tmp_path):
    fit, ask, peak = cost.timed(name, cost.save(hopper, tmp_path / "rows.npz", 50))
    assert fit > 0
    assert ask > 0
    assert 0.01 < peak < 50


def test_more_cannot_be_asked_than_there_are_rows(hopper, tmp_path):
    with pytest.raises(RamacError, match=f"asked is {len(hopper) + 1}; expected 1 to {len(hopper)}, the data's rows"):
        cost.save(hopper, tmp_path / "rows.npz", len(hopper) + 1)
