"""The moving robots: what a page is given is the episode's own, and how it plays, by Node.js on a stand-in."""

import base64
import json
import shutil
import subprocess

import numpy as np
import pytest
from figure_page import PAGE, PLAYED, SCRIPT, touch

from ramac_lib.envs.hazards import PAPER
from support.hazards import film
from support.robots import Recording, capsules

HOPPER, CHEETAH = PAPER["hopper-medium-expert"], PAPER["halfcheetah-medium-expert"]
NODE = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")


def episode(env_id, size, hazard, monitored, struck=()):
    """Return an episode in which the robot slides forward, a tenth of a metre a step."""
    monitored = np.asarray(monitored, float)
    qpos = np.zeros((len(monitored), size))
    qpos[:, 0] = 0.1 * np.arange(len(monitored))
    penalty = np.zeros(len(monitored))
    penalty[list(struck)] = hazard.penalty
    return Recording(env_id, qpos, monitored, hazard.outside(monitored), penalty, penalty)


def two():
    hopper = episode("Hopper-v5", 6, HOPPER, [0, 0.05, 0.1, 0, -0.1, -0.2, 0, 0], struck=(2,))
    cheetah = episode("HalfCheetah-v5", 9, CHEETAH, np.linspace(8, 11, 500))
    return {"Hopper": (hopper, HOPPER), "HalfCheetah": (cheetah, CHEETAH)}


def test_runs_are_half_open():
    assert film.runs(np.array([True, False, True, True, False])) == [[0, 1], [2, 4]]
    assert film.runs(np.array([False, True])) == [[1, 2]]
    assert film.runs(np.zeros(3, bool)) == []


def test_poses_are_the_robots_to_a_millimetre_from_its_root():
    episodes = two()
    hopper, cheetah = film.film_data(episodes)["robots"]
    own = episodes["Hopper"][0]
    poses = np.frombuffer(base64.b64decode(hopper["poses"]), "<i2").reshape(8, -1, 2, 2) / 1000
    for step in (0, 7):
        ends, radii = capsules("Hopper-v5", own.qpos[step])
        np.testing.assert_allclose(poses[step] + [own.qpos[step, 0], 0], ends, atol=6e-4)
        np.testing.assert_allclose(hopper["radii"], radii)
    assert hopper["way"] == [0, 10, 20, 30, 40, 50, 60, 70]
    assert hopper["out"] == [[1, 3], [5, 6]]
    assert hopper["struck"] == [2]
    assert (hopper["penalty"], hopper["bounds"]) == (-50, [-0.17, 0.04])
    assert (cheetah["signalName"], cheetah["unit"], cheetah["struck"]) == ("velocity", "m/s", [])
    assert cheetah["out"][0][1] == 500


def test_the_data_of_three_whole_episodes_are_small():
    long = episode("Walker2d-v5", 9, PAPER["walker2d-medium-expert"], np.sin(np.arange(500)))
    data = film.film_data({name: (long, PAPER["walker2d-medium-expert"]) for name in "abc"})
    assert len(json.dumps(data)) < 300_000


def test_the_still_shows_a_robot_out_of_range_and_its_signal():
    figure = film.still(two())
    assert len(figure.axes) == 4
    assert [axes.get_title() for axes in figure.axes[:2]] == ["Hopper", "HalfCheetah"]
    below = figure.axes[2]
    np.testing.assert_allclose(below.lines[1].get_xdata(), [1, 2, 5])  # violations
    np.testing.assert_allclose(below.lines[2].get_xdata(), [2])  # the penalty


@NODE
def test_the_slider_goes_to_a_step_and_the_choice_to_a_robot():
    seen, said = touch("robot-film", film.film_data(two()), [[1, 2], [1, 3], [0, 1], [1, 499]])
    assert seen == [0, 0.1, 0, 8, 11]
    assert said == "HalfCheetah, step 499 of 499: velocity 11.0 m/s, out of the safe range. Penalties so far: 0 of 0."
    _, said = touch("robot-film", film.film_data(two()), [[1, 2]])
    assert said == "Hopper, step 2 of 7: torso pitch 0.100 rad, out of the safe range. Penalties so far: 1 of 1."


HOVERED = """
const put = [];
Element.prototype.replaceWith = (...parts) => { put.push(...parts); };
globalThis.matchMedia = () => ({matches: input.calm});
"""
PRESSED = """
const [button, svg, said] = [found.find((e) => e.name === "button"), put[1], put[2]], seen = [];
const word = () => button.textContent ?? button.children[0];
const look = (what) => seen.push([what, word(), tick !== null, Number(figure.dataset.value)]);
const over = (pointerType) => svg.heard.pointerenter({pointerType});
over("touch"); look("a finger");
over("mouse"); if (tick) tick(); look("over");
svg.heard.pointerleave(); look("left");
button.heard.click(); tick(); look("pressed");
svg.heard.pointerleave(); look("left while pressed");
button.heard.click(); look("pressed again");
button.heard.click();
while (tick) tick();
look("the end");
console.log(JSON.stringify(seen));
"""


@NODE
@pytest.mark.parametrize("calm", [False, True])
def test_it_plays_under_the_pointer_unless_less_motion_is_asked_for_and_by_its_button_always(calm):
    given = json.dumps({"kind": "robot-film", "data": film.film_data(two()), "touched": [], "calm": calm})
    code = PAGE + PLAYED + HOVERED + SCRIPT.read_text() + PRESSED
    done = subprocess.run(["node", "-e", code], input=given, capture_output=True, text=True, check=True)
    first, second = (0.0, 0.05) if calm else (0.05, 0.1)
    assert json.loads(done.stdout) == [
        ["a finger", "Play", False, 0],
        ["over", "Play" if calm else "Pause", not calm, first],
        ["left", "Play", False, first],
        ["pressed", "Pause", True, second],
        ["left while pressed", "Pause", True, second],
        ["pressed again", "Play", False, second],
        ["the end", "Play", False, 0],
    ]
