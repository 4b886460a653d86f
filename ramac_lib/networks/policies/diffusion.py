"""The diffusion policy of RADAC, DiffusionQL, ORAAC-Diffusion and BC-diffusion: a short VP chain (eq. 5)."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ramac_lib.networks.layers import TimedMLP
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.base import CloningPolicy
from ramac_lib.system.errors import unknown

STEP_NOISE = ("posterior", "beta")


def vp_betas(steps: int, b_min: float = 0.1, b_max: float = 10.0) -> Float[Tensor, " T"]:
    """Return the variance-preserving schedule β_t = 1 − exp(−b_min/T − ½(b_max − b_min)(2t − 1)/T²), t = 1 … T.

    The discretisation of eq. 5 that DiffusionQL and the released RAMAC code use.
    """
    t = torch.arange(1, steps + 1, dtype=torch.float64)
    return (1 - torch.exp(-b_min / steps - 0.5 * (b_max - b_min) * (2 * t - 1) / steps**2)).float()


Predict = Callable[[Tensor, int], Tensor]  # (x_t, the step t from 0) → ε


class DiffusionPolicy(CloningPolicy):
    """a = ψ_θ(s, z) (eq. 8): a T-step reverse chain with an ε-prediction network; actions in [−1, 1].

    As in the released code, x̂₀ is clamped to the action range at each step, the posterior variance is used, and no
    noise is added at the last step.

    Args:
        bound: of |x̂₀| and of what is returned: an action's, unless what is denoised is no action; None for none.
        step_noise: variance of a reverse step, the ``posterior``'s, or ``beta``: β_t (Ho et al. 2020, sec. 3.2).

    Raises:
        RamacError: an unknown variance.
    """

    sqrt_bar: Tensor
    sqrt_one_minus_bar: Tensor
    x0_from_x: Tensor
    x0_from_noise: Tensor
    mean_from_x0: Tensor
    mean_from_x: Tensor
    step_std: Tensor
    times: Tensor

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        *,
        steps: int = 5,
        hidden: Sequence[int] = (256, 256),
        activation: str = "silu",
        time_dim: int = 16,
        bound: float | None = 1.0,
        step_noise: str = "posterior",
    ) -> None:
        super().__init__()
        if step_noise not in STEP_NOISE:
            raise unknown("noise of a reverse step", step_noise, STEP_NOISE)
        self.steps = steps
        self.bound = bound
        self.action_dim = action_dim
        self.noise_prediction = TimedMLP(stack, observation_dim, action_dim, hidden, activation, time_dim)
        betas = vp_betas(steps).double()
        alphas = 1 - betas
        bar = torch.cumprod(alphas, 0)
        previous = torch.cat([torch.ones(1, dtype=torch.float64), bar[:-1]])
        coefficients = {
            "sqrt_bar": bar.sqrt(),
            "sqrt_one_minus_bar": (1 - bar).sqrt(),
            "x0_from_x": 1 / bar.sqrt(),
            "x0_from_noise": (1 / bar - 1).sqrt(),
            "mean_from_x0": betas * previous.sqrt() / (1 - bar),
            "mean_from_x": (1 - previous) * alphas.sqrt() / (1 - bar),
            "step_std": (betas if step_noise == "beta" else betas * (1 - previous) / (1 - bar)).sqrt(),
        }
        for name, value in coefficients.items():
            self.register_buffer(name, value.float(), persistent=False)
        self.register_buffer("times", torch.arange(steps, dtype=torch.float32), persistent=False)

    def noise_shape(self, batch: int) -> tuple[int, ...]:
        """Return the shape, without the seed axis, of the noise that `sample` consumes."""
        return (self.steps, batch, self.action_dim)

    def sample(
        self,
        noise: Float[Tensor, "S T B a"],
        observations: Float[Tensor, "S B s"],
        predict: Predict | None = None,
    ) -> Float[Tensor, "S B a"]:
        """Run the reverse chain; differentiable in θ from end to end. noise[:, 0] is x_T, the rest its steps' noise.

        Args:
            predict: what says the noise in x at step t in the network's place: guidance, say.
        """
        predict = predict or self.prediction(observations)
        x = noise[:, 0]
        for k, t in enumerate(reversed(range(self.steps))):
            x0 = self.reconstruct(x, predict(x, t), t)
            x = self.mean_from_x0[t] * x0 + self.mean_from_x[t] * x
            if t > 0:
                x = x + self.step_std[t] * noise[:, k + 1]
        return self.clamped(x)

    def prediction(self, observations: Float[Tensor, "S B s"]) -> Predict:
        """Return ε_θ(·, t, s) of these rows."""
        embedded = self.noise_prediction.time(self.times)  # (S, T, d)
        return lambda x, t: self.noise_prediction(x, embedded[:, t : t + 1], observations)

    def reconstruct(self, x: Float[Tensor, "S B a"], predicted: Float[Tensor, "S B a"], t: int) -> Tensor:
        """Return x̂₀ = (x_t − √(1−ᾱ_t) ε) / √ᾱ_t, clamped."""
        return self.clamped(self.x0_from_x[t] * x - self.x0_from_noise[t] * predicted)

    def clamped(self, x: Tensor) -> Tensor:
        """Return what is denoised within its bound."""
        return x if self.bound is None else x.clamp(-self.bound, self.bound)

    def bc_loss(
        self,
        observations: Float[Tensor, "S B s"],
        actions: Float[Tensor, "S B a"],
        *draws: Tensor,
    ) -> Float[Tensor, " S"]:
        """Return L_BC = E‖ε − ε_θ(√ᾱ_t a + √(1−ᾱ_t) ε, t, s)‖², averaged over rows and action dimensions.

        The draws are `bc_draws`' times t (S, B) and noise ε (S, B, a).
        """
        return self.errors(observations, actions, *draws).mean(dim=(1, 2))

    def errors(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], *draws: Tensor
    ) -> Float[Tensor, "S B a"]:
        """Return the squares that `bc_loss` is the mean of, to be weighted row by row."""
        times, noise = draws
        predicted = self.predict(self.corrupt(actions, times, noise), times, observations)
        return (predicted - noise).square()

    def corrupt(
        self, actions: Float[Tensor, "S B a"], times: Int[Tensor, "S B"], noise: Float[Tensor, "S B a"]
    ) -> Float[Tensor, "S B a"]:
        """Return x_t = √ᾱ_t a + √(1−ᾱ_t) ε."""
        return self.sqrt_bar[times][..., None] * actions + self.sqrt_one_minus_bar[times][..., None] * noise

    def predict(
        self, noisy: Float[Tensor, "S B a"], times: Int[Tensor, "S B"], observations: Float[Tensor, "S B s"]
    ) -> Float[Tensor, "S B a"]:
        """Return ε_θ(x_t, t, s)."""
        embedded = self.noise_prediction.time(self.times)
        rows = torch.gather(embedded, 1, times[..., None].expand(-1, -1, embedded.shape[-1]))
        return self.noise_prediction(noisy, rows, observations)

    def bc_draws(self, noise: Noise, batch: int) -> tuple[Tensor, ...]:
        """Draw (times, noise) for `bc_loss` from a `Noise`."""
        return noise.integers(self.steps, batch), noise.normal(batch, self.action_dim)
