"""A run's config: the hazard is taken by name or itself."""

import pickle
from dataclasses import replace

import pytest

from ramac_lib.envs.hazards import PRESETS, Interval, register_hazard
from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import make_config

TASK = "hopper-medium-expert"
HURRY = Interval(5, -1.0, 3.5, -20.0, 0.1)


def test_a_hazard_is_taken_by_name_or_itself(monkeypatch):
    monkeypatch.setitem(PRESETS, "hurry", {})
    hurry = register_hazard("hurry", TASK, HURRY)
    named, itself = (make_config("radac", TASK, (0,), 10, hazard=hazard) for hazard in ("hurry", hurry))
    assert named == itself
    assert named.hash == itself.hash
    assert pickle.loads(pickle.dumps(itself)).hazard is hurry


def test_a_hazard_that_runs_could_not_name_is_refused(monkeypatch):
    monkeypatch.setitem(PRESETS, "hurry", {})
    hurry = register_hazard("hurry", TASK, HURRY)
    for hazard, named in ((HURRY, r"Interval\(.*\)"), (replace(hurry, low=-2.0), "hurry")):
        with pytest.raises(RamacError, match=f"the hazard {named} of {TASK} is not a registered one; register it"):
            make_config("radac", TASK, (0,), 10, hazard=hazard)
    with pytest.raises(RamacError, match="'hurry' is not defined for walker2d-medium-expert"):
        make_config("radac", "walker2d-medium-expert", (0,), 10, hazard=hurry)
