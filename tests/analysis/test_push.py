"""The push test, on the bandit, whose laws say which way is up."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from ramac_lib import cli
from ramac_lib.analysis import push
from ramac_lib.datasets.bandit import dataset
from ramac_lib.envs.bandit import ENV_ID
from ramac_lib.methods import Controller, get_method
from ramac_lib.system.errors import RamacError
from support import bandit


@pytest.fixture(scope="module")
def linear():
    """RADAC with critics that are known: Z(s, a; τ) = τ a₁ + (1 − τ) a₂."""
    method = get_method("radac")(get_method("radac").Config.for_task("risky-bandit"), 1, 2, (0,), 10)

    def quantiles(observations, actions, taus):
        one, two = actions[:, None, :, None, 0], actions[:, None, :, None, 1]
        return (taus * one + (1 - taus) * two).expand(-1, 2, -1, -1)

    method.critic.forward = quantiles
    return method


def test_a_move_follows_the_measures_gradient(linear):
    actions = torch.zeros(1, 3, 2)
    nothing = torch.zeros(1, 3, 1)
    for alpha, tau in ((0.1, 0.05), (1.0, 0.5)):  # CVaR_α averages the fractions below α: its mean fraction is α/2
        expected = 0.2 * np.array([tau, 1 - tau]) / np.hypot(tau, 1 - tau)
        moved = push.nudged(linear, nothing, actions, alpha, 0.2)
        np.testing.assert_allclose(moved.numpy(), np.broadcast_to(expected, (1, 3, 2)), atol=1e-6)
        back = push.nudged(linear, nothing, actions, alpha, -0.2)
        torch.testing.assert_close(back, -moved)


def test_moves_end_at_the_box(linear):
    edge = torch.ones(1, 2, 2)
    torch.testing.assert_close(push.nudged(linear, torch.zeros(1, 2, 1), edge, 1.0, 0.5), edge)


@pytest.mark.slow
def test_a_trained_critic_points_to_the_safe_mode():
    """From the inner half of the gap on, CVaR's gradient leads inward: returns rise along it and fall against it."""
    fitted = bandit.fit_critic((0,), 700, {"n_fractions": 20, "lr_critic": 2e-3, "batch_size": 128})
    angle = torch.linspace(0, 2 * np.pi, 65)[:64]
    start = 0.75 * torch.stack([angle.cos(), angle.sin()], dim=-1)[None]  # on the ring's inner part
    states = torch.zeros(1, 64, 1)
    inward, outward = (push.nudged(fitted, states, start, 0.1, size).norm(dim=-1).mean() for size in (0.3, -0.3))
    assert inward < 0.75 < outward


def test_plain_critics_are_asked_for_their_mean():
    method = get_method("diffusion-ql")(get_method("diffusion-ql").Config.for_task("risky-bandit"), 1, 2, (0,), 10)
    method.critic.forward = lambda observations, actions: torch.stack([actions[..., 0], actions[..., 0] + 1], dim=1)
    actions = torch.zeros(1, 3, 2)
    moved = push.nudged(method, torch.zeros(1, 3, 1), actions, 1.0, 0.2)
    torch.testing.assert_close(moved, torch.tensor([0.2, 0.0]).expand(1, 3, 2))
    with pytest.raises(RamacError, match="DiffusionQL has plain critics; there is no CVaR"):
        push.nudged(method, torch.zeros(1, 3, 1), actions, 0.1, 0.2)


def test_critics_see_states_at_their_own_scale():
    config = replace(get_method("cql").Config.for_task("risky-bandit"), normalize=True)
    method = get_method("cql")(config, 1, 2, (0,), 10)
    method.fit_normalizer(torch.tensor([[10.0], [14.0]]))
    method.critic.forward = lambda observations, actions: (observations[..., 0] * actions[..., 0])[:, None]
    states = torch.tensor([[[11.0], [13.0]]])  # below and above the mean of 12
    moved = push.nudged(method, states, torch.zeros(1, 2, 2), 1.0, 0.2)
    torch.testing.assert_close(moved, torch.tensor([[[-0.2, 0.0], [0.2, 0.0]]]))


def test_rows_and_refusals(linear):
    clone = get_method("bc-flow")(get_method("bc-flow").Config.for_task("risky-bandit"), 1, 2, (0,), 10)
    table = push.push_test(linear, clone, ENV_ID, None, 1, 5)
    moves = table.drop_duplicates(["alpha", "size"])
    assert moves[["alpha", "size"]].to_numpy().tolist() == [[1, 0], [1, 0.1], [1, -0.1], [0.1, 0.1], [0.1, -0.1]]
    assert len(table) == 25
    assert (table["length"] == 1).all()
    with pytest.raises(RamacError, match="BCFlow has no critics"):
        push.push_test(clone, clone, ENV_ID, None, 1, 5)
    other = get_method("bc-flow")(get_method("bc-flow").Config.for_task("risky-bandit"), 1, 2, (1,), 10)
    with pytest.raises(RamacError, match=r"seeds \(0,\), the policy \(1,\)"):
        push.push_test(linear, other, ENV_ID, None, 1, 5)


def test_a_pushed_policy_still_hears_what_it_earned(linear):
    heard = []

    class Listening(Controller):
        def observe(self, rewards, costs):
            heard.append((rewards.shape, costs.shape))

    class Clone(get_method("bc-flow")):
        def controller(self, noise):
            return Listening(self, noise)

    clone = Clone(get_method("bc-flow").Config.for_task("risky-bandit"), 1, 2, (0,), 10)
    push.push_test(linear, clone, ENV_ID, None, 1, 4)
    assert heard == [((1, 4), (1, 4))] * 5


def test_runs_are_asked_by_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ramac_lib.training.loop.data_of", lambda config, progress: dataset(500))
    for method, task in (("radac", "risky-bandit"), ("diffusion-ql", "risky-bandit"), ("bc-flow", "risky-bandit")):
        cli.main(["train", "--method", method, "--task", task, "--steps", "2", "--episodes", "0",
                  "--out", str(tmp_path / method)])  # fmt: skip
    runs = [str(tmp_path / name) for name in ("radac", "diffusion-ql")]
    rest = ["--policy", str(tmp_path / "bc-flow"), "--out", str(tmp_path / "push0.5")]
    cli.main(["analyse", "push", *runs, *rest, "--episodes", "3"])
    table = pd.read_csv(tmp_path / "push0.5.csv")
    assert table.groupby("critics").size().to_dict() == {"radac": 15, "diffusion-ql": 9}
    assert set(table["policy"]) == {"bc-flow"}
    cli.main(["train", "--method", "radac", "--task", "risky-bandit", "--steps", "2", "--episodes", "0",
              "--seeds", "1", "--out", str(tmp_path / "other")])  # fmt: skip
    capsys.readouterr()
    refused = (str(tmp_path / "nothing"), "2"), (runs[0], "0"), (str(tmp_path / "other"), "2")
    for wrong in (["analyse", "push", run, *rest, "--episodes", count] for run, count in refused):
        with pytest.raises(SystemExit, match="1"):
            cli.main(wrong)
        assert capsys.readouterr().err.startswith("ramac: ")
