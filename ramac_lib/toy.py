"""Experiments on the Risky Bandit, whose laws are exact: training with snapshots, the critic alone, the best denoiser.

Chapters 1 and 3 run these. What a critic says and what a policy does are compared with the bandit's own laws, so no
number here needs rollouts.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib import training
from ramac_lib.bandit import MODES, Bandit, dataset
from ramac_lib.critics import IQNCritic
from ramac_lib.errors import RamacError
from ramac_lib.losses import quantile_huber
from ramac_lib.machine import get_device
from ramac_lib.methods import Method
from ramac_lib.methods.ramac import RAMAC
from ramac_lib.networks import initialise
from ramac_lib.noise import Noise
from ramac_lib.optim import StackedAdam
from ramac_lib.plots import interval
from ramac_lib.policies.base import Policy
from ramac_lib.policies.diffusion import DiffusionPolicy
from ramac_lib.policies.flow import FlowPolicy
from ramac_lib.replay import Replay
from ramac_lib.runs import make_config
from ramac_lib.tasks import BANDIT

Array = np.ndarray

# -- training ---------------------------------------------------------------------------------------------------------


class SnapshotTrainer(training.Trainer):
    """The training loop, which at each evaluation draws `count` actions of every seed in place of rollouts.

    Attributes:
        snapshots: update → actions (seeds, count, 2).
    """

    count = 4000

    def __post_init__(self) -> None:
        super().__post_init__()
        self.snapshots: dict[int, Float[Array, "seeds count 2"]] = {}

    def _evaluate(self) -> None:
        self.snapshots[self.step] = np.concatenate([draw_actions(stack, self.count) for stack in self.stacks])

    @property
    def actions(self) -> Float[Array, "seeds count 2"]:
        """What the policies do at the end of training."""
        return self.snapshots[self.step]


def train(
    method: str,
    seeds: Sequence[int],
    steps: int,
    options: Mapping[str, Any] | None = None,
    *,
    every: int | None = None,
    device: str = "auto",
    bandit: Bandit | None = None,
    count: int = 4000,
) -> SnapshotTrainer:
    """Train a method on the bandit's data and return it with its actions every `every` updates (default: at the end).

    Args:
        options: settings that depart from the method's own on the bandit.
        bandit: whose data, where its constants are not the default.
        count: actions drawn at each of those moments.

    Raises:
        RamacError: an unknown method or option.
    """
    config = make_config(method, BANDIT, seeds, steps, {k: str(v) for k, v in (options or {}).items()})
    schedule = training.Schedule(eval_every=every or steps)
    data = dataset(bandit=bandit) if bandit else training.load_data(config, progress=False)
    trainer = SnapshotTrainer(config, data, get_device(device), schedule=schedule)
    trainer.count = count
    trainer.run(progress=False)
    return trainer


def draw_actions(stack: Method, count: int) -> Float[Array, "seeds count 2"]:
    """Return `count` actions of each seed's deployed policy in the bandit's only state."""
    noise = Noise(stack.seeds, "evaluation", stack.device)
    return stack.act(torch.zeros(*stack.stack, count, 1, device=stack.device), noise).cpu().numpy()


def evaluate(
    actions: Float[Array, "seeds count 2"], seeds: Sequence[int], bandit: Bandit | None = None
) -> pd.DataFrame:
    """Return `Bandit.evaluate` of each seed's actions, one row a seed."""
    bandit = bandit or Bandit()
    return pd.DataFrame([bandit.evaluate(a) for a in actions], index=pd.Index(list(seeds), name="seed"))


def summary(tables: Mapping[str, pd.DataFrame], columns: Mapping[str, str]) -> pd.DataFrame:
    """Return mean ± standard error over seeds as text, one row a table; a single seed has no error.

    Args:
        tables: name → one row a seed, of `evaluate`.
        columns: column of these → heading.
    """
    rows = {}
    for name, table in tables.items():
        rows[name] = [estimate(table[column]) for column in columns]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(columns.values()))


def estimate(values: Float[Array, " seeds"] | pd.Series) -> str:
    """Return mean ± standard error as short text, .85±.02; a single seed has no error."""
    mean, error = interval(np.asarray(values, dtype=float))
    text = f"{mean:.2f}±{error:.2f}" if len(values) > 1 else f"{mean:.2f}"
    return re.sub(r"(?<!\d)0(?=\.)", "", text)


