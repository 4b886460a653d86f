from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from ramac_lib.analysis.style import SAFE, VIOLATION
from ramac_lib.envs.behaviour import load_policy, stages
from ramac_lib.envs.hazards import get_hazard
from ramac_lib.envs.tasks import ENVS
from ramac_lib.system.errors import RamacError
from support.robots import Recording, capsules, crossing, find_crossing, outlines, record, strip

STANDING = np.array([3.0, 1.25, 0, 0, 0, 0])  # Hopper: root x, root z, pitch, three joints


def recording(env, steps):
    policy = load_policy(env, stages(env).expert)
    rng = np.random.default_rng(0)

    def act(observation):
        noise = rng.standard_normal((1, policy.sizes[1]), dtype=np.float32)
        return policy(observation[None].astype(np.float32), noise)[0]

    return record(act, f"{ENVS[env]}-v5", get_hazard("paper", f"{env}-medium-expert"), 0, steps)


def test_outlines_are_where_mujocos_model_stands():
    torso, thigh, leg, foot = outlines("Hopper-v5", STANDING)
    # The model file: torso from z 1.45 to 1.05, radius 0.05; thigh to 0.6; leg to 0.1; the foot lies along x.
    np.testing.assert_allclose([torso[:, 1].max(), torso[:, 1].min()], [1.5, 1.0], atol=1e-3)
    np.testing.assert_allclose([torso[:, 0].min(), torso[:, 0].max()], [2.95, 3.05], atol=1e-3)
    assert thigh[:, 1].min() < 0.6 < leg[:, 1].max()
    assert np.ptp(foot[:, 0]) > 3 * np.ptp(foot[:, 1])


def test_capsules_are_the_models_segments():
    ends, radii = capsules("Hopper-v5", STANDING)
    np.testing.assert_allclose(ends[:3, :, 0], 3.0, atol=1e-9)
    np.testing.assert_allclose(np.sort(ends[:3, :, 1]), [[1.05, 1.45], [0.6, 1.05], [0.1, 0.6]], atol=1e-9)
    np.testing.assert_allclose(np.ptp(ends[3], axis=0), [0.39, 0.0], atol=1e-9)  # the foot
    np.testing.assert_allclose(radii, [0.05, 0.05, 0.04, 0.06])


def test_a_positive_pitch_leans_forward():
    leaning = STANDING.copy()
    leaning[2] = 0.3
    torso = outlines("Hopper-v5", leaning)[0]
    assert torso[torso[:, 1].argmax(), 0] > torso[torso[:, 1].argmin(), 0] + 0.05


def test_a_strip_marks_the_poses_in_violation():
    axes = Figure().subplots()
    places = strip(axes, "Hopper-v5", np.array([STANDING] * 3), np.array([False, True, False]), ["a", "b", "c"])
    colours = [to_hex(patch.get_facecolor()).upper() for patch in axes.patches]
    assert colours == [SAFE] * 4 + [VIOLATION] * 4 + [SAFE] * 4
    assert [text.get_text() for text in axes.texts] == ["a", "×", "b", "c"]
    assert (np.diff(places) > 0.3).all()  # the robots do not overlap
    centres = [np.mean([axes.patches[4 * k + j].xy[:, 0].mean() for j in range(4)]) for k in range(3)]
    np.testing.assert_allclose(np.diff(centres), np.diff(places), atol=1e-6)


@pytest.mark.parametrize("env", ENVS)
def test_a_crossing_can_be_drawn_for_every_robot(env):
    episode = recording(env, 150)
    hazard = get_hazard("paper", f"{env}-medium-expert")
    assert len(episode.qpos) == len(episode.monitored) == len(episode.rewards)
    position = {"hopper": 2, "walker2d": 2}.get(env)
    if position is not None:  # the monitored pitch is the pose's own
        np.testing.assert_allclose(episode.monitored, episode.qpos[:, position], atol=1e-9)
    outside = (episode.monitored < hazard.low) | (episode.monitored > hazard.high)
    np.testing.assert_array_equal(episode.violation, outside)
    assert outside.any()
    start, stop = find_crossing(episode, 21)
    assert stop - start == 21
    assert episode.violation[start:stop].any()
    file = BytesIO()
    crossing(episode, hazard, start, stop).savefig(file, format="png")
    assert len(file.getvalue()) > 10_000


def test_the_longest_violation_begins_in_the_middle():
    violation = np.zeros(100, bool)
    violation[[20, 21, 60, 61, 62, 90]] = True
    column = np.zeros(100)
    episode = Recording("Hopper-v5", np.zeros((100, 6)), column, violation, column, column)
    assert find_crossing(episode, 11) == (55, 66)
    calm = Recording("Hopper-v5", np.zeros((100, 6)), column, np.zeros(100, bool), column, column)
    with pytest.raises(RamacError, match="no violation"):
        find_crossing(calm)
