"""Counting a deployed policy's density on the bandit, steps from ring anchors, a flow on the line."""

import numpy as np
import pytest
import torch

from ramac_lib.datasets.bandit import dataset
from ramac_lib.envs.bandit import Bandit
from ramac_lib.system.errors import RamacError
from support import bandit
from support.proposition import geometry, line, mixtures
from support.proposition import kl as proposition_kl

BANDIT = Bandit()


def test_cells_have_the_behaviour_laws_masses():
    cells = proposition_kl.Cells(6, 16)
    assert cells.beta.sum() == pytest.approx(1, abs=1e-10)
    assert len(cells.beta) == 6 * 16 + 3 * 8
    assert cells.beta[: 3 * 8].sum() == pytest.approx(0.2, abs=1e-10)
    drawn = BANDIT.sample_behaviour(200_000, np.random.default_rng(0))
    counts = cells.count(drawn)
    assert counts.sum() == 200_000
    assert counts[-1] == 0
    error = (counts[:-1] / 200_000 - cells.beta) / np.sqrt(cells.beta / 200_000)
    assert np.abs(error).max() < 5
    assert cells.beta[3 * 8 :].max() < 1.1 * cells.beta[3 * 8 :].min()


def test_the_law_itself_has_divergence_zero_and_the_error_is_of_the_stated_size():
    cells = proposition_kl.Cells(6, 16)
    found = [
        proposition_kl.divergence(cells, BANDIT.sample_behaviour(50_000, np.random.default_rng(s))) for s in range(20)
    ]
    assert abs(np.mean([d.kl_cells for d in found])) < 2e-4  # the bias, 1.2e-3, is taken off
    assert found[0].bias == pytest.approx(len(cells.beta) / 1e5, rel=0.05)
    assert all(d.ood == 0 and d.empty == 0 for d in found)


def test_a_known_policy_has_its_divergence():
    # A Gaussian, whose KL and δ are known by quadrature, sampled and clamped to the box as a policy's action is.
    law, nodes = mixtures.Gaussians(np.ones(1), np.zeros((1, 2)), 0.3 * np.eye(2)[None]), proposition_kl.nodes()
    drawn = np.random.default_rng(0).normal(size=(1_000_000, 2)) * np.sqrt(0.3)
    found = [proposition_kl.divergence(proposition_kl.Cells(n, 4 * n), np.clip(drawn, -1, 1)) for n in (6, 24)]
    kl, ood = mixtures.divergence(nodes, law), mixtures.ood_probability(nodes, law)
    assert found[1].ood == pytest.approx(ood, abs=5 * found[1].ood_error)
    assert found[0].kl_cells < found[1].kl_cells < kl  # coarser cells lose more
    for one in found:
        assert one.kl == pytest.approx(kl, abs=4 * one.kl_error + 0.003)
    assert found[1].kl_error == pytest.approx(0.0015, abs=0.001)
    assert found[1].ood < found[1].bound


def test_actions_on_the_boxs_edge_are_atoms_and_outside():
    cells = proposition_kl.Cells(2, 4)
    actions = np.array([[1.0, 0.0], [0.0, -1.0], [0.999, 0.0], [1.0, 1.0], [0.5, 0.0], [0.0, 0.0]])
    counts = cells.count(actions)
    assert counts[-1] == 4
    assert counts.sum() == 6
    assert BANDIT.support(actions[:1]).all()  # the annulus touches the box there


def test_a_policy_on_the_centre_alone_is_never_outside_and_as_far_as_counting_can_tell():
    centre = dataset(20_000).actions
    centre = centre[BANDIT.region(centre) == "centre"]
    found = proposition_kl.divergence(proposition_kl.Cells(4, 8), centre)
    assert found.ood == 0
    assert found.empty == pytest.approx(0.8)
    assert found.bound > 0.95


def test_many_actions_are_drawn_in_portions_of_one_stream():
    stack = bandit.train("bc-cvae", (3,), 1, {"hidden": "8"}, device="cpu").stack
    drawn = bandit.draw_actions(stack, 2**16 + 3)
    assert drawn.shape == (1, 2**16 + 3, 2)
    assert len(np.unique(drawn[0], axis=0)) > 60_000  # no portion repeats another
    np.testing.assert_array_equal(drawn, bandit.draw_actions(stack, 2**16 + 3))


