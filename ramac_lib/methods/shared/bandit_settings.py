"""Settings on the Risky Bandit that methods share."""

from typing import Any

# On the bandit every method has networks of one size and rates of its own making: the paper's settings are lost. ReLU,
# as SiLU stays near the linear solution there; 20 steps, as five cannot clone the data even with a perfect denoiser.
BANDIT_POLICY: dict[str, Any] = {"hidden": (128, 128, 128), "activation": "relu", "lr_actor": 1e-3}
BANDIT_Q: dict[str, Any] = {
    "critic_hidden": (128, 128, 128),
    "lr_critic": 1e-3,
    "bootstrap": False,
    "short_run_rate": False,
}
BANDIT_QUANTILES: dict[str, Any] = {"lr_critic": 1e-3, "bootstrap": False, "short_run_rate": False, "n_fractions": 20}
BANDIT_CHAIN = 20
