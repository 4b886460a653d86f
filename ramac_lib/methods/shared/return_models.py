"""Models of the data's Monte-Carlo returns given (s, a): a consistency model, and quantile regression beside it.

Returns are scaled to [−1, 1]. Each model says how it learns from a batch of windows, and how wide the distribution is.
"""

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib import risk
from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.returns import monte_carlo
from ramac_lib.methods.shared import base, short_runs
from ramac_lib.methods.shared.ranges import WIDTH
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.consistency import Preconditioned, consistency_loss, denoising_loss, one_step, scales
from ramac_lib.networks.critics import IQNCritic
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.quantile_loss import quantile_huber
from ramac_lib.system.errors import RamacError

RATE_CAP = 1e-3  # up to which a short run raises the models' rate
SCORES = 0.4  # share of a distilled model's updates that its score model has
FRACTIONS, KAPPA = 32, 0.02  # of the quantile regression; κ is small against returns from −1 to 1


@dataclass(frozen=True)
class ReturnModelConfig(base.CriticConfig):
    """Settings of windows and of the model of their returns."""

    window: int = 200  # steps
    window_step: int = 10
    window_limit: int = 100  # of an episode
    model: Literal["consistency", "distilled", "quantiles"] = "consistency"
    model_share: float = 0.4  # of the run, in which it alone learns
    model_hidden: tuple[int, ...] = field(default=(256, 256, 256), metadata={"range": replace(WIDTH, entries=1)})
    # Of the consistency model; ReLU on the two worlds. On the bandit, where returns have a standard deviation of 2.2 on
    # the ring and 0 in the centre, it said 1.50 and 1.49 with SiLU, 1.36 and .94 with ReLU, the quantiles 1.75 and .99
    # (2,000 updates, means of seeds 100 and 101).
    model_activation: str = "silu"
    lr_model: float = 4e-4
    scales: int = 18  # of the consistency model
    teacher_rate: float = 0.005  # how far its average follows at an update; the short runs' rule is the targets'
    samples: int = 16  # for a standard deviation


class ReturnModel(nn.Module):
    """A distribution of returns given (s, a), for a method whose optimisers, sizes and rates it takes."""

    lowest: Tensor  # return of the data, and half the way from it to the highest
    half_range: Tensor
    states: Tensor
    actions: Tensor
    values: Tensor

    def __init__(self, method: Any) -> None:
        super().__init__()
        self.samples = method.config.samples
        self.register_buffer("lowest", torch.zeros((), device=method.device), persistent=False)

    def fit_data(self, method: Any, data: Dataset) -> None:
        """Take the windows' returns, scaled to [−1, 1], and the states and actions that they begin with.

        Raises:
            RamacError: windows are longer than every episode, so that only first states would have a return.
        """
        config, longest = method.config, max(stop - first for first, stop in data.episode_bounds())
        if config.window > longest:
            raise RamacError(
                f"{data.name}: windows of {config.window} steps are longer than every episode; the longest has "
                f"{longest}, so set `window` to that or less"
            )
        found = monte_carlo(data, config.discount, config.window, config.window_step, config.window_limit)
        low, high = float(found.values.min()), float(found.values.max())
        half = (high - low) / 2 or 1.0
        kept = {
            "lowest": low, "half_range": half, "states": data.observations[found.rows],
            "actions": data.actions[found.rows], "values": (found.values - low) / half - 1,
        }  # fmt: skip
        for name, values in kept.items():
            tensor = torch.as_tensor(values, dtype=torch.float32, device=method.device)
            self.register_buffer(name, tensor, persistent=False)

    def windows(self, method: Any) -> tuple[Float[Tensor, "S B s"], Float[Tensor, "S B a"], Float[Tensor, "S B"]]:
        """Return a batch of windows' states, as networks see them, actions and scaled returns."""
        rows = method.noise.integers(len(self.values), method.config.batch_size)
        return method.scaled(self.states[rows]), self.actions[rows], self.values[rows]

    @abstractmethod
    def learn(self, method: Any, scores: bool) -> base.Metrics:
        """Make one update from a batch of windows; `scores`: of the score model, where there is one."""

    @abstractmethod
    def scaled_spread(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], noise: Noise
    ) -> Float[Tensor, "S B"]:
        """Return the standard deviation of each row's distribution of scaled returns."""

    def spread(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], noise: Noise
    ) -> Float[Tensor, "S B"]:
        """Return the standard deviation of each row's distribution, in units of return."""
        return self.half_range * self.scaled_spread(observations, actions, noise)


