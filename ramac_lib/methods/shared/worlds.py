"""Settings that methods share on the book's own two worlds, the Risky Bandit and risky navigation."""

from typing import Any

from ramac_lib.envs.tasks import BANDIT, NAVIGATION

# On the bandit every method has networks of one size and rates of its own making: the paper's settings are lost. ReLU,
# as SiLU stays near the linear solution there; 20 steps, as five cannot clone the data even with a perfect denoiser.
# On navigation networks are small, so that it is learned on a laptop, and the paper's objective is as it stands: no
# rule for short runs. With 20 fractions the lowest tenth is two bins on the bandit. Navigation has 40: of 20 the
# lowest, .025, is so near the .03 with which a step is penalised that it is learned slowly. RADAC's CVaR_0.1 of the way
# straight ahead was −7.2 and −7.5 after 4,500 updates (seeds 100, 101), with 40 fractions −10.5 after 6,000 (seed 100).
SHARED: dict[str, dict[str, dict[str, Any]]] = {
    BANDIT: {
        "policy": {"hidden": (128, 128, 128), "activation": "relu", "lr_actor": 1e-3},
        "chain": {"policy_steps": 20},
        "q": {"critic_hidden": (128, 128, 128), "lr_critic": 1e-3, "bootstrap": False, "short_run_rate": False},
        "quantiles": {"lr_critic": 1e-3, "bootstrap": False, "short_run_rate": False, "n_fractions": 20},
    },
    "navigation": {
        "policy": {"hidden": (128, 128, 128), "activation": "relu", "lr_actor": 1e-3, "normalize": True},
        "q": {"critic_hidden": (64, 64), "lr_critic": 1e-3, "short_run_rate": False},
        "quantiles": {
            "critic_hidden": 64, "n_cos": 16, "n_fractions": 40, "lr_critic": 1e-3, "short_run_rate": False,
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
