import json

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from probe_helpers import make_run

from ramac_lib.analysis import agreement, critic_check
from ramac_lib.analysis.critic_check import calibrate_runs, calibrate_seed, critic_discount, learned_quantiles, load
from ramac_lib.datasets.bandit import dataset
from ramac_lib.envs.bandit import Bandit
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.system.errors import RamacError
from ramac_lib.training import stored
from ramac_lib.training.config import make_config
from support.networks import critic_plots

BANDIT_RUN = {"task": BANDIT, "seeds": (0,), "steps": 2}


@pytest.fixture(scope="module")
def bandit_run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("bandit") / "radac", "radac", "bundled", **BANDIT_RUN)


@pytest.fixture(scope="module")
def written(runs, hopper_file, tmp_path_factory):
    """The files of RADAC and ORAAC on Hopper."""
    folder = tmp_path_factory.mktemp("critics")
    oraac = make_run(folder / "oraac", "oraac", hopper_file, seeds=(1,))
    tables = calibrate_runs([runs[0], oraac], folder / "out", states=3, rollouts=4, device="cpu", progress=False)
    return folder / "out", tables


class Exact(torch.nn.Module):
    """Two critics of the bandit: one knows every quantile, the other the mean alone."""

    def forward(self, observations, actions, taus):
        bandit = Bandit()
        modes = bandit.mode(actions[0].numpy())
        exact = np.stack([bandit.reward_quantile(mode, taus.numpy()) for mode in modes])
        means = np.array([bandit.reward_mean(mode) for mode in modes])
        flat = np.repeat(means[:, None], len(taus), axis=1)
        return torch.as_tensor(np.stack([exact, flat]), dtype=torch.float32)[None]


def test_an_exact_critic_is_calibrated_and_a_mean_is_a_step(bandit_run):
    (method,) = stored.load_run(bandit_run, "cpu")[1]
    method.critic = Exact()
    data = dataset(2000)
    ring = np.flatnonzero(Bandit().trapped(data.actions))[:4]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method, "grid", torch.as_tensor(np.array([0.02, 0.2, 0.4, 0.6, 0.8])))
        quantiles, states, end = calibrate_seed(method, data.env_id, None, data, ring, 400, discount=0.0)
    assert end["alive"] == 0
    shown = quantiles[quantiles["action"] == "data"]
    exact, flat = (shown[shown["critic"] == c] for c in (0, 1))
    # Of 400 draws about 20 meet the trap, so every one of these fractions is on its own side of that atom.
    np.testing.assert_allclose(exact["observed"], exact["fraction"], atol=1e-6)
    np.testing.assert_allclose(exact["learned"], exact["monte_carlo"], atol=1e-6)
    assert flat["observed"].between(0.01, 0.11).all()  # below the mean lies the trap alone
    table = states[states["action"] == "data"].assign(run="x")
    error = 10 * np.sqrt(0.05 * 0.95 / 1600)
    bias = agreement.summary(table[table["critic"] == 1]).iloc[0]
    assert bias["bias"] == pytest.approx(0, abs=4 * error)


def test_learned_quantiles_are_each_critics_own(runs, hopper):
    _, stacks, _, _ = stored.load_run(runs[0], "cpu")
    method = stacks[1]
    states, actions = hopper.observations[:5], hopper.actions[:5]
    found, fractions = learned_quantiles(method, states, actions)
    assert found.shape == (2, 5, method.config.n_fractions) == (2, 5, len(fractions))
    assert not np.allclose(found[0], found[1])
    alone = method.critic(torch.as_tensor(states[3:4])[None], torch.as_tensor(actions[3:4])[None], method.grid[2:3])
    np.testing.assert_allclose(found[:, 3, 2], alone[0, :, 0, 0].detach(), rtol=1e-5)


def test_returns_have_the_discount_that_the_critic_was_trained_with():
    assert critic_discount(make_config("radac", "hopper-medium-expert", [0], 1)) == 0.99
    assert critic_discount(make_config("oraac", "hopper-medium-expert", [0], 1)) == 0.9
    assert critic_discount(make_config("rafmac", "hopper-medium-expert", [0], 1, {"bootstrap": "false"})) == 0
    assert critic_discount(make_config("radac", BANDIT, [0], 1)) == 0


def test_critics_are_asked_of_the_method_and_not_of_its_settings(runs, tmp_path, monkeypatch):
    _, stacks, _, _ = stored.load_run(runs[0], "cpu")
    monkeypatch.setattr(type(stacks[0]), "levels", lambda self: ())
    with pytest.raises(RamacError, match=f"{runs[0]}: radac has no critics to ask"):
        calibrate_runs(runs[:1], tmp_path / "out", states=2, rollouts=2, device="cpu", progress=False)