def _optimiser(method: Any, network: nn.Module, stack_rank: int = 1) -> StackedAdam:
    config, rate = method.config, method.config.lr_model
    if config.short_run_rate:
        rate = short_runs.short_run_rate(rate, method.steps, RATE_CAP)
    return StackedAdam(network, rate, stack_rank=stack_rank)


class ConsistencyReturns(ReturnModel):
    """A consistency model, trained on the windows or distilled from a score model of them."""

    times: Tensor

    def __init__(self, method: Any) -> None:
        super().__init__(method)
        kinds = {"hidden": method.config.model_hidden, "activation": method.config.model_activation}
        self.model = method.new(Preconditioned(method.stack, *method.dims, **kinds))
        self.teacher = method.target_of(self.model)
        method.optimizers["model"] = _optimiser(method, self.model)
        config, self.teacher_rate = method.config, method.config.teacher_rate
        if config.short_run_rate:
            self.teacher_rate = short_runs.target_rate(self.teacher_rate, method.steps, config.target_rate_cap)
        self.denoiser: Preconditioned | None = None
        if method.config.model == "distilled":
            self.denoiser = method.new(Preconditioned(method.stack, *method.dims, start=0.0, **kinds))
            method.optimizers["denoiser"] = _optimiser(method, self.denoiser)
        self.register_buffer("times", scales(method.config.scales).to(method.device), persistent=False)

    def learn(self, method: Any, scores: bool) -> base.Metrics:
        """Make one update of the score model, or of the consistency model and then its average."""
        windows, noise, rows = self.windows(method), method.noise, method.config.batch_size
        if scores:
            assert self.denoiser is not None
            loss = denoising_loss(self.denoiser, *windows, (noise.normal(rows), noise.normal(rows)))
            return {"score_loss": loss.detach(), "score_grad_norm": method.optimizers["denoiser"].step(loss)}
        draws = noise.integers(len(self.times) - 1, rows), noise.normal(rows)
        loss = consistency_loss(self.model, self.teacher, *windows, draws, self.times, self.denoiser)
        norm = method.optimizers["model"].step(loss)
        base.follow(self.teacher, self.model, self.teacher_rate)
        return {"model_loss": loss.detach(), "model_grad_norm": norm}

    def scaled_spread(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], noise: Noise
    ) -> Float[Tensor, "S B"]:
        """Return the standard deviation of samples of one step."""
        return one_step(self.teacher, observations, actions, noise.normal(actions.shape[1], self.samples)).std(dim=2)


class QuantileReturns(ReturnModel):
    """One implicit quantile network, fitted to the windows by eq. 7."""

    taus: Tensor

    def __init__(self, method: Any) -> None:
        super().__init__(method)
        hidden = method.config.model_hidden[0]
        self.model = method.new(IQNCritic(method.stack, *method.dims, hidden=hidden, embedding=64, n_critics=1))
        method.optimizers["model"] = _optimiser(method, self.model, stack_rank=2)
        taus = torch.as_tensor(risk.grid(FRACTIONS), dtype=torch.float32, device=method.device)
        self.register_buffer("taus", taus, persistent=False)

    def learn(self, method: Any, scores: bool) -> base.Metrics:
        """Make one update."""
        states, actions, values = self.windows(method)
        quantiles = self.model(states, actions, self.taus)
        loss = quantile_huber(quantiles, values[:, None, :, None], self.taus, kappa=KAPPA)
        norm = method.optimizers["model"].step(loss)
        return {"model_loss": loss.detach().mean(1), "model_grad_norm": norm.mean(1)}

    def scaled_spread(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], noise: Noise
    ) -> Float[Tensor, "S B"]:
        """Return the standard deviation of the distribution that the quantiles make; nothing is drawn."""
        return self.model(observations, actions, self.taus)[:, 0].std(dim=2, correction=0)


def return_model(method: Any) -> ReturnModel:
    """Return the model that the method's config names."""
    return QuantileReturns(method) if method.config.model == "quantiles" else ConsistencyReturns(method)


class LearnsReturns(base.Method):
    """A method whose model of returns learns before its policy; it names the model `law`."""

    law: ReturnModel
    config: ReturnModelConfig

    def fit_data(self, data: Dataset) -> None:
        """Take the returns of the data's windows."""
        self.law.fit_data(self, data)

    @property
    def prelude(self) -> float:
        """The share of the run in which the model of returns learns."""
        return self.config.model_share

    def model_phase(self) -> dict[str, bool]:
        """Return whether the score model learns now, and whether any model of returns does."""
        progress, share = self.updates / self.steps, self.config.model_share
        scores = self.config.model == "distilled" and progress < SCORES * share
        return {"scores": scores, "models": progress < share}
