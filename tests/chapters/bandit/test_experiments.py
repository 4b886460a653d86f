"""The bandit's experiments: exact denoisers, probes, snapshots, a law learned from draws."""

import numpy as np
import pytest
import torch

from ramac_lib import risk
from ramac_lib.datasets.bandit import dataset
from ramac_lib.envs.bandit import Bandit
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError
from support import bandit as support_bandit

SMALL = {"hidden": "16", "critic_hidden": 16, "embedding": 8, "n_fractions": 20, "policy_steps": 2, "batch_size": 8}
ATOMS = np.array([[0.5, 0.0], [-0.5, 0.0]])


@pytest.mark.parametrize("kind", ["diffusion", "flow"])
def test_exact_minimiser_of_two_atoms_is_a_hyperbolic_tangent(kind):
    policy = support_bandit.best_policy(kind, 10, ATOMS)
    network = policy.noise_prediction if kind == "diffusion" else policy.velocity
    x = torch.linspace(-2, 2, 9).repeat(2, 1).T[None].contiguous()
    t = torch.full((1, 9, 1), 3.0)
    if kind == "diffusion":
        scale, sigma = float(policy.sqrt_bar[3]), float(policy.sqrt_one_minus_bar[3])
    else:
        scale, sigma = 0.3, 0.7
    mean = torch.zeros_like(x)
    mean[..., 0] = 0.5 * torch.tanh(scale * 0.5 * x[..., 0] / sigma**2)
    want = (x - scale * mean) / sigma if kind == "diffusion" else (mean - x) / sigma
    torch.testing.assert_close(network(x, t, x), want)


@pytest.mark.parametrize("kind", ["diffusion", "flow"])
def test_exact_minimiser_beats_its_neighbours_at_the_policys_own_cloning_loss(kind):
    rng = np.random.default_rng(0)
    atoms = rng.uniform(-1, 1, (5, 2))
    policy = support_bandit.best_policy(kind, 8, atoms)
    network = policy.noise_prediction if kind == "diffusion" else policy.velocity
    noise, states = Noise([0], "training"), torch.zeros(1, 4000, 1)
    actions = torch.as_tensor(atoms[rng.integers(5, size=4000)], dtype=torch.float32)[None]
    draws = policy.bc_draws(noise, 4000)
    best = policy.bc_loss(states, actions, *draws).item()
    exact = network.forward
    for change in (lambda y, x: 1.05 * y, lambda y, x: 0.95 * y, lambda y, x: y + 0.05, lambda y, x: y + 0.05 * x):
        network.forward = lambda x, t, s, change=change: change(exact(x, t, s), x)
        assert policy.bc_loss(states, actions, *draws).item() > best


@pytest.mark.parametrize("kind", ["diffusion", "flow"])
def test_many_exact_steps_end_at_the_atoms_in_equal_shares(kind):
    points = support_bandit.path(support_bandit.best_policy(kind, 60, ATOMS), 2000)
    assert points.shape == (61, 2000, 2)
    np.testing.assert_allclose(np.abs(points[-1]), [[0.5, 0.0]] * 2000, atol=0.02)
    assert (points[-1, :, 0] > 0).mean() == pytest.approx(0.5, abs=0.05)
    assert points[0].std() == pytest.approx(1, abs=0.05)  # the noise that it began with


def test_five_exact_diffusion_steps_leave_most_of_the_mass_in_the_gap_and_fifty_do_not():
    bandit, actions = Bandit(), dataset(2000).actions
    gap = {
        steps: bandit.evaluate(support_bandit.path(support_bandit.best_policy("diffusion", steps, actions), 500)[-1])[
            "gap"
        ]
        for steps in (5, 50)
    }
    assert gap[5] > 0.5
    assert gap[50] < 0.05


def test_path_ends_where_the_policy_acts():
    trained = support_bandit.train("bc-flow", (3,), 1, {"hidden": "8"}, device="cpu")
    points = support_bandit.path(trained.stack.policy, 4000, seed=3)
    np.testing.assert_allclose(points[-1], trained.last[0], atol=1e-6)


def test_probes_lie_in_their_mode_and_leave_no_gap():
    bandit = Bandit()
    for mode in ("centre", "ring"):
        actions = support_bandit.probes(mode, 32)
        assert actions.shape == (32, 2)
        assert (bandit.region(actions) == mode).all()
        assert np.abs(actions.mean(axis=0)).max() < 0.02