def verdict(passed: Sequence[bool], partly: Sequence[bool] = ()) -> str:
    """Return holds (every seed passes), does not hold (none passes, not even `partly`), else holds in part."""
    if all(passed):
        return "holds"
    return "holds in part" if any(passed) or any(partly) else "does not hold"


# -- the critic -------------------------------------------------------------------------------------------------------


def fit_critic(
    seeds: Sequence[int], steps: int, options: Mapping[str, Any] | None = None, *, method: str = "radac"
) -> RAMAC:
    """Train a method's critics alone, by its own loss and optimiser, on the bandit's data; its policy stays untrained.

    Over the last third the rate falls to zero, so that the last batches do not show in what was learned: at a constant
    rate the ring's CVaR_0.1 wanders by ± .3 from one batch to the next.

    Raises:
        RamacError: an unknown method or option, or a method without a distributional critic.
    """
    config = make_config(method, BANDIT, seeds, steps, {k: str(v) for k, v in (options or {}).items()})
    data = dataset()
    fitted = training.build(config, data, torch.device("cpu"), seeds)
    if not isinstance(fitted, RAMAC):
        raise RamacError(f"{method} has no distributional critic; expected radac or rafmac")
    replay, optimizer = Replay(data), fitted.optimizers["critic"]
    rate = optimizer.adam.param_groups[0]["lr"]
    for k in range(steps):
        optimizer.adam.param_groups[0]["lr"] = rate * min(1.0, 3 * (1 - k / steps))
        batch = replay.sample(fitted.batches, config.settings.batch_size)
        targets, _ = fitted.target_returns(batch)
        loss, _ = fitted.critic_loss(batch, targets)
        optimizer.step(loss)
    return fitted


