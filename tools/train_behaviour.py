"""Train behaviour policies afresh by soft actor-critic (the extra ``behaviour``: ``pip install -e '.[behaviour]'``).

``python tools/train_behaviour.py hopper --steps 1000000 --every 20000 --out data`` writes
``data/behaviour/hopper/step_{N}.npz``, which `ramac_lib.envs.behaviour.load_policy` reads. The settings are
sbx-rl's own: 256 × 256 ReLU, lr 3e-4, batch 256, γ 0.99, target rate 0.005, automatic temperature; 8 parallel
environments, one gradient step a transition, 5,000 random steps first. Which stages play which part is then written by
hand into ``data/behaviour/stages.json``, and ``tools/measure_behaviour.py`` measures them.
"""

from pathlib import Path

import numpy as np
import tyro
from sbx import SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from ramac_lib.envs.behaviour import save_policy
from ramac_lib.envs.tasks import ENVS
from ramac_lib.system.errors import RamacError, unknown

ENVIRONMENTS = 8
LAYERS = {"w0": "Dense_0", "w1": "Dense_1", "w_mean": "Dense_2", "w_log_std": "Dense_3"}


def weights(model: SAC) -> dict[str, np.ndarray]:
    """Return the actor's arrays under the names of `ramac_lib.envs.behaviour.WEIGHTS`."""
    layers = model.policy.actor_state.params["params"]
    arrays = {}
    for name, layer in LAYERS.items():
        arrays[name] = np.asarray(layers[layer]["kernel"])
        arrays[name.replace("w", "b", 1)] = np.asarray(layers[layer]["bias"])
    return arrays


class Save(BaseCallback):
    """Write the actor at step 0 and after every `every` environment steps."""

    def __init__(self, folder: Path, every: int) -> None:
        super().__init__()
        self.folder, self.every, self.saved = folder, every, -1

    def _on_step(self) -> bool:
        return True

    def _save(self) -> None:
        # Updates come in rollouts of 8 steps, one in each environment, so that every multiple of 8 is met.
        if self.num_timesteps % self.every == 0 and self.num_timesteps != self.saved:
            save_policy(self.folder / f"step_{self.num_timesteps:07d}.npz", weights(self.model))
            self.saved = self.num_timesteps

    _on_rollout_start = _save  # called before each rollout, so after the updates of the one before
    _on_training_end = _save


def train(
    env: tyro.conf.Positional[str], steps: int = 1_000_000, every: int = 20_000, seed: int = 0, out: Path = Path("data")
) -> None:
    """Train on a Gymnasium -v5 environment and keep the policy at many stages.

    Args:
        env: hopper, walker2d or halfcheetah.
        steps: environment steps in all.
        every: environment steps between two stages, a multiple of 8.
        seed: of the networks, the environments and the exploration.
        out: folder below which ``behaviour/{env}/`` is written.
    """
    if env not in ENVS:
        raise unknown("environment", env, ENVS)
    if every < 1 or every % ENVIRONMENTS:
        raise RamacError(f"every is {every}; expected a positive multiple of {ENVIRONMENTS}")
    vector = make_vec_env(f"{ENVS[env]}-v5", n_envs=ENVIRONMENTS, seed=seed)
    model = SAC(
        "MlpPolicy", vector, learning_starts=5_000, train_freq=1, gradient_steps=ENVIRONMENTS, seed=seed, verbose=0
    )
    model.learn(steps, callback=Save(out / "behaviour" / env, every), progress_bar=False)


if __name__ == "__main__":
    tyro.cli(train)
