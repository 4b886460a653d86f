"""The bandit's dial: fields have their actions in the right place, the grid's order is the figure's."""

import base64
import json

import numpy as np

from support.bandit import dial


def test_a_field_has_its_actions_where_they_are():
    actions = np.array([[-0.9, 0.9]] * 4 + [[0.9, -0.9]])  # four at the upper left, one at the lower right
    height = np.frombuffer(base64.b64decode(dial.field(actions, bins=2)), np.uint8).reshape(2, 2)
    assert height.tolist() == [[255, 0], [0, 128]]  # the root of a quarter


def test_places_are_made_once_and_in_order(tmp_path, monkeypatch):
    made = []

    def cell(eta, alpha, trap, seeds, steps):
        made.append((eta, alpha, trap))
        field = dial.field(np.zeros((1, 2)))
        return {"density": field, "shares": [eta, alpha, trap], "mean": 0.0, "tail": 0.0}

    monkeypatch.setattr(dial, "cell", cell)
    for _ in range(2):
        dial.make((0,), 10, tmp_path / "cells", tmp_path / "out.json")
    assert len(made) == len(dial.ETAS) * len(dial.ALPHAS) * len(dial.TRAPS)
    data = json.loads((tmp_path / "out.json").read_text())
    sizes = [len(knob["values"]) for knob in data["knobs"]]
    at = np.ravel_multi_index((3, 1, 1), sizes)  # as the script finds it
    assert data["fields"][at]["shares"] == [dial.ETAS[3], dial.ALPHAS[1], dial.TRAPS[1]]
    titles = [axis.get_title() for axis in dial.still(data).axes]
    assert titles == ["η = 0.03", "η = 0.3", "η = 3"]


def test_a_place_is_a_trained_policy():
    made = dial.cell(0.3, 0.1, 0.05, (7,), 20)
    assert abs(sum(made["shares"]) - 1) < 1e-3
    assert made["tail"] <= made["mean"]