def test_files_are_tidy_and_say_what_made_them(written, hopper):
    out, (table, by_state) = written
    quantiles, states, facts = load(out)
    assert list(quantiles.columns) == list(critic_check.QUANTILES)
    by_run = {run["run"]: run for run in facts["runs"]}
    radac, oraac = by_run.values()
    # RADAC: 2 seeds × 2 critics × 3 states × 2 kinds × 8 fractions; ORAAC has one critic and one seed.
    assert quantiles.groupby("run", sort=False).size().tolist() == [192, 48]
    assert states.groupby("run", sort=False).size().tolist() == [24, 6]
    assert (radac["method"], radac["horizon"], oraac["horizon"]) == ("radac", 528, 51)
    for run in (radac, oraac):
        largest = states.loc[states["run"] == run["run"], ["mc_low", "mc_high"]].abs().max().max()
        hidden = run["discount"] ** run["horizon"] * largest * (run["alive"] > 0)
        assert run["truncation"] == pytest.approx(hidden, rel=1e-4)
    assert facts["rows"] == critic_check.choose_states(hopper, 3).tolist()
    assert 0 < facts["fixed_share"] <= 1
    np.testing.assert_allclose(quantiles["learned"], table["learned"], rtol=1e-4)
    # The states' table is of the same quantiles.
    means = quantiles.groupby(["run", "seed", "critic", "state", "action"])["learned"].mean()
    kept = states.set_index(["run", "seed", "critic", "state", "action"])["learned_mean"]
    pd.testing.assert_series_equal(means, kept.sort_index(), check_names=False, rtol=1e-3)
    assert by_state["mc_low"].le(by_state["mc_mean"]).all()


def test_the_same_call_gives_the_same_numbers(runs, tmp_path):
    calls = [
        calibrate_runs(runs[:1], tmp_path / str(k), states=2, rollouts=2, device="cpu", progress=False)
        for k in range(2)
    ]
    pd.testing.assert_frame_equal(calls[0][0], calls[1][0])
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()


def test_what_cannot_be_compared_is_refused_before_anything_is_written(
    runs, bandit_run, hopper_file, tmp_path, tmp_path_factory
):
    unfinished = make_run(tmp_path_factory.mktemp("unfinished") / "run", "oraac", hopper_file, seeds=(3,))
    (unfinished / "checkpoint.pt").unlink()
    cases = [
        ([make_run(tmp_path_factory.mktemp("clone") / "run", "bc-flow", hopper_file)], {}, "bc-flow has no critics"),
        ([runs[0], runs[0]], {}, "given twice"),
        ([runs[0], bandit_run], {}, "expected runs on the same data"),
        ([], {}, "no runs were given"),
        ([tmp_path / "nowhere"], {}, "holds no run"),
        ([runs[0], unfinished], {}, "no checkpoint"),
        ([runs[0]], {"rollouts": 1}, "rollouts is 1"),
        ([runs[0]], {"states": 0}, "0 states were asked for"),
    ]
    for paths, options, words in cases:
        with pytest.raises(RamacError, match=words):
            calibrate_runs(paths, tmp_path / "out", **{"states": 2, **options}, device="cpu", progress=False)
    assert not list(tmp_path.iterdir())
    with pytest.raises(RamacError, match="ramac analyse critics"):
        load(tmp_path / "out")


def test_a_newer_file_is_refused(written, tmp_path):
    out, _ = written
    for suffix in (".csv", "_states.csv"):
        (tmp_path / f"new{suffix}").write_bytes(out.with_name(out.name + suffix).read_bytes())
    facts = json.loads(out.with_suffix(".json").read_text())
    (tmp_path / "new.json").write_text(json.dumps(facts | {"format": critic_check.FORMAT + 1}))
    with pytest.raises(RamacError, match="newer version"):
        load(tmp_path / "new")


def test_figures_show_every_run_in_its_own_look(written):
    quantiles, states, facts = load(written[0])
    drawn = critic_plots.run_styles(facts)
    assert critic_plots.run_styles(facts, "paper") == drawn
    assert critic_plots.run_styles(facts, "calibrated") == {}
    axes = Figure().subplots(1, 3)
    critic_plots.draw_calibration(axes[0], quantiles, drawn)
    diagonal, *lines = axes[0].get_lines()
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
    assert [to_hex(line.get_color()).upper() for line in lines] == [look.colour for look in drawn.values()]
    one = quantiles.query("run == @facts['runs'][0]['run'] and action == 'policy'")
    np.testing.assert_allclose(lines[0].get_ydata(), one.groupby("fraction")["observed"].mean())
    panels = critic_plots.quantile_panels(quantiles, drawn, [0, 1], seed=1)
    assert len(panels.axes) == 2 * len(drawn)
    assert [len(panel.get_lines()) for panel in panels.axes] == [2] * 4  # the critics' mean, and the rollouts
    summary = agreement.summary(states)
    critic_plots.draw_bias(axes[2], summary, drawn)
    points = [c.lines[0].get_xdata()[0] for c in axes[2].containers]
    np.testing.assert_allclose(points, summary["bias"])
    assert [t.get_text() for t in axes[2].get_yticklabels()] == [look.label for look in drawn.values()][::-1]


def test_chosen_states_are_spread_and_fixed_by_their_observation(hopper):
    rows = critic_check.choose_states(hopper, 10, seed=3)
    edges = np.linspace(0, len(hopper), 11).round().astype(int)
    assert ((edges[:-1] <= rows) & (rows < edges[1:])).all()
    assert np.array_equal(rows, critic_check.choose_states(hopper, 10, seed=3))
    assert not np.array_equal(rows, critic_check.choose_states(hopper, 10, seed=4))
    observations = hopper.observations.copy()
    unknown = np.setdiff1d(np.arange(len(hopper)), edges[1:] - 1)  # all but the last row of each stretch
    observations[unknown, 7] = 10.0
    following = hopper.next_observations.copy()
    following[:-1] = np.where((hopper.terminals | hopper.timeouts)[:-1, None], following[:-1], observations[1:])
    data = hopper.with_(observations=observations, next_observations=following)
    assert np.array_equal(critic_check.choose_states(data, 10, seed=3), edges[1:] - 1)
    for count in (0, len(hopper) + 1):
        with pytest.raises(RamacError, match="states were asked for"):
            critic_check.choose_states(hopper, count)
