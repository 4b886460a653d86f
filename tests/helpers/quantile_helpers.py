"""What the tests of methods with quantile critics share, and those of all methods."""

import dataclasses

import torch
from method_helpers import WINDOWS, fitted
from torch import distributions

from ramac_lib.methods import get_method

S, B, OBS, ACT, N, K = 2, 6, 3, 2, 8, 4
SMALL = {
    "hidden": (16, 16), "residual_hidden": (16, 12), "critic_encoder": 12, "embedding": 8, "n_cos": 8, "batch_size": B,
    "n_fractions": N, "n_risk_fractions": K, "n_actions": 3, "candidates": 5, **WINDOWS,
    "inverse_hidden": (16, 16), "length": 3, "flow_hidden": (16, 16), "q_from": 0.002,
    "value_share": 0.002,
}  # fmt: skip


def make(name, steps=1000, seeds=(0, 1), task="hopper-medium-expert", small=True, **options):
    """Build any method, with narrow networks unless told otherwise."""
    cls = get_method(name)
    config = cls.Config.for_task(task)
    names = {field.name for field in dataclasses.fields(config)}
    sizes = {k: v for k, v in SMALL.items() if k in names and (name, k) != ("codac", "embedding")}
    if "critic_hidden" in names:
        sizes["critic_hidden"] = (16, 16) if isinstance(config.critic_hidden, tuple) else 16
    return fitted(cls(dataclasses.replace(config, **{**(sizes if small else {}), **options}), OBS, ACT, seeds, steps))


def intercept(method):
    """Record the optimisers' losses, with their graphs, in place of their steps."""
    seen = {}
    for name, optimizer in method.optimizers.items():

        def step(loss, name=name):
            seen[name] = loss
            return torch.zeros_like(loss)

        optimizer.step = step
    return seen


def reaches(loss, network):
    """Whether a loss has a gradient in any of a network's parameters; it must be all or none."""
    gradients = torch.autograd.grad(loss.sum(), list(network.parameters()), allow_unused=True, retain_graph=True)
    found = {g is not None and bool(g.any()) for g in gradients}
    assert len(found) == 1
    return found.pop()


def law_of(policy, states):
    """The tanh-Gaussian policy's μ, σ and torch's own transformed distribution of its actions."""
    mean, log_std = policy.mlp(states).chunk(2, dim=-1)
    std = log_std.clamp(-20, 2).exp()  # SAC's bounds
    normal = distributions.Normal(mean, std)
    return mean, std, distributions.TransformedDistribution(normal, distributions.TanhTransform())


def drawn(policy, noise, states):
    """Actions tanh(μ + σ z) and their log density, without the way back through atanh."""
    mean, std, law = law_of(policy, states)
    before = mean + std * noise
    stretch = distributions.TanhTransform().log_abs_det_jacobian(before, before.tanh())
    return before.tanh(), (law.base_dist.log_prob(before) - stretch).sum(-1)
