"""What a diffusion chain or a flow can do at best: the library's samplers around the exact minimiser of their loss."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.base import Policy
from ramac_lib.networks.policies.diffusion import DiffusionPolicy
from ramac_lib.networks.policies.flow import FlowPolicy
from ramac_lib.system.errors import RamacError

Array = np.ndarray


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
