"""A run's directory: its config, tables and checkpoints, each whole or not there."""

import contextlib
import io
import json
import logging
import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from filelock import FileLock, Timeout

from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, is_left, is_sealed, read, sealed
from ramac_lib.training.config import RunConfig, config_from_json

HASHES = {"run": str, "code": str}  # columns whose hexadecimal digits must not be taken for numbers
KEYS = {  # columns without which a table says nothing
    "metrics.csv": ("seed", "step"),
    "evaluations.csv": ("seed", "step", "purpose", "horizon", "hazard"),
}  # fmt: skip

TRAINING, TABLES = ".training.lock", ".tables.lock"  # held by the kernel for a process, whose death gives them back
SOON, LONG = 1.0, 60.0  # seconds: for a trainer that is just ending; for a table to be written
_warned: set[Path] = set()  # runs whose states have no checksums, which is said once
FORMAT = 2  # of a checkpoint and of config.json; 2 since methods keep the normalizer of their observations


@dataclass(frozen=True)
class RunDirectory:
    """One run's files; each is whole or not there.

    ``config.json`` (the config and facts), ``metrics.csv``, ``evaluations.csv``, and two states: ``checkpoint.pt`` is
    all that is needed to go on, in float32 (on Hopper 1.5 MB a seed of RADAC, 19 of FlowQL), and
    ``policy.pt`` what the deployed policy needs to act, in float16 (.16 and 1.6 MB).
    """

    path: Path

    def check(self, config: RunConfig, resume: bool) -> None:
        """Refuse a directory that this run may not use; change nothing.

        Raises:
            RamacError: it holds a run of another config, or one that `resume` was not given for.
        """
        if self.config_file.exists():
            there = self.read_config()
            if there.hash != config.hash:
                raise RamacError(f"{self.path}: holds a run of another config: {_difference(there, config)}")
            if not resume:
                raise RamacError(f"{self.path}: this run was begun before; pass --resume to go on with it")
        elif self.path.exists() and any(
            p.name not in (TRAINING, TABLES) and not is_left(p) for p in self.path.iterdir()
        ):
            raise RamacError(f"{self.path}: the folder is not empty and holds no run")

    def open(self, config: RunConfig, facts: Mapping[str, Any], resume: bool) -> bool:
        """Claim the directory for a run; return whether there is a checkpoint to go on from.

        Args:
            facts: written beside the config (the data's hash, the environment …), no part of the run's identity.

        Raises:
            RamacError: the directory holds a run of another config, or one that `resume` was not given for.
        """
        self.check(config, resume)
        if not self.config_file.exists():
            data = {
                "format": FORMAT,
                "hash": config.hash,
                "version": version("ramac-lib"),
                "config": config.to_json(),
                "sealed": True,
                **facts,
            }
            with atomic(self.config_file) as temporary:
                temporary.write_text(json.dumps(data, indent=2) + "\n")
        return self.checkpoint_file.exists()

    def check_data(self, config: RunConfig, facts: Mapping[str, Any]) -> str | None:
        """Return a warning if the run's bundled data came out otherwise than where it was begun.

        They are rolled out afresh from their recipe; versions of MuJoCo, and processors without FMA, round otherwise.

        Raises:
            RamacError: data of another source differ.
        """
        there, here = self.read_facts()["data"]["sha256"], facts["data"]["sha256"]
        if there == here:
            return None
        differ = f"the data of {config.task} have the hash {here[:12]}, the run was begun with {there[:12]}"
        if config.source != "bundled":
            raise RamacError(f"{self.path}: {differ}; expected the same data from {config.source}")
        return f"{differ}: rebuilt from their recipe, they came out otherwise; going on with them"

    def _tidy(self) -> None:
        """Remove what killed processes left half written; what others are writing now stays."""
        if any(map(is_left, self.path.iterdir())):
            with self.tables():
                for left in filter(is_left, list(self.path.iterdir())):
                    left.unlink(missing_ok=True)

    # -- one at a time ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Hold the run for the one that trains it, from before its state is read to the end of its updates.

        What killed processes left half written is removed first.

        Raises:
            RamacError: another process trains it, or nothing can be written there.
        """
        with self._held(TRAINING, SOON, "this run is being trained by another process"):
            self._tidy()
            yield

    def tables(self) -> contextlib.AbstractContextManager[None]:
        """Hold the run's tables while they are read, changed and written; no one holds them for longer.

        Raises:
            RamacError: another process has held them for a minute, or nothing can be written there.
        """
        return self._held(TABLES, LONG, "another process has held this run's tables for a minute")

    @contextlib.contextmanager
    def _held(self, name: str, patience: float, refusal: str) -> Iterator[None]:
        lock = FileLock(self.path / name, timeout=patience)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise RamacError(f"{self.path}: {refusal}") from None
        except OSError as error:
            raise RamacError(f"{self.path}: cannot be written ({error.strerror})") from error
        try:
            yield
        finally:
            lock.release()

    # -- its files --------------------------------------------------------------------------------------------------

    @property
    def config_file(self) -> Path:
        """The run's config and facts."""
        return self.path / "config.json"

    @property
    def checkpoint_file(self) -> Path:
        """The last checkpoint."""
        return self.path / "checkpoint.pt"

    def read_facts(self) -> dict[str, Any]:
        """Return all of config.json.

        Raises:
            RamacError: there is none, it is damaged, or it is of a newer version.
        """
        try:
            facts = json.loads(read(self.config_file))
            if facts["format"] > FORMAT:
                raise RamacError(
                    f"{self.config_file}: written by a newer version (format {facts['format']}; this reads {FORMAT})"
                )
            told = facts["hash"], facts["env_id"], facts["data"]["sha256"], *facts["config"]
            widths = [isinstance(n, int) and n > 0 for n in facts["dims"]]
            if widths != [True, True] or not all(isinstance(text, str) for text in told):
                raise TypeError("dims")
            return facts
        except FileNotFoundError:
            raise RamacError(f"{self.path}: holds no run (no config.json)") from None
        except RamacError:
            raise
        except (ValueError, KeyError, TypeError, RecursionError):
            raise RamacError(f"{self.config_file}: is damaged; expected the JSON of a run's config") from None

    def read_config(self) -> RunConfig:
        """Return the run's config.

        Raises:
            RamacError: as `read_facts`; a value that no config has, or a hash that is not the config's.
        """
        facts = self.read_facts()
        try:
            config = config_from_json(facts["config"])
        except RamacError as error:
            raise RamacError(f"{self.config_file}: {error}") from error
        except (KeyError, TypeError, AttributeError):
            raise RamacError(f"{self.config_file}: is damaged; expected the JSON of a run's config") from None
        if config.hash != facts.get("hash"):
            raise RamacError(
                f"{self.config_file}: was edited: its config's hash is {config.hash}, not {facts.get('hash')!r}"
            )
        return config

    @property
    def policy_file(self) -> Path:
        """The deployed policies at the last checkpoint."""
        return self.path / "policy.pt"

    def save_checkpoint(
        self,
        step: int,
        seeds: Mapping[int, Any],
        engine: str,
        *,
        policies: Mapping[int, Any],
        codes: Sequence[str] = (),
    ) -> None:
        """Write the state after `step` updates and the policies' copies, each file atomically.

        Args:
            seeds: each seed's full state.
            engine: the name of the one that made the updates.
            policies: each seed's `Method.deployed_state`.
            codes: versions of the code that trained the run, where they are kept.
        """
        head = {"format": FORMAT, "hash": self.read_facts()["hash"], "step": step, "engine": engine}
        # In this order: from the state, whoever goes on makes the copies that a kill in between has prevented.
        for path, own in (
            (self.checkpoint_file, {"seeds": dict(seeds), "codes": list(codes)}),
            (self.policy_file, {"seeds": dict(policies)}),
        ):
            archive = io.BytesIO()  # written by Python: of a full disk PyTorch tells in a RuntimeError of many lines
            torch.save({**head, **own}, archive)
            with atomic(path) as temporary:
                temporary.write_bytes(sealed(archive.getvalue()))

    def load_checkpoint(self) -> dict[str, Any]:
        """Return the full state that `save_checkpoint` wrote (no code in the file is run).

        Raises:
            RamacError: there is none, it is damaged, of another run, or of another version.
        """
        return self._load(self.checkpoint_file)

    def load_policies(self) -> dict[str, Any]:
        """Return the policies' copies that `save_checkpoint` wrote; errors as `load_checkpoint`."""
        return self._load(self.policy_file)

    def copies_lag(self) -> bool:
        """Return whether the policies' copies are not there, or not of the last checkpoint's step; errors as above."""
        return not self.policy_file.exists() or self._load(self.policy_file, mmap=True)["step"] != self.read_head()[0]

    def read_head(self) -> tuple[int, str]:
        """Return the last checkpoint's step and engine, without reading its tensors; errors as `load_checkpoint`."""
        checkpoint = self._load(self.checkpoint_file, mmap=True)
        return checkpoint["step"], checkpoint["engine"]

    def begun(self) -> str | None:
        """Return the engine of the last checkpoint by name, None where there is none; errors as above."""
        return self.read_head()[1] if self.checkpoint_file.exists() else None

    def _load(self, path: Path, mmap: bool = False) -> dict[str, Any]:
        facts = self.read_facts()
        steps, seeds = facts["config"].get("steps"), facts["config"].get("seeds")
        if path.exists() and not path.is_file():  # of a pipe the end would be waited for
            raise _damaged(path)
        try:
            source: Any = path if mmap else self._checked(path, facts)
            checkpoint = torch.load(source, map_location="cpu", weights_only=True, mmap=mmap)
            written, same = int(checkpoint["format"]), checkpoint["hash"] == facts["hash"]
            step, engine, codes = checkpoint["step"], checkpoint.get("engine", ""), checkpoint.get("codes", [])
            whole = isinstance(step, int) and isinstance(engine, str) and isinstance(codes, list)
            whole &= 0 <= step <= steps and set(checkpoint["seeds"]) >= set(seeds)
        except FileNotFoundError:
            raise RamacError(f"{path}: there is no checkpoint yet") from None
        except RamacError:
            raise
        except (RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError,
                OverflowError, OSError, zipfile.BadZipFile):  # fmt: skip
            raise _damaged(path) from None
        if written != FORMAT:
            age = "a newer" if written > FORMAT else "an older"
            raise RamacError(f"{path}: written by {age} version (format {written}; this reads {FORMAT})")
        if not same:
            raise RamacError(f"{path}: the checkpoint is of another run")
        if not whole:
            raise _damaged(path)
        checkpoint.setdefault("engine", f"{checkpoint.get('device', 'cpu')} eager float32")  # before there were engines
        return checkpoint

    @contextlib.contextmanager
    def taking(self, path: Path) -> Iterator[None]:
        """Take over what a state holds; one without a checksum that does not fit is damaged.

        Raises:
            RamacError: it does not fit the run's networks; as its cause, what Python said.
        """
        try:
            yield
        except (LookupError, TypeError, RuntimeError, ValueError, AttributeError) as error:
            if isinstance(error, RamacError | torch.OutOfMemoryError) or "allocate memory" in str(error):
                raise
            if not self.read_facts().get("sealed"):
                raise _damaged(path) from error
            reason = type(error).__name__
            raise RamacError(f"{path}: the checkpoint does not fit the run's networks ({reason})") from error

    def verify(self) -> None:
        """Check the checksums of the states that there are.

        Raises:
            RamacError: a damaged state or config.
        """
        for path in filter(Path.exists, (self.checkpoint_file, self.policy_file)):
            self._checked(path, self.read_facts())

    def _checked(self, path: Path, facts: Mapping[str, Any]) -> io.BytesIO:
        """Return a state whose checksum is right; of runs that began before there were any, one without passes."""
        content = read(path)
        state = is_sealed(content)
        if state is False or (state is None and facts.get("sealed")):
            raise _damaged(path)
        if state is None and self.path not in _warned:
            _warned.add(self.path)
            logging.getLogger(__name__).warning(
                f"{self.path}: begun by an earlier version, so that its states have no checksums; taken as they are"
            )
        return io.BytesIO(content)

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a CSV, atomically; floats to the last bit."""
        with atomic(self.path / name) as temporary:
            table.to_csv(temporary, index=False)

    def read_table(self, name: str, up_to_step: int | None = None) -> pd.DataFrame:
        """Return a CSV, empty if it is not there or has no rows, without rows of later steps than the checkpoint's."""
        path = self.path / name
        try:
            table = pd.read_csv(io.BytesIO(read(path)), keep_default_na=False, na_values=[""], dtype=HASHES)
            table[list(KEYS.get(name, ()))]  # KeyError where one is missing
            return table if up_to_step is None else table[table["step"] <= up_to_step].reset_index(drop=True)
        except (FileNotFoundError, pd.errors.EmptyDataError):  # a run without evaluations writes an empty table
            return pd.DataFrame()
        except RamacError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise RamacError(f"{path}: is damaged; expected the table that a run writes") from error


def _difference(there: RunConfig, here: RunConfig) -> str:
    """Return the first field in which two configs differ, for a message."""
    a, b = ({**c.to_json(), **c.to_json()["settings"]} for c in (there, here))
    names = [n for n in a | b if n != "settings" and a.get(n) != b.get(n)]
    return f"{names[0]} is {a.get(names[0])!r} there and {b.get(names[0])!r} here"


def _damaged(path: Path) -> RamacError:
    return RamacError(f"{path}: the checkpoint is damaged; delete it to begin the run anew")