def probes(mode: str, n: int = 16, bandit: Bandit | None = None) -> Float[Array, "n 2"]:
    """Return `n` actions in a mode: evenly spread on the ring's middle circle, or on a spiral over half the disc."""
    bandit = bandit or Bandit()
    k = np.arange(n)
    # The golden angle spreads a spiral's points evenly; radius ∝ √k gives each the same area.
    spiral = bandit.centre_edge / 2 * np.sqrt((k + 0.5) / n), k * np.pi * (3 - np.sqrt(5))
    radius, angle = spiral if mode == "centre" else (np.full(n, bandit.ring_radius), 2 * np.pi * k / n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


@torch.no_grad()
def critic_quantiles(method: RAMAC, mode: str) -> Float[Array, "seeds 2 n N"]:
    """Return each critic's quantiles on the method's grid at the probe actions of a mode."""
    actions = torch.as_tensor(probes(mode), dtype=torch.float32, device=method.device).expand(*method.stack, -1, -1)
    return method.critic(torch.zeros_like(actions[..., :1]), actions, method.grid).cpu().numpy()


def critic_errors(method: RAMAC, bandit: Bandit | None = None) -> pd.DataFrame:
    """Return what each critic says of each mode's risk (mean over the probes) beside the exact grid functional.

    Columns: seed, critic, mode, learned, exact, error and worst, the largest |error| of a single probe.
    """
    bandit = bandit or Bandit()
    weights = method.config.weights()
    rows = []
    for mode in MODES:
        exact = bandit.grid_risk(mode, weights)
        for seed, pair in zip(method.seeds, critic_quantiles(method, mode) @ weights, strict=True):
            for critic, values in enumerate(pair, 1):
                found = {"learned": values.mean(), "exact": exact, "error": values.mean() - exact}
                rows.append(
                    {"seed": seed, "critic": critic, "mode": mode, **found, "worst": np.abs(values - exact).max()}
                )
    return pd.DataFrame(rows)


def fit_law(
    draw: Callable[[int, np.random.Generator], Float[Array, " n"]],
    n_fractions: int,
    steps: int,
    *,
    axis: str = "prediction",
    seed: int = 0,
    batch: int = 256,
) -> Float[Array, "2 N"]:
    """Return the quantiles that the library's double critic learns of a law, from fresh draws, on the fixed grid.

    Args:
        draw: (n, generator) → n independent draws of the law.
        axis: of `quantile_huber`; the draws are in no order, as targets at random fractions are.
    """
    critic = IQNCritic((1,), 1, 1, hidden=128, embedding=64)
    initialise(critic, Noise([seed], "init").generators)
    optimizer = StackedAdam(critic, 3e-3, stack_rank=2)
    taus = torch.as_tensor((np.arange(n_fractions) + 0.5) / n_fractions, dtype=torch.float32)
    rng = np.random.default_rng(seed)
    nothing = torch.zeros(1, 1, 1)  # the law depends on no state and no action, so that one row stands for all
    for k in range(steps):
        samples = torch.as_tensor(draw(batch, rng), dtype=torch.float32)
        targets = samples.reshape(1, 1, batch // n_fractions, n_fractions)
        optimizer.adam.param_groups[0]["lr"] = 3e-3 * (1 - k / steps)
        quantiles = critic(nothing, nothing, taus).expand(1, 2, targets.shape[2], n_fractions)
        optimizer.step(quantile_huber(quantiles, targets, taus, axis=axis))
    with torch.no_grad():
        return critic(nothing, nothing, taus)[0, :, 0].numpy()


# -- what a chain can do at best --------------------------------------------------------------------------------------


class Empirical(nn.Module):
    """In place of a policy's network: the exact minimiser of its cloning loss under the data's empirical law.

    A diffusion's is E[ε | x_t], a flow's E[a − z | x_t]; both follow from the posterior mean of the action given the
    noisy one x_t = scale_t · a + σ_t · noise. A network can only be worse at this loss.
    """

    def __init__(self, policy: Policy, actions: Float[Array, "n a"]) -> None:
        super().__init__()
        if not isinstance(policy, DiffusionPolicy | FlowPolicy):
            raise RamacError(f"{type(policy).__name__} has no exact denoiser; expected a diffusion or a flow policy")
        self.policy = (policy,)  # in a tuple: it is no child of this module
        self.actions = torch.as_tensor(actions, dtype=torch.float32)

    def time(self, times: Tensor) -> Tensor:
        """Return the time itself, in steps, where a network would embed it."""
        return (times if times.ndim > 1 else times[None])[..., None]

    def forward(
        self, x: Float[Tensor, "S B a"], t: Float[Tensor, "S B 1"], s: Float[Tensor, "S B s"]
    ) -> Float[Tensor, "S B a"]:
        """Return what the network is trained towards at `x` and time `t` (its row axis may be 1)."""
        (policy,) = self.policy
        if isinstance(policy, DiffusionPolicy):
            scale, sigma = policy.sqrt_bar[t.long()], policy.sqrt_one_minus_bar[t.long()]
        else:
            scale, sigma = t / policy.steps, 1 - t / policy.steps
        # −‖x − scale · a‖² / 2σ², less what does not depend on a.
        logits = (scale * (x @ self.actions.T) - scale**2 * self.actions.square().sum(1) / 2) / sigma**2
        action = torch.softmax(logits, dim=-1) @ self.actions
        return (x - scale * action) / sigma if isinstance(policy, DiffusionPolicy) else (action - x) / sigma


def best_policy(kind: str, steps: int, actions: Float[Array, "n a"]) -> Policy:
    """Return the library's own `diffusion` or `flow` sampler of `steps` steps around the exact minimiser.

    Raises:
        RamacError: another kind.
    """
    kinds: dict[str, tuple[Any, str]] = {
        "diffusion": (DiffusionPolicy, "noise_prediction"),
        "flow": (FlowPolicy, "velocity"),
    }
    if kind not in kinds:
        raise RamacError(f"kind of policy is {kind!r}; expected diffusion or flow")
    sampler, network = kinds[kind]
    policy: Policy = sampler((1,), 1, actions.shape[1], steps=steps)
    setattr(policy, network, Empirical(policy, actions))
    return policy


@torch.no_grad()
def path(policy: Policy, count: int, seed: int = 0) -> Float[Array, "steps+1 count a"]:
    """Return `count` samples at every step of a one-seed policy's chain or flow, from noise to the action."""
    network: Any = policy.noise_prediction if isinstance(policy, DiffusionPolicy) else policy.velocity
    points: list[Tensor] = []
    hook = network.register_forward_pre_hook(lambda _, args: points.append(args[0]))
    try:
        noise = Noise([seed], "evaluation").normal(*policy.noise_shape(count))
        points.append(policy.sample(noise, torch.zeros(1, count, 1)))
    finally:
        hook.remove()
    return torch.stack(points)[:, 0].numpy()
