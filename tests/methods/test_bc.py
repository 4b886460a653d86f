"""The cloning methods: their one loss, what they share with the methods they are the η = 0 of, what they learn."""

import dataclasses

import pytest
import torch
from method_helpers import ACT, OBS, B, S, assert_gradients, batch, intercept, make

from ramac_lib.envs.tasks import TASKS
from ramac_lib.methods import get_method

CLONES = {"bc-diffusion": "radac", "bc-flow": "rafmac", "bc-cvae": "cvae-ql"}
EVERY = (*CLONES, "bc-gaussian")


@pytest.mark.parametrize("name", EVERY)
def test_the_only_loss_is_the_policys_own(name):
    method, data = make(name), batch()
    seen, state = intercept(method), method.noise.state()
    metrics = method.update(data)
    method.noise.load_state(state)
    assert set(seen) == {"policy"}
    if name == "bc-diffusion":
        draws = (method.noise.integers(5, B), method.noise.normal(B, ACT))
    elif name == "bc-flow":
        draws = (method.noise.uniform(B), method.noise.normal(B, ACT))
    else:
        draws = (method.noise.normal(B, 2 * ACT),) if name == "bc-cvae" else ()
    loss = method.policy.bc_loss(data.observations, data.actions, *draws)
    torch.testing.assert_close(seen["policy"][0], loss.detach())
    torch.testing.assert_close(metrics["bc_loss"], loss.detach())
    assert_gradients(seen["policy"][1], loss, method.policy)


@pytest.mark.parametrize("name", EVERY)
def test_rewards_next_states_and_ends_do_not_matter(name):
    one, other = make(name), make(name)
    for k in range(3):
        data, another = batch(k), batch(k + 10)
        one.update(data)
        other.update(another._replace(observations=data.observations, actions=data.actions))
    for a, b in zip(one.policy.parameters(), other.policy.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("name", CLONES)
@pytest.mark.parametrize("task", TASKS)
def test_a_clone_has_the_policy_of_the_method_it_is_compared_with(name, task):
    clone, method = (get_method(n).Config.for_task(task) for n in (name, CLONES[name]))
    shared = {"hidden", "activation", "policy_steps", "kl_weight", "batch_size", "lr_actor"}
    shared &= {field.name for field in dataclasses.fields(clone)}
    assert len(shared) == 5
    if task.startswith("navigation") and hasattr(method, "n_fractions"):  # its critics need larger batches than a clone
        shared.remove("batch_size")
        assert (clone.batch_size, method.batch_size) == (64, 128)
    assert {k: getattr(clone, k) for k in shared} == {k: getattr(method, k) for k in shared}


@pytest.mark.parametrize("name", EVERY)
def test_gradients_are_clipped_for_each_seed(name):
    method, data = make(name, grad_clip=1e-3), batch()
    optimizer = method.optimizers["policy"]
    seen = {}
    optimizer._descend = lambda gradients: seen.update(g=[g.clone() for g in gradients])
    norms = method.update(data)["policy_grad_norm"]
    assert norms.min() > 1e-3
    clipped = torch.stack([g.flatten(1).square().sum(1) for g in seen["g"]]).sum(0).sqrt()
    torch.testing.assert_close(clipped, torch.full((S,), 1e-3), rtol=2e-3, atol=0)


@pytest.mark.parametrize("name", EVERY)
def test_learns_an_action_for_each_state(name):
    """Data with one action a state, a = ±(.5, −.5) by the sign of s₁, and a policy that then tells the states apart."""
    method = make(name, hidden=(32, 32), lr_actor=5e-3, seeds=(0,))
    target = torch.tensor([0.5, -0.5])
    for k in range(400):
        data = batch(k, seeds=1, rows=64)
        sign = data.observations[..., :1].sign()
        method.update(data._replace(actions=sign * target, observations=sign.expand(-1, -1, OBS)))
    for sign in (1.0, -1.0):
        actions = method.act(torch.full((1, 200, OBS), sign), method.noise)
        error = (actions - sign * target).abs().mean()
        assert error < 0.15


def test_one_gaussian_puts_the_mean_of_two_modes_between_them():
    """Of actions ± .5 in every state the likeliest squashed Gaussian has μ = 0 and σ = atanh(.5)."""
    method = make("bc-gaussian", hidden=(16,), lr_actor=1e-2, seeds=(0,))
    for k in range(500):
        data = batch(k, seeds=1, rows=64)
        signs = torch.ones(64, 1).index_fill(0, torch.arange(0, 64, 2), -1.0)
        method.update(data._replace(actions=(0.5 * signs).expand(1, 64, ACT)))
    mean, log_std = method.policy.moments(batch(1, seeds=1).observations)
    assert mean.abs().max() < 0.1
    torch.testing.assert_close(log_std.exp(), torch.full_like(log_std, 0.5493), rtol=0, atol=0.05)
