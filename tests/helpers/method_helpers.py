"""Small methods, batches and tools that the tests of methods share."""

import dataclasses

import numpy as np
import torch

from ramac_lib.datasets.batches import Batch, Chunks, Windows
from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods import get_method

S, B, OBS, ACT = 2, 6, 3, 2
# What only a method with a model of the data's returns has.
WINDOWS = {
    "window": 5, "window_step": 2, "model_hidden": (16, 16), "model_share": 0.002, "scales": 4, "samples": 4,
}  # fmt: skip
# What is taken from the data and does not learn.
FITTED = {"shift", "scale", "limits", "reward_unit", "goal"}
SMALL = {"hidden": (16, 16), "critic_hidden": (16, 16), "flow_hidden": (16, 16), "batch_size": B, **WINDOWS}


def make(name, *, steps=1000, seeds=(0, 1), dims=(OBS, ACT), task="hopper-medium-expert", **options):
    """Build a method of plain Q critics, or of none, with narrow networks."""
    cls = get_method(name)
    known = {field.name for field in dataclasses.fields(cls.Config)}
    small = {key: value for key, value in SMALL.items() if key in known}
    return fitted(cls(dataclasses.replace(cls.Config.for_task(task), **(small | options)), *dims, seeds, steps))


def fitted(method):
    """Give a method what it takes from whole data: six episodes of ten random steps."""
    rng = np.random.default_rng(0)
    costs = (np.random.default_rng(1).random(60) < 0.2).astype(np.float32) if "costs" in method.needs else None
    states = rng.standard_normal((61, method.dims[0])).astype(np.float32)
    method.fit_data(Dataset(
        observations=states[:-1], actions=rng.uniform(-1, 1, (60, method.dims[1])).astype(np.float32),
        rewards=rng.standard_normal(60).astype(np.float32), next_observations=states[1:],
        terminals=np.arange(1, 61) % 10 == 0, timeouts=np.zeros(60, bool), env_id="Hopper-v5",
        costs=costs,
    ))  # fmt: skip
    return method


def episodes(lengths, rewards, costs, terminal=True):
    """Episodes of given lengths, rewards and costs by step, which all end alike."""
    total, ends = sum(lengths), np.cumsum(lengths) - 1
    last = np.zeros(total, bool)
    last[ends] = True
    states = np.arange(total + 1, dtype=np.float32)[:, None]
    return Dataset(
        observations=states[:-1], actions=np.zeros((total, 1), np.float32), next_observations=states[1:],
        rewards=np.array(rewards, np.float32), terminals=last & terminal, timeouts=last & (not terminal),
        env_id="Own-v0", costs=None if costs is None else np.array(costs, np.float32),
    )  # fmt: skip


def batch(seed=0, seeds=S, rows=B, dims=(OBS, ACT), of=None):
    """Draw transitions, or what the method `of` samples: windows with returns, or chunks; with costs if needed."""
    sampling = of.sampling() if of is not None else None
    steps = (sampling.length,) if isinstance(sampling, Windows | Chunks) else ()
    g = torch.Generator().manual_seed(seed)
    drawn = Batch(
        torch.randn(seeds, rows, *steps, dims[0], generator=g),
        2 * torch.rand(seeds, rows, *steps, dims[1], generator=g) - 1,
        10 * torch.randn(seeds, rows, *steps, generator=g),
        torch.randn(seeds, rows, *steps, dims[0], generator=g),
        (torch.rand(seeds, rows, *steps, generator=g) < 0.4).float(),
    )
    if of is None or "costs" in of.needs:
        drawn = drawn._replace(costs=(torch.rand(drawn.rewards.shape, generator=g) < 0.3).float())
    if isinstance(sampling, Chunks):
        edges = {"observations": drawn.observations[:, :, 0], "next_observations": drawn.next_observations[:, :, -1]}
        return drawn._replace(**edges, terminals=drawn.terminals[:, :, -1], mask=torch.ones_like(drawn.rewards))
    if not steps:
        return drawn
    sums = {"returns": drawn.rewards.sum(2), "cost_returns": None if drawn.costs is None else drawn.costs.sum(2)}
    return drawn._replace(mask=torch.ones_like(drawn.rewards), **sums)


@torch.no_grad()
def scramble(network, seed=0, scale=0.3):
    """Move a network's parameters, so that it differs from its copies."""
    g = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter += scale * torch.randn(parameter.shape, generator=g)


def moved(name, **options):
    """Build a method whose networks and targets all differ."""
    method = make(name, **options)
    scramble(method.critic, 1)
    scramble(method.target_critic, 2)
    scramble(method.policy, 3)
    if hasattr(method, "target_policy"):
        scramble(method.target_policy, 4)
    return method


def intercept(method):
    """Record each optimiser's loss and gradients in the dict returned, instead of moving parameters."""
    seen = {}
    for name, optimizer in method.optimizers.items():

        def step(loss, name=name, optimizer=optimizer):
            seen[name] = (loss.detach(), torch.autograd.grad(loss.sum(), optimizer.parameters))
            return torch.zeros_like(loss)

        optimizer.step = step
    return seen


def assert_gradients(seen, loss, network):
    """Compare recorded gradients with those of a loss written out in the test."""
    expected = torch.autograd.grad(loss.sum(), list(network.parameters()))
    for mine, theirs in zip(seen, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-6)


def parameters(network):
    return [p.detach().clone() for p in network.parameters()]


def same(before, network):
    """Return for each parameter whether it still has the value it had."""
    return [torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
