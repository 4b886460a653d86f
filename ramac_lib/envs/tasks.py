"""The six Stochastic-D4RL tasks and the Risky Bandit: what each name stands for, whatever the source."""

from dataclasses import dataclass

from ramac_lib.system.errors import unknown

BANDIT = "risky-bandit"
ENVS = {"hopper": "Hopper", "walker2d": "Walker2d", "halfcheetah": "HalfCheetah"}
QUALITIES = ("medium-expert", "medium-replay")
# Length of an evaluation episode, in steps (released configuration of the paper).
HORIZONS = {"hopper": 500, "walker2d": 500, "halfcheetah": 200}


@dataclass(frozen=True)
class Task:
    """One benchmark task, e.g. ``hopper-medium-expert``.

    Args:
        name: what commands and configs call it.
        env: the robot, ``hopper``, ``walker2d`` or ``halfcheetah``; or ``risky-bandit``.
        quality: of the behaviour policies behind the data; empty for the bandit.
        horizon: length of an evaluation episode, in steps.
    """

    name: str
    env: str
    quality: str
    horizon: int

    def env_id(self, version: int = 5) -> str:
        """Return Gymnasium's id: ``-v5`` for bundled and Minari data, ``-v4`` for D4RL files."""
        if self.env == BANDIT:
            return "RiskyBandit-v0"
        return f"{ENVS[self.env]}-v{version}"


TASKS = {
    **{
        f"{env}-{quality}": Task(f"{env}-{quality}", env, quality, HORIZONS[env])
        for env in ENVS
        for quality in QUALITIES
    },
    BANDIT: Task(BANDIT, BANDIT, "", 1),
}
"""Every task by name."""


def get_task(name: str) -> Task:
    """Return the task of that name.

    Raises:
        RamacError: the name is unknown; the known ones are listed.
    """
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


ROBOTS = tuple(name for name in TASKS if name != BANDIT)
