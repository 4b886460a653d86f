"""COptiDICE (Lee et al. 2022, "Offline Constrained RL via Stationary Distribution Correction Estimation", ICLR).

Objective. max_d E_d r − α D_f(d ‖ d^D) over stationary distributions d = w d^D whose cost a step, E_d c, is at most ĉ
(arXiv 2204.08957, eq. 3 to 12). With e = r − λc + γ(1−d)ν(s') − ν(s) and w = max(0, (f')⁻¹(e/α)),

    ν descends   (1−γ) E_{s₀} ν(s₀) + E_D[w e − α f(w)].

The cost of w is bounded from above, as an estimate from a few rows has an error. Of all data within KL ≤ ε of the batch
the costliest has the weights p ∝ exp(ℓ/τ), ℓ = (1−γ)χ(s₀) + w (c + γ(1−d)χ(s') − χ(s)): χ descends E_p ℓ, log τ ascends
by KL(p ‖ uniform) − ε, log λ by E_p[w c] − ĉ. The policy clones with the weights w, −E_D[w log π(a|s)]; tanh μ(s) is
deployed. f is ``softchi``, x log x − x + 1 below 1 and ½(x−1)² above, so that no w is 0, or ``chi``, ½(x−1)².

ĉ = (1−γ) ℓ, ℓ the discounted equivalent of κ violations an episode (`ramac_lib.methods.shared.limits`): w is a
distribution of single steps, so that its cost is too. That is about κ/T.

Differences from the public code that tables of benchmarks use (OSRL); `COptiDICEConfig.RELEASED` restores 1:

1. it compares the cost a step, at most 1, with ℓ (``threshold="sum"``), which for κ = 10 is 1.0 to 6.3 where episodes
   have 1000 to 100 steps: λ then falls to 0 even if every step costs 1, and no constraint is left;
2. it takes the lower of two ν and of two χ; one network each here, as in the paper;
3. initial states are those of the whole data, there those that a batch happens to hold;
4. time-outs are bootstrapped, rewards are not multiplied by .1, and no noise is added to what is cloned;
5. λ and τ are learned through their logarithms, there by a softplus. The original code (DeepMind's) also has a gradient
   penalty of weight 1e-5 on its networks, which is left out in both.
"""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.datasets.batches import Batch
from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods.shared import base, worlds
from ramac_lib.methods.shared.limits import LimitConfig, Limited
from ramac_lib.methods.shared.registry import SAFETY, register
from ramac_lib.methods.shared.stationary import DIVERGENCES, correction, f_divergence
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.layers import MLP, Multiplier
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.gaussian import GaussianPolicy
from ramac_lib.system.ranges import POSITIVE


@dataclass(frozen=True)
class COptiDICEConfig(LimitConfig):
    """COptiDICE's settings.

    Raises:
        RamacError: a limit below 0.
    """

    RELEASED: ClassVar[dict[str, Any]] = {"threshold": "sum"}

    discount: float = 0.99
    strength: float = field(default=0.5, metadata={"range": POSITIVE})  # α
    divergence: str = field(default="softchi", metadata={"range": DIVERGENCES})
    cost_radius: float = field(default=0.01, metadata={"range": POSITIVE})  # ε
    threshold: str = field(default="step", metadata={"range": ("step", "sum")})
    lr_actor: float = 1e-4
    lr_critic: float = 1e-4
    lr_dual: float = 1e-3  # of λ and τ
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    critic_hidden: tuple[int, ...] = (256, 256)
    grad_clip: float | None = None

    @classmethod
    def for_task(cls, task: str) -> "COptiDICEConfig":
        """Return the sizes and rates of the bandit and of navigation there, and the defaults elsewhere."""
        return cls(**worlds.settings(task, "policy", critic_hidden=(128, 128), lr_critic=1e-3))


