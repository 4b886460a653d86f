"""Settings that methods share on the book's own two worlds, the Risky Bandit and risky navigation."""

from typing import Any

from ramac_lib.envs.tasks import BANDIT, NAVIGATION

# On the bandit every method has networks of one size and rates of its own making: the paper's settings are lost. ReLU,
# as SiLU stays near the linear solution there; 20 steps, as five cannot clone the data even with a perfect denoiser.
# On navigation networks and batches are small, so that seeds are learned in minutes, and the paper's objective is
# as it stands: no rule for short runs. The number of fractions is computed, not tried (`support.navigation.grids`):
# with 32 a perfect critic ranks the ways rightly by the mean and by CVaR_0.1; of 20 the lowest stands for .05 where
# a step is penalised with .03, and of 16 none sees it. Steps of the chains and rates by trial runs on seeds 100 and
# 101: three rows in a thousand are penalised, and with a critic's rate of 3e-3 and batches of 64 the lowest
# fractions had learned nothing of it after 1,000 updates (CVaR_0.1 of one step −1.3, exactly −7); with 1e-2 and
# batches of 128 it was −3.5 to −5 after 1,500. The risk term waits for the critic (`eta_warmup`): without that it
# had led the policy straight through the danger before the danger was known.
SHARED: dict[str, dict[str, dict[str, Any]]] = {
    BANDIT: {
        "policy": {"hidden": (128, 128, 128), "activation": "relu", "lr_actor": 1e-3},
        "chain": {"policy_steps": 20},
        "q": {"critic_hidden": (128, 128, 128), "lr_critic": 1e-3, "bootstrap": False, "short_run_rate": False},
        "quantiles": {"lr_critic": 1e-3, "bootstrap": False, "short_run_rate": False, "n_fractions": 20},
    },
    "navigation": {
        "policy": {
            "hidden": (128, 128), "activation": "relu", "lr_actor": 3e-3, "normalize": True, "batch_size": 64,
        },
        "chain": {"policy_steps": 20},
        "q": {"critic_hidden": (64, 64), "lr_critic": 1e-3, "target_rate": 0.02, "short_run_rate": False},
        "quantiles": {
            "critic_hidden": 64, "n_cos": 64, "n_fractions": 32, "lr_critic": 1e-2, "target_rate": 0.02,
            "batch_size": 128, "short_run_rate": False,
        },
    },
}  # fmt: skip


def settings(task: str, *parts: str, **own: Any) -> dict[str, Any]:
    """Return the shared settings of these parts and a method's own on one of the two worlds; none on other tasks.

    Args:
        task: by name.
        parts: ``policy``, ``chain`` (a diffusion policy's), ``q`` or ``quantiles`` (critics').
        own: what the method has on both of them.
    """
    shared = SHARED.get("navigation" if task in NAVIGATION else task)
    if shared is None:
        return {}
    return {**{name: value for part in parts for name, value in shared.get(part, {}).items()}, **own}
