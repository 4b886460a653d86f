"""Calibration: alterations by their definitions, AUC by hand, false alarms of exchangeable rows, the rule, refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, norm

from ramac_lib.analysis.intervals import Estimate
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.behaviour import BehaviourPolicy
from ramac_lib.system.errors import RamacError
from support.ood import calibration, oracle


def data(episodes=40, length=25, seed=0, spread=0.05):
    """States on a line; each has its own action, with some noise."""
    rng = np.random.default_rng(seed)
    states = rng.uniform(-1, 1, (episodes * length, 2)).astype(np.float32)
    actions = np.clip(0.8 * states + spread * rng.normal(size=states.shape), -1, 1).astype(np.float32)
    ends = np.arange(len(states)) % length == length - 1
    zeros, following = np.zeros(len(states), np.float32), np.roll(states, -1, axis=0)
    return Dataset(states, actions, zeros, following, ends, np.zeros_like(ends), "Hopper-v5", "line", {"test": seed})


@pytest.fixture(scope="module")
def line():
    return calibration.calibrate(data(), 150, fit_rows=1000, ratio_updates=30)


def test_whole_episodes_are_held_out():
    every = data()
    part = calibration.split(every, 10_000)
    assert len(part.fitted[0]) + len(part.held[0]) == len(every)
    assert np.bincount(part.episode).tolist() == [25] * 8
    fitted = {tuple(row) for row in part.fitted[0]}
    assert not any(tuple(row) in fitted for row in part.held[0])


@pytest.mark.parametrize("kind", calibration.KINDS)
def test_alterations_keep_to_the_box_and_to_their_definition(kind):
    part = calibration.split(data(spread=0.5), 150)
    states, actions = calibration.alter(part, kind, np.random.default_rng(0))
    moved = np.linalg.norm(actions - part.held[1], axis=1)
    assert (np.abs(actions) <= 1).all()
    assert (kind == "states moved") != np.array_equal(states, part.held[0])
    if kind.startswith("moved"):
        np.testing.assert_allclose(moved, float(kind.split()[1]), rtol=1e-5)
    elif kind == "another state's":
        rows = [np.flatnonzero((part.held[1] == action).all(axis=1)) for action in actions]
        assert all((part.episode[there] != own).any() for there, own in zip(rows, part.episode, strict=True))
    elif kind == "states moved":
        assert (moved == 0).all()
        size = (states - part.held[0]).std(axis=0) / part.fitted[0].std(axis=0)
        np.testing.assert_allclose(size, calibration.STATE_MOVE, rtol=0.2)


def test_the_area_is_the_mann_whitney_statistic_with_ties_at_a_half():
    rng = np.random.default_rng(1)
    below, above = rng.integers(0, 6, 60) / 2, rng.integers(1, 8, 60) / 2
    found = calibration.Episodes(np.repeat(np.arange(12), 5)).auc(below, above)
    assert found.value == pytest.approx(mannwhitneyu(above, below).statistic / 60**2)
    assert found.low < found.value < found.high
    assert calibration.Episodes(np.repeat(np.arange(12), 5)).auc(below, below).value == pytest.approx(0.5)


def test_episodes_are_resampled_not_rows():
    """A flag that an episode's rows share is worth one row, not all of them."""
    episode, flags = np.repeat(np.arange(20), 50), np.repeat(np.arange(20) < 5, 50)
    share, draws = calibration.Episodes(episode).share(flags)
    assert share == 0.25
    assert draws.std() == pytest.approx(np.sqrt(0.25 * 0.75 / 19), rel=0.15)


def test_what_depends_on_the_state_is_seen_only_by_detectors_that_look_at_it(line):
    alone, given = line.at("action alone", "another state's"), line.at("neighbours", "another state's")
    assert alone["verdict"] == "does not detect"
    assert given["verdict"] == "detects"
    assert given["auc"] > 0.9
    assert alone["auc_low"] < 0.5 < alone["auc_high"]
    assert line.at("action alone", "states moved")["auc"] == 0.5


def test_rates_curves_and_roc_agree(line):
    row = line.at("neighbours", "uniform")
    at_three = np.flatnonzero(calibration.KAPPAS == 3)[0]
    assert line.curves["neighbours", "uniform"][at_three] == pytest.approx(row["median"])
    hits = line.hits["neighbours", "uniform"]
    assert hits[-1] == 1
    assert (np.diff(hits) >= 0).all()
    assert np.trapezoid(hits, calibration.ALARMS) == pytest.approx(row["auc"], abs=0.02)


def test_more_rows_make_the_threshold_smaller_and_the_detector_sharper():
    found = calibration.by_rows(data(episodes=200), (50, 500, 10_000), rows=500).query("detector == 'action alone'")
    assert found["rows"].tolist() == [50, 500, 4000]
    assert (np.diff(found["scale"]) < 0).all()
    ratio = found["scale"].iloc[1] / found["scale"].iloc[2]
    assert ratio == pytest.approx(8**0.5, rel=0.2)  # N to the power −1/2 in two dimensions


