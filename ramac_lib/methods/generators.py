"""The generative policies as the methods' configs describe them: the shared part of methods that differ elsewhere."""

from typing import Any

from ramac_lib.policies.cvae import CVAEPolicy
from ramac_lib.policies.diffusion import DiffusionPolicy
from ramac_lib.policies.flow import FlowPolicy


def diffusion(method: Any) -> DiffusionPolicy:
    """Return RADAC's diffusion policy (eq. 5, 8), not yet initialised."""
    config = method.config
    kinds = {"hidden": config.hidden, "activation": config.activation}
    return DiffusionPolicy(method.stack, *method.dims, steps=config.policy_steps, **kinds)


def flow(method: Any) -> FlowPolicy:
    """Return RAFMAC's flow policy (eq. 6, 8), not yet initialised."""
    config = method.config
    kinds = {"hidden": config.hidden, "activation": config.activation}
    return FlowPolicy(method.stack, *method.dims, steps=config.policy_steps, **kinds)


def cvae(method: Any) -> CVAEPolicy:
    """Return the conditional VAE's policy, not yet initialised."""
    config = method.config
    kinds = {"hidden": config.hidden, "activation": config.activation}
    return CVAEPolicy(method.stack, *method.dims, latent_clamp=config.latent_clamp, kl_weight=config.kl_weight, **kinds)
