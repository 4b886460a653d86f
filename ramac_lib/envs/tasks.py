"""What a task's name stands for: Stochastic-D4RL, the Risky Bandit, risky navigation, tasks with costs, one's own."""

from dataclasses import dataclass

from ramac_lib.system.errors import RamacError, check_name, unknown
from ramac_lib.system.plugins import load_entry_points

BANDIT = "risky-bandit"
NAVIGATION = {
    f"navigation-{where}-{mixture}": (where, mixture)
    for where in ("obstacle", "bridge", "gates")
    for mixture in ("expert", "mixed", "biased")
}
"""Names of the navigation tasks → the map (`ramac_lib.envs.maps`) and the mixture of behaviour rules."""
CROSSING = 50  # steps that an episode of navigation may take
ENVS = {"hopper": "Hopper", "walker2d": "Walker2d", "halfcheetah": "HalfCheetah"}
QUALITIES = ("medium-expert", "medium-replay")
# Length of an evaluation episode, in steps (released configuration of the paper).
HORIZONS = {"hopper": 500, "walker2d": 500, "halfcheetah": 200}
VELOCITY = "velocity"
"""Quality of the tasks in which a robot runs under a speed limit (`ramac_lib.envs.velocity`)."""
BULLET = {"ball-run": "BallRun", "ball-circle": "BallCircle", "car-run": "CarRun", "car-circle": "CarCircle"}
BULLET |= {"drone-run": "DroneRun"}
"""Tasks of Bullet-Safety-Gym (`ramac_lib.envs.bullet`) → its name for them."""
LIMITS = {"ball-run": 100, "ball-circle": 200, "car-run": 200, "car-circle": 300, "drone-run": 200}
"""Steps of their episodes, in data and evaluations alike."""


@dataclass(frozen=True)
class Task:
    """One benchmark task, e.g. ``hopper-medium-expert``.

    Args:
        name: as ``--task`` takes it.
        env: short name of its robot; ``risky-bandit`` for the bandit, a map's name for navigation, the task's own name
            in Bullet-Safety-Gym, empty for a task of one's own.
        quality: which of the robot's or the map's data.
        horizon: steps at which evaluation episodes are cut.
        gymnasium_id: of a task of one's own; its data come from a file.
    """

    name: str
    env: str
    quality: str
    horizon: int
    gymnasium_id: str | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def is_bandit(self) -> bool:
        """Whether it is the Risky Bandit, which has its own trap and no hazard."""
        return self.env == BANDIT

    @property
    def is_navigation(self) -> bool:
        """Whether it is risky navigation on one of the library's maps."""
        return self.name in NAVIGATION

    @property
    def is_bullet(self) -> bool:
        """Whether it is one of Bullet-Safety-Gym's."""
        return self.env in BULLET

    @property
    def reports_costs(self) -> bool:
        """Whether its environment itself reports each step's cost, which no hazard could tell from observations."""
        return self.is_bullet or self.quality == VELOCITY

    def env_id(self, version: int = 5) -> str:
        """Return Gymnasium's id: ``-v5`` for bundled and Minari data, ``-v4`` for D4RL files."""
        if self.gymnasium_id is not None:
            return self.gymnasium_id
        if self.is_bandit:
            return "RiskyBandit-v0"
        if self.is_navigation:
            return f"Navigation{self.env.capitalize()}-v0"
        if self.is_bullet:
            return f"Safety{BULLET[self.env]}-v0"
        if self.quality == VELOCITY:
            return f"{ENVS[self.env]}Velocity-v5"
        return f"{ENVS[self.env]}-v{version}"


TASKS = {
    **{
        f"{env}-{quality}": Task(f"{env}-{quality}", env, quality, HORIZONS[env])
        for env in ENVS
        for quality in QUALITIES
    },
    BANDIT: Task(BANDIT, BANDIT, "", 1),
    **{name: Task(name, *parts, CROSSING) for name, parts in NAVIGATION.items()},
    **{f"{env}-{VELOCITY}": Task(f"{env}-{VELOCITY}", env, VELOCITY, HORIZONS[env]) for env in ENVS},
    **{name: Task(name, name, "", LIMITS[name]) for name in BULLET},
}
"""Every task by name."""
ROBOTS = tuple(name for name, task in TASKS.items() if task.env in ENVS and task.quality in QUALITIES)
"""The six tasks of Stochastic-D4RL."""


def get_task(name: str | Task) -> Task:
    """Return the task of that name; a task is returned as it is.

    Raises:
        RamacError: the name is unknown; the known ones are listed.
    """
    if isinstance(name, Task):
        return name
    if name not in TASKS:
        load_entry_points()
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


def check_env_id(env_id: str) -> str:
    """Return an environment's id; refuse one that is no name, or would import a module (``MODULE:ID``).

    Ids come from files too (a run's config, a data set's attribute, a packed campaign), and a file may run no code.
    Only a task that code of one's own registered, which ``--plugin FILE`` loads, may name a module.

    Raises:
        RamacError: it is refused.
    """
    if not isinstance(env_id, str) or not env_id:
        raise RamacError(f"the environment's id is {env_id!r}; expected a name such as Hopper-v5")
    if ":" in env_id:
        load_entry_points()
        if all(task.gymnasium_id != env_id for task in TASKS.values()):
            raise RamacError(
                f"the environment's id {env_id!r} names a module, which is never imported for an id; import it in a "
                f"file of your own, loaded with --plugin FILE, and name {env_id.rpartition(':')[2]!r} alone"
            )
    return env_id


def register_task(name: str, env_id: str, horizon: int) -> Task:
    """Make a task of one's own known, in an environment of Gymnasium's with vector observations and actions.

    Its data come from a file (``--source PATH.hdf5``); actions are scaled to [−1, 1]. Registering the same again does
    nothing.

    Args:
        name: as ``--task`` takes it: letters, digits, dots, dashes.
        env_id: as `gymnasium.make` takes it: registered with Gymnasium, or ``MODULE:ID``.
        horizon: steps at which evaluation episodes are cut.

    Raises:
        RamacError: the name is another task's or none, Gymnasium does not know the environment, the horizon is below 1.
    """
    import gymnasium  # here, as `ramac --help` need not wait for it

    task = Task(check_name("the task's name", name), "", "", horizon, env_id)
    try:
        if ":" not in env_id:  # with MODULE: Gymnasium imports that first
            gymnasium.spec(env_id)
    except gymnasium.error.Error as error:
        raise RamacError(f"the task {name} has no environment: {error}") from None
    if horizon < 1:
        raise RamacError(f"the horizon of {name} is {horizon}; expected at least 1 step")
    if TASKS.setdefault(name, task) != task:
        raise RamacError(f"the task {name!r} is registered twice: as {TASKS[name].env_id()} and as {env_id}")
    return task
