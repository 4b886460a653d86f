"""A consistency model of one number given (s, a): drawn in one step (Song et al. 2023; Karras et al. 2022, EDM).

The distribution of x in [−1, 1] given (s, a) is blurred by N(0, t²), t from t_min = .002 to 80. A denoiser D(x, t) is
its mean given the blurred x; a consistency function f(x, t) is where the probability flow dx/dt = (x − D)/t leads from
x at t down to t_min, so that f(80 z, 80), z ~ N(0, 1), is a sample. Both are c_skip x + c_out F(s, a, c_in x, ¼ ln t).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ramac_lib.networks.layers import ACTIVATIONS, MLP, Linear

SIGMA = 0.5  # of the data, by convention
T_MIN, T_MAX, RHO = 0.002, 80.0, 7.0
LOG_MEAN, LOG_STD = -1.2, 1.2  # of ln t, where a denoiser learns


def scales(count: int) -> Float[Tensor, " count"]:
    """Return t_1 < … < t_N from t_min to t_max, evenly spaced in t^(1/7) (EDM, eq. 5)."""
    ends = torch.tensor([T_MIN, T_MAX], dtype=torch.float64) ** (1 / RHO)
    return (ends[0] + torch.linspace(0, 1, count, dtype=torch.float64) * (ends[1] - ends[0])).pow(RHO).float()


class Preconditioned(nn.Module):
    """c_skip(t) x + c_out(t) F: a denoiser (EDM, eq. 7), or a consistency function, which is x itself at t_min.

    Args:
        stack: (S,) seeds.
        observation_dim, action_dim: widths of an observation and an action.
        hidden: widths of the hidden layers; (s, a) is encoded once for all numbers of a row.
        start: t_min of a consistency function, 0 of a denoiser.
    """

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        *,
        hidden: Sequence[int] = (256, 256, 256),
        activation: str = "silu",
        start: float = T_MIN,
    ) -> None:
        super().__init__()
        first, *others = hidden
        self.given = Linear(stack, observation_dim + action_dim, first)
        self.point = Linear(stack, 2, first)
        self.rest = MLP(stack, (first, *others, 1), activation)
        self.activation, self.start = ACTIVATIONS[activation], start

    def forward(
        self,
        observations: Float[Tensor, "S B s"],
        actions: Float[Tensor, "S B a"],
        x: Float[Tensor, "S B K"],
        t: Float[Tensor, "#S #B #K"],
    ) -> Float[Tensor, "S B K"]:
        """Return the value at K blurred numbers of each row."""
        t = t.expand(x.shape)
        norm = (SIGMA**2 + t.square()).sqrt()
        points = torch.stack([x / norm, t.log() / 4], dim=-1).flatten(1, 2)
        given = self.given(torch.cat([observations, actions], dim=-1)).unsqueeze(2)
        entered = given + self.point(points).unflatten(1, x.shape[1:])
        inner = self.rest(self.activation(entered).flatten(1, 2)).squeeze(-1).unflatten(1, x.shape[1:])
        beyond = t - self.start
        return SIGMA**2 / (beyond.square() + SIGMA**2) * x + SIGMA * beyond / norm * inner


def denoising_loss(
    denoiser: Preconditioned,
    observations: Float[Tensor, "S B s"],
    actions: Float[Tensor, "S B a"],
    values: Float[Tensor, "S B"],
    draws: tuple[Float[Tensor, "S B"], Float[Tensor, "S B"]],
) -> Float[Tensor, " S"]:
    """Return E[λ(t) (D(x + t z, t) − x)²], λ = (t² + σ²)/(t σ)², ln t ~ N(−1.2, 1.2²) (EDM, table 1).

    Args:
        draws: two standard normal numbers a row, for t and z.
    """
    t = torch.exp(LOG_MEAN + LOG_STD * draws[0])
    found = denoiser(observations, actions, (values + t * draws[1])[..., None], t[..., None])[..., 0]
    weight = (t.square() + SIGMA**2) / (t * SIGMA).square()
    return (weight * (found - values).square()).mean(dim=1)


def consistency_loss(
    model: Preconditioned,
    teacher: Preconditioned,
    observations: Float[Tensor, "S B s"],
    actions: Float[Tensor, "S B a"],
    values: Float[Tensor, "S B"],
    draws: tuple[Int[Tensor, "S B"], Float[Tensor, "S B"]],
    times: Float[Tensor, " N"],
    denoiser: Preconditioned | None = None,
) -> Float[Tensor, " S"]:
    """Return E[(f(x_{n+1}, t_{n+1}) − f⁻(x_n, t_n))²] with x_{n+1} = x + t_{n+1} z; no gradient to f⁻.

    Without a denoiser x_n = x + t_n z (consistency training, Song et al. 2023, eq. 10); with one it is a step of Heun's
    method from x_{n+1} along the probability flow (distillation, their eq. 7).

    Args:
        teacher: f⁻, the exponential moving average of f.
        draws: n from 0 to N − 2 and z ~ N(0, 1), one of each a row.
    """
    rows = observations, actions
    early, late = times[draws[0]][..., None], times[draws[0] + 1][..., None]
    x, z = values[..., None], draws[1][..., None]
    blurred = x + late * z
    with torch.no_grad():
        if denoiser is None:
            before = x + early * z
        else:
            slope = (blurred - denoiser(*rows, blurred, late)) / late
            euler = blurred + (early - late) * slope
            before = blurred + (early - late) / 2 * (slope + (euler - denoiser(*rows, euler, early)) / early)
        target = teacher(*rows, before, early)
    return (model(*rows, blurred, late) - target).square().mean(dim=(1, 2))


def one_step(
    model: Preconditioned,
    observations: Float[Tensor, "S B s"],
    actions: Float[Tensor, "S B a"],
    noise: Float[Tensor, "S B K"],
) -> Float[Tensor, "S B K"]:
    """Return K samples of each row's distribution, f(80 z, 80), from standard normal noise."""
    return model(observations, actions, T_MAX * noise, noise.new_full((1, 1, 1), T_MAX))