@register("coptidice", label="COptiDICE", colour="#5D4E00", line="--", marker="$O$", needs=("costs",), group=SAFETY)
class COptiDICE(Limited, base.Method):
    """Cloning with the weights of the best stationary distribution within a limit on its cost."""

    Config: ClassVar[type[base.Config]] = COptiDICEConfig
    policy: GaussianPolicy
    starts: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config, sizes = self.config, (self.dims[0], *self.config.critic_hidden, 1)
        kinds: dict[str, Any] = {"hidden": config.hidden, "activation": config.activation}
        self.policy = self.new(GaussianPolicy(self.stack, *self.dims, **kinds))
        self.nu, self.chi = (self.new(MLP(self.stack, sizes, "relu")) for _ in range(2))
        self.price, self.temperature = (Multiplier(self.stack).to(self.device) for _ in range(2))
        self.add_limits()
        self.optimizers["policy"] = StackedAdam(self.policy, config.lr_actor, max_norm=config.grad_clip)
        for name, rate in {"nu": config.lr_critic, "chi": config.lr_critic, "price": 0, "temperature": 0}.items():
            self.optimizers[name] = StackedAdam(getattr(self, name), rate or config.lr_dual)

    def critics(self) -> dict[str, nn.Module]:
        """Return the Lagrange multipliers ν of the flow and χ of the bound on the cost, functions of states."""
        return {"nu": self.nu, "chi": self.chi}

    def fit_data(self, data: Dataset) -> None:
        """Take the limit and the initial states of the data's episodes.

        Raises:
            RamacError: the data have no costs.
        """
        self.fit_limits(data)
        self.constant("starts", data.observations[[first for first, _ in data.episode_bounds()]])

    def learn(self, batch: Batch) -> base.Metrics:
        """Make one update: ν, χ and τ, λ, policy."""
        config, costs = self.config, cast(Tensor, batch.costs)
        rows = self.noise.integers(len(self.starts), batch.rewards.shape[1])
        states, ahead, starts = batch.observations, batch.next_observations, self.scaled(self.starts[rows])
        going = config.discount * (1 - batch.terminals)

        def of(network: MLP) -> tuple[Tensor, Tensor, Tensor]:  # (1−γ) of the start, of this state, γ of the next
            first, here, there = (network(rows).squeeze(-1) for rows in (starts, states, ahead))
            return (1 - config.discount) * first, here, going * there

        first, here, there = of(self.nu)
        advantages = batch.rewards - self.price().detach().unsqueeze(1) * costs + there - here
        weights = correction(advantages / config.strength, config.divergence)
        distance = f_divergence(weights, config.divergence)
        loss = first.mean(1) + (weights * advantages - config.strength * distance).mean(1)
        grad_norm = self.optimizers["nu"].step(loss)
        weights, metrics = weights.detach(), {"critic_loss": loss.detach(), "value": here.detach().mean(1)}

        first, here, there = of(self.chi)
        leaps = first + weights * (costs + there - here)
        shares = torch.softmax(leaps.detach() / self.temperature().detach().unsqueeze(1), dim=1)
        self.optimizers["chi"].step((shares * leaps).sum(1))
        surprise = (shares * shares.clamp(min=1e-30).log()).sum(1) + math.log(shares.shape[1])
        bound = (shares * weights * costs).sum(1)
        limit = self.limit("step" if config.threshold == "step" else "discounted").squeeze(1)  # ĉ
        for name, excess in {"temperature": surprise - config.cost_radius, "price": bound - limit}.items():
            self.optimizers[name].step(-getattr(self, name).log.squeeze(-1) * excess)

        bc_loss = -(weights * self.policy.log_prob(states, batch.actions)).mean(1)
        norm = self.optimizers["policy"].step(bc_loss)
        metrics |= {"bc_loss": bc_loss.detach(), "policy_grad_norm": norm, "critic_grad_norm": grad_norm}
        return metrics | {"cost_bound": bound, "price": self.price().detach(), "weight": weights.mean(1)}

    def choose(self, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return tanh μ(s)."""
        return self.policy.mode(observations)