def test_training_keeps_actions_at_intervals_and_goes_the_same_way_with_them():
    options = {k: v for k, v in SMALL.items() if k != "policy_steps"} | {"policy_steps": 2}
    often = support_bandit.train("radac", (0, 1), 6, options, every=2, device="cpu")
    once = support_bandit.train("radac", (0, 1), 6, options, device="cpu")
    assert list(often.actions) == [2, 4, 6]
    assert list(once.actions) == [6]
    assert often.last.shape == (2, 4000, 2)
    np.testing.assert_array_equal(often.last, once.last)
    assert (often.actions[2] != often.actions[4]).any()
    table = support_bandit.evaluate(often.last, (0, 1))
    assert table.index.tolist() == [0, 1]
    assert table[["centre", "gap", "ring", "outside"]].sum(axis=1).to_numpy() == pytest.approx([1, 1])


def test_critic_errors_are_measured_against_the_exact_grid():
    fitted = support_bandit.fit_critic((0, 4), 2, SMALL)
    with torch.no_grad():
        for p in fitted.critic.parameters():
            p.zero_()
        fitted.critic.head.bias[:, 1] = 2.0  # the second critic says 2 of everything, the first 0
    table = support_bandit.critic_errors(fitted)
    assert len(table) == 2 * 2 * 2
    ring = table[(table["mode"] == "ring") & (table["seed"] == 4)].set_index("critic")
    assert ring["exact"].to_numpy() == pytest.approx([-3.2, -3.2])
    assert ring["error"].to_numpy() == pytest.approx([3.2, 5.2])
    assert ring["worst"].to_numpy() == pytest.approx([3.2, 5.2])


def test_critic_alone_leaves_the_policy_as_it_was():
    before, after = (support_bandit.fit_critic((0,), steps, SMALL) for steps in (1, 3))
    for a, b in zip(before.policy.parameters(), after.policy.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert (before.critic.hidden.weight != after.critic.hidden.weight).any()


def test_a_law_is_learned_on_the_papers_axis_and_its_median_on_the_released_one():
    def draw(n, rng):
        return np.where(rng.random(n) < 0.1, rng.normal(-20, 1, n), rng.normal(5, 1, n))

    paper = support_bandit.fit_law(draw, 16, 1000)
    released = support_bandit.fit_law(draw, 16, 500, axis="target")
    grid = risk.grid(16)
    assert paper.shape == (2, 16)
    assert np.abs(paper[:, grid < 0.09] + 20).max() < 1.5
    assert np.abs(paper[:, grid > 0.3] - 5).max() < 3
    assert np.abs(released - 4.8).max() < 0.5


def test_laws_fitted_together_are_laws_fitted_alone():
    scales = (1.0, 7.0)
    draws = [lambda n, rng, s=s: rng.normal(0, s, n) for s in scales]
    together = support_bandit.fit_laws(draws, 8, 40, seed=3)
    assert together.shape == (2, 2, 8)
    for draw, fitted in zip(draws, together, strict=True):
        np.testing.assert_allclose(fitted, support_bandit.fit_law(draw, 8, 40, seed=3), atol=1e-4)
    with pytest.raises(RamacError, match="256 draws for 7 fractions"):
        support_bandit.fit_laws(draws, 7, 1)


def test_summary():
    table = support_bandit.evaluate(
        np.stack([support_bandit.probes("ring", 10), support_bandit.probes("centre", 10)]), (0, 1)
    )
    text = support_bandit.summary({"both": table, "one": table.iloc[:1]}, {"ring": "mass on the ring"})
    assert text.loc["both", "mass on the ring"] == ".50±.50"
    assert text.loc["one", "mass on the ring"] == "1.00"
    assert support_bandit.estimate(np.array([10.5, 10.5, 9.0])) == "10.00±.50"
    assert support_bandit.estimate(np.array([-0.5, -0.5])) == "−.50±.00"


def test_bad_input():
    with pytest.raises(RamacError, match="expected diffusion or flow"):
        support_bandit.best_policy("gan", 5, ATOMS)
    with pytest.raises(RamacError, match="expected radac or rafmac"):
        support_bandit.fit_critic((0,), 1, method="bc-flow")
    with pytest.raises(RamacError, match="no exact denoiser"):
        support_bandit.Empirical(torch.nn.Identity(), ATOMS)
