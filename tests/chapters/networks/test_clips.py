import numpy as np
import pytest
from matplotlib.colors import to_hex

from ramac_lib.analysis.recordings import Clip
from ramac_lib.analysis.style import SAFE, VIOLATION
from ramac_lib.envs.hazards import Interval
from ramac_lib.system.errors import RamacError
from support.hazards import film
from support.networks import clips

HAZARD = Interval(1, -0.1, 0.1, -50.0, 0.1)
FLAT = "Hopper-v5"


def leaning(length, first_out):
    """A hopper that drives forward upright, then leans out of the range from a step on."""
    pitch = np.where(np.arange(length) >= first_out, 0.15, 0.0).astype(np.float32)
    qpos = np.zeros((length, 6), np.float32)
    qpos[:, 0], qpos[:, 1], qpos[:, 2] = 0.01 * np.arange(length), 1.25, pitch
    out = pitch > 0.1
    return Clip(FLAT, 0.008, pitch, out, out & (np.arange(length) % 10 == 0), qpos)


def test_the_window_begins_a_quarter_before_the_first_violation():
    pair = {"a": leaning(400, 200), "b": leaning(300, 150)}
    assert clips.choose_window(pair, 100) == (125, 225)
    assert clips.choose_window({"a": leaning(400, 10)}, 100) == (0, 100)
    assert clips.choose_window({"a": leaning(400, 395)}, 100) == (300, 400)  # not beyond the end
    assert clips.choose_window({"a": leaning(400, 400)}, 100) == (0, 100)  # no violation
    assert clips.choose_window({"a": leaning(60, 50)}, 100) == (0, 60)


def test_clips_without_poses_are_refused():
    bare = leaning(50, 10)._replace(qpos=np.zeros((0, 6), np.float32))
    with pytest.raises(RamacError, match="--poses"):
        clips.choose_window({"a": bare}, 10)
    with pytest.raises(RamacError, match="no clips"):
        clips.choose_window({}, 10)


def test_strips_have_a_row_each_and_mark_violations_at_equal_times():
    figure = clips.strips({"long": leaning(100, 60), "short": leaning(50, 30)}, HAZARD, 0, 100, frames=5)
    one, below, two, _ = figure.axes
    assert (one.get_title("left"), two.get_title("left")) == ("long", "short")
    # Poses at steps 0, 25, 50, 74, 99; a hopper has four parts; the short one ends after step 49.
    assert [to_hex(p.get_facecolor()).upper() for p in one.patches] == [SAFE] * 12 + [VIOLATION] * 8
    assert [to_hex(p.get_facecolor()).upper() for p in two.patches] == [SAFE] * 8
    texts = [[t.get_text() for t in a.texts if t.get_text() != "×"] for a in (one, two)]
    assert texts == [["0.00 s", "0.20 s", "0.40 s", "0.59 s", "0.79 s"], ["0.00 s", "0.20 s"]]
    assert one.get_xlim() == two.get_xlim()
    assert below.get_xlim() == pytest.approx((0, 99 * 0.008))
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["safe range", "violation", "penalty"]


def test_a_film_is_made_of_the_window_alone():
    clip = leaning(80, 40)
    made = clips.recording(clip, HAZARD, 30, 70)
    assert np.array_equal(made.qpos, clip.qpos[30:70])
    assert np.flatnonzero(made.penalty).tolist() == [10, 20, 30]  # of steps 40, 50 and 60
    assert set(made.penalty) == {0.0, HAZARD.penalty}
    (robot,) = film.film_data({"a": (made, HAZARD)}, choice="policy")["robots"]
    assert (robot["out"], robot["struck"], len(robot["signal"])) == ([[10, 40]], [10, 20, 30], 40)
    short = clips.recording(leaning(50, 30), HAZARD, 30, 70)
    assert len(short.qpos) == len(short.monitored) == 20  # where the episode ends