def test_the_rule():
    assert calibration.judged(Estimate(0.55, 0.5, 0.6), Estimate(0.5, 0.4, 0.6)) == "does not detect"
    assert calibration.judged(Estimate(0.3, 0.2, 0.4), Estimate(0.5, 0.4, 0.6)) == "does not detect"
    assert calibration.judged(Estimate(0.9, 0.8, 0.95), Estimate(0.06, 0.04, 0.08)) == "not at κ = 3"
    assert calibration.judged(Estimate(0.9, 0.8, 0.95), Estimate(0.08, 0.06, 0.1)) == "detects"


def test_what_is_written_is_read_again(line, tmp_path):
    assert calibration.load(tmp_path / "ood") == ({}, {}, {})
    sizes = calibration.by_rows(data(), (50, 100), rows=100)
    calibration.write({"a task": line}, {"a task": sizes}, tmp_path / "ood")
    found, counts, made = calibration.load(tmp_path / "ood")
    again = found["a task"]
    assert again.at("neighbours", "uniform")["verdict"] == line.at("neighbours", "uniform")["verdict"]
    assert again.at("neighbours", "uniform")["auc"] == pytest.approx(line.at("neighbours", "uniform")["auc"], abs=1e-4)
    np.testing.assert_allclose(again.hits["density ratio", "uniform"], line.hits["density ratio", "uniform"], atol=1e-4)
    assert (again.rows, again.episodes, set(made)) == (line.rows, line.episodes, set(made) | {"date"})
    assert counts["a task"]["rows"].unique().tolist() == [50, 100]
    table = pd.read_csv(tmp_path / "ood.csv")
    older = {"detects": "tells", "does not detect": "cannot tell"}
    table.replace({"verdict": older}).to_csv(tmp_path / "ood.csv", index=False)
    assert calibration.load(tmp_path / "ood")[0]["a task"].table["verdict"].tolist() == again.table["verdict"].tolist()
    (tmp_path / "ood.json").unlink()
    with pytest.raises(RamacError, match=r"ood\.json: not there; `python -m support\.ood\.make calibrate` writes both"):
        calibration.load(tmp_path / "ood")


# -- the behaviour policies' density --------------------------------------------------------------------------------


def policy(mean, log_std):
    """A policy that is the same in every state."""
    shapes = {"w0": (2, 3), "b0": 3, "w1": (3, 3), "b1": 3, "w_mean": (3, 1), "w_log_std": (3, 1)}
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    weights |= {"b_mean": np.array([mean], np.float32), "b_log_std": np.array([log_std], np.float32)}
    return BehaviourPolicy("hopper", 1, weights)


def test_the_density_integrates_to_one_and_is_the_change_of_variables():
    grid = np.linspace(-1, 1, 200_001)[1:-1, None]
    states = np.zeros((len(grid), 2))
    both = [policy(0.3, -1.0), policy(-0.8, -0.5)]
    density = np.exp(oracle.log_density(both, states, grid))
    assert np.trapezoid(density, grid[:, 0]) == pytest.approx(1, abs=1e-4)
    alone = oracle.log_density(both[:1], states[:1], np.array([[0.5]]))[0]
    assert alone == pytest.approx(norm.logpdf(np.arctanh(0.5), 0.3, np.exp(-1)) - np.log(0.75))


def test_the_edge_of_the_box_has_a_finite_density():
    assert np.isfinite(oracle.log_density([policy(3.0, -1.0)], np.zeros((2, 2)), np.array([[1.0], [-1.0]]))).all()
    with pytest.raises(RamacError, match="0 policies"):
        oracle.log_density([], np.zeros((1, 2)), np.zeros((1, 1)))
    assert oracle.policies_behind(data()) == []


# -- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: calibration.split(data(episodes=9), 10), "line: 9 episodes, 10 rows; expected at least 10 and 2"),
        (lambda: calibration.alter(calibration.split(data(), 9), "turned", np.random.default_rng(0)), "unknown kind"),
        (
            lambda: calibration.alter(
                calibration.Split(*[(np.zeros((3, 2)),) * 2] * 2, np.zeros(3, int)),
                "another state's",
                np.random.default_rng(0),
            ),
            "the held-out rows are of one episode",
        ),
        (
            lambda: calibration.calibrate(data().with_(actions=np.ones((1000, 2), np.float32)), 100),
            "all rows of the data are the same; expected at least two distinct ones",
        ),
    ],
)
def test_bad_input_gets_one_sentence(make, words):
    with pytest.raises(RamacError, match=words):
        make()
