"""What a campaign runs: profiles, rows, and the cells of their grid."""

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ramac_lib.envs.tasks import ROBOTS, get_task
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.ranges import COUNT, FROM_0, SEEDS, check_fields, check_values
from ramac_lib.training.config import RunConfig, make_config, parse_options

TABLE_1 = ("cql", "codac", "oraac", "oraac-diffusion", "flow-ql", "diffusion-ql", "rafmac", "radac")
ROWS = (*TABLE_1, "radac:risk=neutral", "bc-diffusion")  # beside table 1: what risk and what the critic add
MAY_GROW = ("tasks", "rows", "hazards")  # and seeds, whose growth is other runs beside those that are there
NO_OPTIONS = ("more_seeds",)  # fields that only a campaign's growth fills


@dataclass(frozen=True)
class Grid:
    """Everything that decides a campaign's results.

    Args:
        tasks: names of tasks; `ramac tasks` lists them.
        rows: METHOD or METHOD:option=value[,option=value] each, e.g. radac radac:risk=neutral.
        hazards: paper, calibrated, none: of the robots; rare, codac, toll, none: of navigation; the Risky Bandit has
            its own trap and is run once.
        seeds: of every cell; those added to a campaign later are cells of their own.
        steps: updates of every cell.
        evaluations: how many there are while a cell is trained, evenly spread, the last at its end.
        evaluate_at: further steps to evaluate at; those beyond the end are never reached.
        episodes: of each evaluation, a seed.
        report_episodes: of the report at a cell's end, or at the budget's, a seed.
        size: transitions asked of the source; None for the source's default.
        source: bundled, d4rl, minari, or the path of an HDF5 file.
        data_seed: seed of bundled data's rollouts and of the hazard's draws on the data.
        engine: auto, eager, native, compile, graph or compiled-graph (`ramac_lib.training.engine`).
        precision: auto, float32, tf32 or bfloat16.
        env_id: Gymnasium's id, for a file of your own.
        more_seeds: groups of seeds that were added since, each a further run of every row.

    Raises:
        RamacError: an unknown name, a bad number, the same cell twice.
    """

    tasks: tuple[str, ...]
    rows: tuple[str, ...]
    hazards: tuple[str, ...]
    seeds: tuple[int, ...] = field(metadata={"range": SEEDS})
    steps: int = field(metadata={"range": COUNT})
    evaluations: int = field(default=10, metadata={"range": COUNT})
    evaluate_at: tuple[int, ...] = field(default=(), metadata={"range": COUNT})
    episodes: int = field(default=10, metadata={"range": FROM_0})
    report_episodes: int = field(default=20, metadata={"range": COUNT})
    size: int | None = field(default=None, metadata={"range": COUNT})
    source: str = "bundled"
    data_seed: int = field(default=0, metadata={"range": SEEDS})
    engine: str = "auto"
    precision: str = "auto"
    env_id: str | None = None
    more_seeds: tuple[tuple[int, ...], ...] = field(default=(), metadata={"range": SEEDS})

    def __post_init__(self) -> None:
        check_fields(self)
        for name in MAY_GROW:
            if not getattr(self, name):
                raise RamacError(f"no {name} were given; at least one is needed")
        for seed in self.every_seed:
            if self.every_seed.count(seed) > 1:
                raise RamacError(f"seed {seed} is given twice")
        self.cells()

    @property
    def every_seed(self) -> tuple[int, ...]:
        """The seeds of every row, of the beginning first, then those added since."""
        return (*self.seeds, *(seed for group in self.more_seeds for seed in group))

    @property
    def eval_every(self) -> int:
        """Updates between two evaluations of a cell."""
        return max(1, self.steps // self.evaluations)

    def cells(self) -> list["Cell"]:
        """Return the grid's cells, those of a task beside each other.

        Raises:
            RamacError: two rows are the same run.
        """
        found: dict[str, Cell] = {}
        runs_of: dict[str, Cell] = {}  # by their configs' hash
        for task in dict.fromkeys(self.tasks):
            for hazard in dict.fromkeys("none" if get_task(task).is_bandit else h for h in self.hazards):
                runs = itertools.product(dict.fromkeys(self.rows), (self.seeds, *self.more_seeds))
                for row, seeds in runs:
                    cell = Cell(row, self._config(row, task, hazard, seeds), seeds != self.seeds)
                    twin = runs_of.setdefault(cell.config.hash, cell)
                    if twin is not cell or cell.name in found:
                        other = twin if twin is not cell else found[cell.name]
                        raise RamacError(f"the rows {other.row} and {row} are the same on {task}")
                    found[cell.name] = cell
        return list(found.values())

    def _config(self, row: str, task: str, hazard: str, seeds: Sequence[int]) -> RunConfig:
        method, options = parse_row(row)
        others: dict[str, Any] = {"source": self.source, "size": self.size, "data_seed": self.data_seed}
        others["env_id"] = self.env_id
        return make_config(method, task, seeds, self.steps, options, hazard=hazard, **others)

    def to_json(self) -> dict[str, Any]:
        """Return the grid as plain data."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Grid":
        """Return the grid that `to_json` wrote."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        fields["more_seeds"] = tuple(tuple(group) for group in fields.get("more_seeds", ()))
        check_values(cls, fields)
        return cls(**fields)

    def but(self, changes: Mapping[str, Any]) -> "Grid":
        """Return the grid with those changes that are neither None nor empty."""
        return dataclasses.replace(self, **{k: v for k, v in changes.items() if v is not None and v != ()})

    def grown(self, other: "Grid") -> "Grid":
        """Return this grid with the other's tasks, rows, hazards and seeds added.

        Seeds that are new become one more run of every row, so that the runs that are there stay what they are.

        Raises:
            RamacError: they differ in anything else, which is named.
        """
        for one in dataclasses.fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            if one.name not in (*MAY_GROW, "seeds", "more_seeds") and mine != theirs:
                raise RamacError(
                    f"{one.name} is {_shown(mine)} in the campaign there and {_shown(theirs)} here; "
                    f"only {', '.join((*MAY_GROW, 'seeds'))} can be added to a campaign"
                )
        more: dict[str, Any] = {
            name: tuple(dict.fromkeys((*getattr(self, name), *getattr(other, name)))) for name in MAY_GROW
        }
        if new := tuple(seed for seed in other.every_seed if seed not in self.every_seed):
            more["more_seeds"] = (*self.more_seeds, new)
        return dataclasses.replace(self, **more)


def _shown(value: Any) -> str:
    return (" ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class Cell:
    """One task, row and hazard: one run of all its seeds, or of some that were added later."""

    row: str
    config: RunConfig
    added: bool = False

    @property
    def name(self) -> str:
        """The cell's folder, of letters, digits, '.', '_' and '-' only."""
        row = re.sub(r"[^A-Za-z0-9._-]", "-", self.row.replace(":", "_").replace(",", "_"))
        seeds = f".seeds-{'-'.join(map(str, self.config.seeds))}" if self.added else ""
        return f"{self.config.task}.{self.config.hazard.name}.{row}{seeds}"


def parse_row(row: str) -> tuple[str, dict[str, str]]:
    """Return a row's method and options; a comma may also be part of a value, as in ``radac:hidden=64,64``.

    Raises:
        RamacError: an option without ``=``, or given twice.
    """
    method, colon, text = row.partition(":")
    pairs: list[str] = []
    for piece in text.split(",") if colon else []:
        if "=" in piece or not pairs:
            pairs.append(piece)
        else:
            pairs[-1] += f",{piece}"
    try:
        return method, parse_options(pairs)
    except RamacError as error:
        raise RamacError(f"row {row!r}: {str(error).replace('--set ', '')}") from None


PROFILES: dict[str, Grid] = {
    # Minutes on two cores.
    "quick": Grid(
        ("hopper-medium-expert",), ("radac", "radac:risk=neutral", "diffusion-ql", "bc-diffusion"), ("paper",),
        (0, 1), 400, evaluations=2, episodes=3, report_episodes=10, size=20_000,
    ),
    # An evening on a laptop.
    "laptop": Grid(("hopper-medium-expert",), ROWS, ("paper",), (0, 1, 2), 10_000, report_episodes=30),
    # A GPU's day; 1,000 updates are a moment of the paper's table 4.
    "gpu": Grid(
        ROBOTS, ROWS, ("paper", "calibrated"), (0, 1, 2, 3, 4), 50_000, evaluate_at=(1000,), size=500_000,
    ),
    # The paper's main table.
    "paper": Grid(
        ROBOTS, TABLE_1, ("paper",), (0, 1, 2, 3, 4), 2_000_000, evaluations=40, evaluate_at=(1000,), size=1_000_000,
    ),
}  # fmt: skip
"""The grids that a campaign can begin with, by name."""


def get_profile(name: str) -> Grid:
    """Return the grid of a profile.

    Raises:
        RamacError: the name is unknown; the known ones are listed.
    """
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return PROFILES[name]


def choose(profile: str | None, changes: Mapping[str, Any], there: Grid | None) -> Grid:
    """Return the grid that a command asks for.

    Args:
        profile: its name; by default the grid of the campaign that is gone on with, or quick.
        changes: fields given on the command line; None and () are not.
        there: the grid of a campaign that is gone on with.

    Raises:
        RamacError: as `Grid`, `get_profile` and `Grid.grown`.
    """
    if there is None:
        return get_profile(profile or "quick").but(changes)
    start = dataclasses.replace(there, more_seeds=()) if profile is None else get_profile(profile)
    return there.grown(start.but(changes))


def tasks_of(cells: Sequence[Cell]) -> list[RunConfig]:
    """Return one config for each task among the cells, for its data to be built."""
    return list({cell.config.task.name: cell.config for cell in cells}.values())
