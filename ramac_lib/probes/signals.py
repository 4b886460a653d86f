"""Recorded episodes of deployed policies: every step's monitored signal, some episodes' poses."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32

from ramac_lib.errors import RamacError
from ramac_lib.hazards import Hazard
from ramac_lib.plots import style
from ramac_lib.probes.rows import Row, row_from

FORMAT = 1


class Clip(NamedTuple):
    """One recorded episode of T steps; `qpos` is empty where no poses were kept."""

    env_id: str
    step_seconds: float
    monitored: Float32[np.ndarray, " T"]
    violation: Bool[np.ndarray, " T"]
    struck: Bool[np.ndarray, " T"]
    qpos: Float32[np.ndarray, "T q"]


@dataclass(frozen=True)
class Signals:
    """What `ramac_lib.probes.recording` wrote.

    Args:
        episodes: one row an episode: ``run`` (an index into `rows`), ``seed episode length violations penalties
            posed``.
        monitored, violation, struck: one entry a step, the episodes one after another.
        poses: MuJoCo's generalised positions, the posed episodes one after another.
        behaviour: for each task, the data's monitored signal: its quantiles at (i + ½) / 4096.
        facts: OUT.json.
    """

    episodes: pd.DataFrame
    monitored: Float32[np.ndarray, " T"]
    violation: Bool[np.ndarray, " T"]
    struck: Bool[np.ndarray, " T"]
    poses: Float32[np.ndarray, "P q"]
    behaviour: dict[str, Float32[np.ndarray, " Q"]]
    facts: dict[str, Any]

    @property
    def rows(self) -> list[Row]:
        """The runs, in the order of ``episodes.run``."""
        return [row_from(run) for run in self.facts["runs"]]

    def hazard(self, index: int) -> Hazard:
        """Return the hazard that was live when a run was recorded."""
        return Hazard(**self.facts["runs"][index]["bounds"])

    def select(self, task: str, hazard: str, methods: Sequence[str] = (), plain: bool = False) -> list[int]:
        """Return the indices of a task's runs under a hazard, in the order of `methods` where some are named.

        Args:
            plain: only methods as they are, no variants.
        """
        rows = self.rows
        found = [i for i, row in enumerate(rows) if (row.task, row.hazard) == (task, hazard)]
        found = [i for i in found if not plain or rows[i].label == style(rows[i].method).label]
        return [i for method in methods for i in found if rows[i].method == method] if methods else found

    def steps(self, index: int) -> Bool[np.ndarray, " T"]:
        """Return which of all steps belong to a run."""
        return np.repeat(self.episodes["run"].to_numpy() == index, self.episodes["length"].to_numpy())

    def clip(self, index: int, seed: int, episode: int) -> Clip:
        """Return one episode of a run.

        Raises:
            RamacError: it was not recorded.
        """
        table = self.episodes
        at = np.flatnonzero((table["run"] == index) & (table["seed"] == seed) & (table["episode"] == episode))
        if len(at) == 0:
            raise RamacError(f"{self.rows[index].label}: episode {episode} of seed {seed} was not recorded")
        lengths, posed = table["length"].to_numpy(), table["posed"].to_numpy()
        start = int(lengths[: at[0]].sum())
        span = slice(start, start + lengths[at[0]])
        before = int((lengths * posed)[: at[0]].sum())
        qpos = self.poses[before : before + lengths[at[0]] * posed[at[0]]]
        run = self.facts["runs"][index]
        seconds = run["step_seconds"]
        return Clip(run["env_id"], seconds, self.monitored[span], self.violation[span], self.struck[span], qpos)


def load(out: Path) -> Signals:
    """Return what `ramac_lib.probes.recording` wrote as OUT.npz and OUT.json.

    Raises:
        RamacError: they are not there, of a newer version, or do not belong together.
    """
    out = Path(out)
    try:
        facts = json.loads(out.with_suffix(".json").read_text())
        with np.load(out.with_suffix(".npz")) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise RamacError(f"{error.filename}: not there; make it with `ramac record`") from None
    if facts["format"] > FORMAT:
        raise RamacError(f"{out}.json: written by a newer version (format {facts['format']}; this reads {FORMAT})")
    total = int(arrays["length"].sum())
    if total != facts["steps"] or total != len(arrays["monitored"]):
        raise RamacError(f"{out}: the .npz holds {total} steps, the .json tells of {facts['steps']}; record them anew")
    flags = {name: np.unpackbits(arrays[name], count=total).astype(bool) for name in ("violation", "struck")}
    table = pd.DataFrame({name: arrays[name] for name in ("run", "seed", "episode", "length", "posed")})
    starts = np.concatenate([[0], np.cumsum(table["length"])[:-1]])
    table["violations"] = np.add.reduceat(flags["violation"].astype(int), starts)
    table["penalties"] = np.add.reduceat(flags["struck"].astype(int), starts)
    behaviour = {n.removeprefix("behaviour "): a for n, a in arrays.items() if n.startswith("behaviour ")}
    return Signals(table, arrays["monitored"], **flags, poses=arrays["poses"], behaviour=behaviour, facts=facts)


def rates(signals: Signals, index: int) -> tuple[list[Float[np.ndarray, " n"]], Float[np.ndarray, "E 2"]]:
    """Return a run's episodes as numbers of rows for each seed, and each row's (violations, steps)."""
    table = signals.episodes[signals.episodes["run"] == index].reset_index(drop=True)
    groups = [np.asarray(rows, float) for rows in table.groupby("seed").indices.values()]
    return groups, table[["violations", "length"]].to_numpy(float)
