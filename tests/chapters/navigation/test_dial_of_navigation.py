"""The risk dial shows what is stored: levels in order, the mean last, paths from start to goal."""

import numpy as np

from ramac_lib.envs.maps import MAPS
from ramac_lib.system.paths import data_folder
from support.navigation import dial


def test_levels_and_their_paths():
    data = dial.dial_data(data_folder() / "results", (("obstacle", "rare"), ("bridge", "rare")))
    for world, name in zip(data["worlds"], ("obstacle", "bridge"), strict=True):
        levels = [level["level"] for level in world["levels"]]
        assert levels == sorted(levels)
        assert levels[-1] == 1.0
        for level in world["levels"]:
            assert np.hypot(*(np.array(level["path"][-1]) - MAPS[name].goal)) <= 0.05 + 1e-3
            assert len(level["path"]) == level["steps"] + 1
    first, last = data["worlds"][0]["levels"][0], data["worlds"][0]["levels"][-1]
    # As computed by hand: straight on with penalties of 20 at .03 in four steps, or round the disc.
    assert (last["mean"], last["inside"]) == (-7.839, 4)
    assert (first["mean"], first["tail"], first["inside"]) == (-8.432, -8.432, 0)


def test_the_still_picture_names_each_path_once():
    figure = dial.still(dial.dial_data(data_folder() / "results", (("obstacle", "rare"),)))
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["α from 0.05 to 0.8", "α from 0.85 to 1"]
