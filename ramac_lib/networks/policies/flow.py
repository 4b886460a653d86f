"""The flow policy of RAFMAC, ORAAC-Flow and BC-flow: flow matching and an Euler-solved ODE (eq. 6)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.networks.layers import TimedMLP
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.base import CloningPolicy


class FlowPolicy(CloningPolicy):
    """a = a(1), da/dt = v_θ(a, t | s), a(0) = z ~ N(0, I) (eq. 6, 8), by `steps` Euler steps, clamped to [−1, 1].

    Args:
        stack: (S,) seeds.
        observation_dim, action_dim: widths of an observation and an action.
        steps: of the Euler solver.
        hidden: widths of the hidden layers.
        activation: between layers.
        time_dim: width of the time's sinusoidal embedding.
        time_in_steps: embed times in units of Euler steps, so that the sinusoids resolve them; else as they are, in
            [0, 1), as the released RAFMAC does.
        plain_time: give v_θ the time as one number instead.
        init: of every layer, ``fan_in`` or ``glorot`` (`Linear`).
    """

    times: Tensor

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        *,
        steps: int = 10,
        hidden: Sequence[int] = (256, 256),
        activation: str = "silu",
        time_dim: int = 16,
        time_in_steps: bool = True,
        plain_time: bool = False,
        init: str = "fan_in",
    ) -> None:
        super().__init__()
        self.steps = steps
        self.time_unit = 1.0 if time_in_steps else 1 / steps  # of an Euler step, as the embedding sees it
        self.action_dim = action_dim
        plain = steps * self.time_unit if plain_time else None
        sizes = (observation_dim, action_dim, hidden)
        self.velocity = TimedMLP(stack, *sizes, activation, time_dim, plain_steps=plain, init=init)
        self.register_buffer("times", torch.arange(steps, dtype=torch.float32) * self.time_unit, persistent=False)

    def sample(self, noise: Float[Tensor, "S B a"], observations: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Integrate the ODE from `noise`; differentiable in θ from end to end."""
        embedded = self.velocity.time(self.times)  # (S, steps, d)
        x = noise
        for k in range(self.steps):
            x = x + self.velocity(x, embedded[:, k : k + 1], observations) / self.steps
        return x.clamp(-1, 1)

    def bc_loss(
        self,
        observations: Float[Tensor, "S B s"],
        actions: Float[Tensor, "S B a"],
        *draws: Tensor,
    ) -> Float[Tensor, " S"]:
        """Return the flow-matching loss E‖v_θ((1−t) z + t a, t, s) − (a − z)‖², averaged over rows and dimensions.

        The draws are `bc_draws`' times t (S, B) in [0, 1) and noise z (S, B, a).
        """
        return self.errors(observations, actions, *draws).mean(dim=(1, 2))

    def errors(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], *draws: Tensor
    ) -> Float[Tensor, "S B a"]:
        """Return the squares that `bc_loss` is the mean of, to be weighted row by row."""
        times, noise = draws
        x = torch.lerp(noise, actions, times[..., None])
        velocity = self.velocity(x, self.velocity.time(times * (self.steps * self.time_unit)), observations)
        return (velocity - (actions - noise)).square()

    def bc_draws(self, noise: Noise, batch: int) -> tuple[Tensor, ...]:
        """Draw (times, noise) for `bc_loss` from a `Noise`."""
        return noise.uniform(batch), noise.normal(batch, self.action_dim)