def test_angles_to_the_normal():
    anchors = np.array([[0.85, 0.0], [0.0, 0.85], [0.6, 0.6]])
    steps = np.array([[-0.1, 0.0], [0.3, 0.0], [0.1, 0.0]])
    np.testing.assert_allclose(geometry.normal_angles(steps, anchors), [0, 90, 45], atol=1e-5)
    assert geometry.leaves(anchors, steps).tolist() == [False, False, False]
    assert geometry.leaves(anchors, 3 * steps).tolist() == [True, True, True]
    with pytest.raises(RamacError, match="length 0"):
        geometry.normal_angles(0 * steps, anchors)


def test_ring_anchors_are_the_rings_law():
    anchors = geometry.ring_anchors(5000, np.random.default_rng(0))
    assert anchors.shape == (5000, 2)
    assert (BANDIT.region(anchors) == "ring").all()
    assert np.hypot(*anchors.T).mean() == pytest.approx(0.85, abs=0.003)
    with pytest.raises(RamacError, match="count is 0"):
        geometry.ring_anchors(0, np.random.default_rng(0))


def test_steps_and_gradients_of_an_anchored_policy():
    options = {"hidden": "8", "residual_hidden": "8", "critic_hidden": 8, "critic_encoder": 8, "policy_steps": 2}
    method = bandit.train("oraac-diffusion", (3,), 4, options, device="cpu").stack
    anchors = geometry.ring_anchors(6, np.random.default_rng(0))
    moved = geometry.steps(method, anchors)
    at = torch.as_tensor(anchors)[None]
    want = method.policy.perturb(at, torch.zeros(1, 6, 1)).detach().numpy()
    np.testing.assert_allclose(np.clip(anchors + moved, -1, 1), want, atol=1e-6)
    gradient = geometry.gradients(method, anchors)

    def value(x):
        x = torch.as_tensor(x, dtype=torch.float32)[None]
        with torch.no_grad():
            quantiles = method.critic(torch.zeros_like(x[..., :1]), x, method.active_grid).amin(dim=1)
        return (quantiles @ method.active_weights).numpy()

    for k, e in enumerate(1e-2 * np.eye(2)):
        slope = (value(anchors + e) - value(anchors - e)) / 2e-2
        np.testing.assert_allclose(gradient[..., k], slope, atol=0.05 * np.abs(gradient).max() + 1e-4)


def test_a_flow_on_the_line_clones_and_its_law_is_counted_exactly():
    law = line.two_modes()
    data = line.sample(law, 5000, np.random.default_rng(0))
    assert np.abs(data).min() > 0.2
    assert np.abs(data).max() < 0.8
    exact = np.sort(line.sample(law, 400_000, np.random.default_rng(1)))
    kl, ood, empty = line.compare(law, exact, 20)
    assert empty == 0
    assert line.compare(law, exact[exact > 0], 20)[2] == pytest.approx(0.5)
    assert kl == pytest.approx(20 / 400_000, rel=1.5)
    assert ood == 0
    untrained, trained = (line.fit_flow(data, n) for n in (1, 400))
    far, near = (line.compare(law, line.push(p, 100_000), 20) for p in (untrained, trained))
    assert near[0] < 0.5 * far[0]
    assert near[1] < far[1]
    assert (np.diff(line.push(trained, 1000)) >= -1e-4).all()  # monotone, as an exact flow on the line is


def test_bad_input():
    with pytest.raises(RamacError, match="rings is 3"):
        proposition_kl.Cells(3, 8)
    with pytest.raises(RamacError, match="no actions"):
        proposition_kl.Cells(2, 4).count(np.zeros((0, 2)))
    with pytest.raises(RamacError, match="gap is 1"):
        line.two_modes(1.0)
    with pytest.raises(RamacError, match="0 actions"):
        line.compare(line.two_modes(), np.empty(0), 5)
