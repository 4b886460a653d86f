"""R2PAC ("Region-Based Reward Penalty over Action Chunks", anonymous; ICLR 2026 submission 17200, OpenReview 2025).

Objective. On chunks a_{t:t+h}: the cost's pair by the lower expectile (eq. 10, 11, 14); the reward's pair by the upper
one, its Q̄_r fitted to Σ_{k<h} γ^k r_{t+k} + γ^h V̄_r(s_{t+h}) where s_{t+h} is in the safe region V_c ≤ ℓ, and to C̄
where it is not (eq. 15, 16), so that V̄_r alone says what is best within the region. ℓ is the α-quantile of V_c over
the data. Then a flow of chunks with the label o by flow matching (eq. 19, 20), o = 1 where the chunk is no worse than
the state: Q̄_r ≥ V̄_r in safe states, Q_c ≤ V_c in unsafe ones (eq. 18), o = ∅ in a tenth of the rows. Acting, the flow
is guided to o = 1 (eq. 21), and of `candidates` chunks the one of least Q_c is begun; one step of it is played.

`penalise` off is the paper's ablation without V̄_r, `recover` off the one without V_c in unsafe states, ``extraction``
``awr`` and ``awr-flow`` its eq. 40 and 41, `length` its h. No code was released: ``--released`` has the paper's sizes.

Our reading, and differences, numbered:

1. eq. 11 and 16 are printed with other arguments and exponents, eq. 40 without its minus, C̄ in table 5 without one;
2. C̄ lies below every return of the data (``penalty="sufficient"``); the paper's −1 or −10 is a reward where rewards
   are negative. ``paper`` has −`absorbing`. Its proposition 1 is false as stated: `tests/methods/test_r2pac.py`;
3. nothing is penalised in the first `penalty_from` of the run, when V_c is noise; ℓ is the quantile of
   the batch's own states. ``region="limit"`` has eq. 42's ℓ of κ, without its time-outs as ends;
4. values learn in the first `value_share` of the run, the flow in the rest; a tie has o = 1; two critics, the larger
   cost and the smaller return count, by their targets; the paper does not say;
5. a chunk that a terminal state cuts is padded with zeros, one that a time-out cuts is left out; not said either;
6. sizes, 8 flow steps and 8 candidates are ours (its table 6: little is lost). Weights of eq. 40 and 41 are cut at 100.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.methods.shared import base, worlds
from ramac_lib.methods.shared.chunks import ChunkConfig, ChunkPolicy
from ramac_lib.methods.shared.in_sample import InSample
from ramac_lib.methods.shared.regions import Region, RegionConfig
from ramac_lib.methods.shared.registry import SAFETY, register


@dataclass(frozen=True)
class R2PACConfig(RegionConfig, ChunkConfig):
    """R2PAC's settings.

    Raises:
        RamacError: a value that is not among its choices, or out of its range.
    """

    RELEASED: ClassVar[dict[str, Any]] = {
        "hidden": (512,) * 4, "critic_hidden": (512,) * 4, "batch_size": 1024, "policy_steps": 32, "candidates": 16,
        "penalty": "paper", "short_run_rate": False,
    }  # fmt: skip

    expectile: float = 0.9
    scale_rewards: bool = False
    value_share: float = 0.5
    recover: bool = True  # unsafe states lower V_c; off: all states raise V̄_r
    hidden: tuple[int, ...] = (256, 256, 256)
    activation: str = "gelu"
    critic_hidden: tuple[int, ...] = (256, 256, 256)
    critic_activation: str = "gelu"

    @classmethod
    def for_task(cls, task: str) -> "R2PACConfig":
        """Return the sizes and rates of the bandit and of navigation there, one step a chunk on the bandit."""
        return cls(**worlds.settings(task, "policy", "q", **({"length": 1} if task == BANDIT else {})))


@register("r2pac", label="R2PAC", colour="#00441B", line="-", marker="$R$", needs=("costs",), group=SAFETY)
class R2PAC(Region, ChunkPolicy, InSample):
    """A guided flow of chunks over values that are penalised outside a safe region."""

    Config: ClassVar[type[base.Config]] = R2PACConfig
    DEPLOYED: ClassVar[tuple[str, ...]] = ("policy", "cost")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_chunk_policy()
        self.add_pairs(costs=True, width=self.config.length * self.dims[1])
        self.add_region()

    def fit_data(self, data: Dataset) -> None:
        """Take the region's numbers, and the unit of rewards.

        Raises:
            RamacError: the data have no costs.
        """
        self.fit_region(data)
        super().fit_data(data)

    def phase(self) -> dict[str, bool]:
        """Return whether the values still learn; the policy does so after them."""
        return {"values": self.updates < self.config.value_share * self.steps}

    @property
    def prelude(self) -> float:
        """The share of the run in which the values learn."""
        return self.config.value_share

    def learn(self, batch: Batch, values: bool) -> base.Metrics:
        """Make one update of the values, or of the policy."""
        states, chunks = batch.observations, batch.actions.flatten(2)
        with torch.no_grad():
            costs = self.cost.state_value(states)
        threshold = self.safe_threshold(costs)
        unsafe = self.unsafe(costs, threshold)
        found = {"unsafe": unsafe.float().mean(1), "threshold": threshold.squeeze(1)}
        if values:
            return found | self.update_values(batch, threshold)
        return found | self.update_policy(states, chunks, self.gain(states, chunks, unsafe))

    def update_values(self, batch: Batch, threshold: Float[Tensor, "S 1"]) -> base.Metrics:
        """Make one update: both V, both critics, targets."""
        assert batch.costs is not None
        for pair in (self.cost, self.reward):
            pair.update_state_value(batch.observations, batch.actions.flatten(2))
        targets = self.penalised(batch, threshold)
        metrics = self.update_pair(self.cost, batch, self.backup(batch, batch.costs, self.cost), "cost_")
        return metrics | self.update_pair(self.reward, batch, targets)

    @torch.no_grad()
    def penalised(self, batch: Batch, threshold: Float[Tensor, "S 1"]) -> Float[Tensor, "S B"]:
        """Return Q̄_r's targets, C̄ where the state after the chunk is unsafe; the end of an episode is safe."""
        targets = self.backup(batch, self.rewards(batch), self.reward)
        if not self.config.penalise:
            return targets
        after = self.cost.state_value(batch.next_observations)
        unsafe = self.unsafe(after, threshold) & (batch.terminals == 0)
        return torch.where(unsafe, self.worst * self.reward_unit, targets)

    def gain(
        self, states: Float[Tensor, "S B s"], chunks: Float[Tensor, "S B a"], unsafe: Bool[Tensor, "S B"]
    ) -> Float[Tensor, "S B"]:
        """Return how much better a chunk is than its state: in V̄_r, in unsafe states in V_c (eq. 17)."""
        gain = self.reward.gain(states, chunks)
        return torch.where(unsafe, self.cost.gain(states, chunks), gain) if self.config.recover else gain
