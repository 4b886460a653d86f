"""Gradients through a policy's whole chain (eq. 8): checked against finite differences, and followed step by step."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib import risk
from ramac_lib.networks.critics import IQNCritic
from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.base import Policy
from ramac_lib.networks.policies.diffusion import DiffusionPolicy
from ramac_lib.networks.policies.flow import FlowPolicy
from ramac_lib.system.errors import RamacError


class Check(NamedTuple):
    """Directional derivatives by reverse-mode differentiation and by central differences, shape (D,) each."""

    gradient: Float[np.ndarray, " D"]
    difference: Float[np.ndarray, " D"]

    @property
    def relative_error(self) -> float:
        """‖gradient − difference‖ / ‖difference‖ over the directions."""
        return float(np.linalg.norm(self.gradient - self.difference) / np.linalg.norm(self.difference))


def check_gradient(
    objective: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    generator: torch.Generator,
    *,
    directions: int = 20,
    step: float = 1e-5,
) -> Check:
    """Compare the gradient of a scalar with central differences along random unit directions of all parameters.

    In double precision a central difference of width `step` = 1e-5 is good to about ten digits where the objective is
    smooth. The parameters are left as they were.

    Args:
        objective: recomputes the scalar from the parameters; the same each time.
        parameters: double-precision tensors that require gradients.
        generator: draws the directions.
        directions: how many.
        step: in units of the parameters.

    Raises:
        RamacError: a parameter is not in double precision, no parameters, directions < 1, a step not above 0.
    """
    if not parameters or directions < 1 or not step > 0:
        raise RamacError(
            f"there are {len(parameters)} parameters, {directions} directions, step {step}; expected more than 0 each"
        )
    for parameter in parameters:
        if parameter.dtype != torch.float64:
            raise RamacError(f"a parameter is of {parameter.dtype}; expected torch.float64, for a difference of 1e-5")
    slopes = torch.autograd.grad(objective(), parameters)
    kept = [parameter.detach().clone() for parameter in parameters]
    found = []
    for _ in range(directions):
        ways = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in parameters]
        length = torch.sqrt(sum((way.square().sum() for way in ways), start=torch.zeros((), dtype=torch.float64)))
        values = []
        with torch.no_grad():
            for sign in (1, -1):
                for parameter, was, way in zip(parameters, kept, ways, strict=True):
                    parameter.copy_(was + sign * step * way / length)
                values.append(objective().item())
        exact = sum(float((slope * way).sum() / length) for slope, way in zip(slopes, ways, strict=True))
        found.append((exact, (values[0] - values[1]) / (2 * step)))
    with torch.no_grad():
        for parameter, was in zip(parameters, kept, strict=True):
            parameter.copy_(was)
    gradient, difference = np.array(found).T
    return Check(gradient, difference)


def check_chain(policy: Policy, *, seed: int = 0, rows: int = 64, n_fractions: int = 32, step: float = 1e-5) -> Check:
    """Check the gradient of −CVaR_0.1 (eq. 10) in a policy's parameters, through the critic and every step of eq. 8.

    The policy is changed to double precision and freshly initialised, as is the double critic that judges its actions;
    states and noise are normal.

    Args:
        policy: of one seed, for states of any dimension d ≥ 1 as it was built with.
        seed: of all draws.
        rows: states.
        n_fractions: of the critic's grid (eq. 14).
        step: of the differences.

    Raises:
        RamacError: what `check_gradient` and `along_the_chain` refuse.
    """
    network: Any = _network(policy)
    dims = network.mlp.layers[0].weight.shape[-2] - policy.action_dim - network.time.mlp.layers[-1].bias.shape[-1]
    critic = IQNCritic((1,), dims, policy.action_dim)
    for module in (policy, critic):
        initialise(module, Noise([seed], "init").generators)
        module.double()
    noise = Noise([seed], "training").normal(*policy.noise_shape(rows)).double()
    states = Noise([seed], "environment").normal(rows, dims).double()
    taus, weights = (torch.as_tensor(x) for x in (risk.grid(n_fractions), risk.weights("cvar", n_fractions)))

    def loss() -> Tensor:
        return -(critic(states, policy.sample(noise, states), taus).amin(dim=1) @ weights).mean()

    return check_gradient(loss, list(policy.parameters()), torch.Generator().manual_seed(seed), step=step)


def _network(policy: Policy) -> Any:
    if not isinstance(policy, DiffusionPolicy | FlowPolicy):
        raise RamacError(f"{type(policy).__name__} is no chain; expected a diffusion or a flow policy")
    return policy.noise_prediction if isinstance(policy, DiffusionPolicy) else policy.velocity


def along_the_chain(
    policy: Policy, noise: Float[Tensor, "S ..."], observations: Float[Tensor, "S B s"], seed: int = 0
) -> Float[np.ndarray, " steps+1"]:
    """Return how much of a gradient at the action arrives at each step: RMS of ‖∂(v·a)/∂x_k‖ over unit vectors v.

    x_0 is the noise that the chain starts from, the last x the action itself, where the value is 1.

    Args:
        policy: a diffusion or a flow.
        noise: as `policy.sample` takes it.
        observations: the states.
        seed: of the directions v, one for each row.

    Raises:
        RamacError: another kind of policy.
    """
    network = _network(policy)
    points: list[Tensor] = []
    hook = network.register_forward_pre_hook(lambda _, args: points.append(args[0]))
    try:
        actions = policy.sample(noise.detach().requires_grad_(True), observations)
    finally:
        hook.remove()
    direction = torch.randn(actions.shape, generator=torch.Generator().manual_seed(seed)).to(actions)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    slopes = torch.autograd.grad((actions * direction).sum(), points)
    norms = [slope.square().sum(-1).mean().sqrt().item() for slope in slopes]
    return np.array([*norms, 1.0])
