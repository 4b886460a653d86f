"""RAMAC, reproduced: risk-aware multimodal actor-critics for offline reinforcement learning.

The public face: what most uses need, under one name each. A name is imported when it is first asked for, so that
``import ramac_lib`` loads neither PyTorch nor MuJoCo. Everything else is imported from its room, as in
``from ramac_lib.risk import weights``; the rooms are listed in ``CONTRIBUTING.md``.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ramac_lib.campaign.grid import Grid
    from ramac_lib.campaign.launch import run as run_campaign
    from ramac_lib.datasets import load as load_data
    from ramac_lib.datasets.batches import Batch, Chunks, Windows
    from ramac_lib.datasets.contract import Dataset
    from ramac_lib.datasets.hdf5 import save_file
    from ramac_lib.datasets.relabel import relabel
    from ramac_lib.envs.bandit import Bandit
    from ramac_lib.envs.hazards import Area, Hazard, HazardWrapper, Interval, Region, get_hazard, register_hazard
    from ramac_lib.envs.tasks import TASKS, Task, get_task, register_task
    from ramac_lib.methods.shared.base import Controller, Method
    from ramac_lib.methods.shared.registry import METHODS, get_method, register
    from ramac_lib.risk.estimators import cvar, value_at_risk
    from ramac_lib.risk.estimators import risk as risk_of_samples
    from ramac_lib.risk.exact import risk_of_law
    from ramac_lib.system.errors import RamacError
    from ramac_lib.training.checkpoints import load_checkpoint, store_checkpoints
    from ramac_lib.training.config import RunConfig, make_config
    from ramac_lib.training.engine import get_engine
    from ramac_lib.training.evaluators import Evaluator
    from ramac_lib.training.loop import Schedule, Trainer, train
    from ramac_lib.training.stored import evaluate_run as evaluate
    from ramac_lib.training.stored import load_run

# Threads that wait for each other let their cores go: by default OpenMP's spin, and where another process keeps a core
# busy, two threads are many times slower than one. Read once, when PyTorch loads OpenMP; child processes inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

__all__ = [
    "METHODS", "TASKS", "Area", "Bandit", "Batch", "Chunks", "Controller", "Dataset", "Evaluator", "Grid", "Hazard",
    "HazardWrapper", "Interval", "Method", "RamacError", "Region", "RunConfig", "Schedule", "Task", "Trainer",
    "Windows", "cvar", "evaluate", "get_engine", "get_hazard", "get_method", "get_task", "load_checkpoint",
    "load_data", "load_run", "make_config", "register", "register_hazard", "register_task", "relabel",
    "risk_of_law", "risk_of_samples", "run_campaign", "save_file", "store_checkpoints", "train", "value_at_risk",
]  # fmt: skip

# Name → module:attribute. The same names stand in `__all__` and, for type checkers, in the imports above; a test
# compares the three.
_FACE = {
    "METHODS": "methods.shared.registry:METHODS",
    "TASKS": "envs.tasks:TASKS",
    "Area": "envs.hazards:Area",
    "Bandit": "envs.bandit:Bandit",
    "Batch": "datasets.batches:Batch",
    "Chunks": "datasets.batches:Chunks",
    "Controller": "methods.shared.base:Controller",
    "Dataset": "datasets.contract:Dataset",
    "Evaluator": "training.evaluators:Evaluator",
    "Grid": "campaign.grid:Grid",
    "Hazard": "envs.hazards:Hazard",
    "HazardWrapper": "envs.hazards:HazardWrapper",
    "Interval": "envs.hazards:Interval",
    "Method": "methods.shared.base:Method",
    "RamacError": "system.errors:RamacError",
    "Region": "envs.hazards:Region",
    "RunConfig": "training.config:RunConfig",
    "Schedule": "training.loop:Schedule",
    "Task": "envs.tasks:Task",
    "Trainer": "training.loop:Trainer",
    "Windows": "datasets.batches:Windows",
    "cvar": "risk.estimators:cvar",
    "evaluate": "training.stored:evaluate_run",
    "get_engine": "training.engine:get_engine",
    "get_hazard": "envs.hazards:get_hazard",
    "get_method": "methods.shared.registry:get_method",
    "get_task": "envs.tasks:get_task",
    "load_checkpoint": "training.checkpoints:load_checkpoint",
    "load_data": "datasets:load",
    "load_run": "training.stored:load_run",
    "make_config": "training.config:make_config",
    "register": "methods.shared.registry:register",
    "register_hazard": "envs.hazards:register_hazard",
    "register_task": "envs.tasks:register_task",
    "relabel": "datasets.relabel:relabel",
    "risk_of_law": "risk.exact:risk_of_law",
    "risk_of_samples": "risk.estimators:risk",
    "run_campaign": "campaign.launch:run",
    "save_file": "datasets.hdf5:save_file",
    "store_checkpoints": "training.checkpoints:store_checkpoints",
    "train": "training.loop:train",
    "value_at_risk": "risk.estimators:value_at_risk",
}


def __getattr__(name: str) -> Any:
    """Import what the face offers when it is first asked for (PEP 562)."""
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _FACE[name].split(":")
    found = globals()[name] = getattr(import_module(f"{__name__}.{module}"), attribute)
    return found


def __dir__() -> list[str]:
    """Return the names that are there, and those that can be asked for."""
    return sorted({*globals(), *_FACE})
