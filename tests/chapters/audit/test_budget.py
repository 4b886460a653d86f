"""The selection bandit, on settings whose outcome is known."""

import numpy as np
import pytest

from ramac_lib.system.errors import RamacError
from support.audit.budget import choose, spent, swept


def test_two_sure_settings_are_told_apart_once_both_are_played():
    found = choose([[np.array([0.0])], [np.array([1.0])]], 5, repeats=4000)
    assert found.mean[0, 0] == pytest.approx(0.5, abs=0.03)  # after one episode: the one that was played
    assert found.mean[:, 1:].tolist() == [[1.0] * 4] * 3
    assert found.cvar[0, 1:].tolist() == [1.0] * 4


def test_after_each_of_two_was_played_once_the_larger_draw_decides():
    good, bad = np.array([0.0, 0.0, 3.0, 3.0]), np.array([1.0])  # means 1.5 and 1: right where the draw is 3
    found = choose([[good], [bad]], 2, repeats=8000)
    assert found.mean[0, 1] == pytest.approx(0.5 * 1.5 + 0.5 * 1.0, abs=0.02)
    assert found.cvar[0, 1] == pytest.approx(0.5 * 0.0 + 0.5 * 1.0, abs=0.02)


def test_many_episodes_find_the_best_setting_and_one_among_equals_gains_nothing():
    rng = np.random.default_rng(0)
    settings = [[rng.normal(mean, 1, 200)] for mean in (0.0, 1.0, 4.0)]
    found = choose(settings, 150, repeats=300)
    assert found.mean[0, -1] == pytest.approx(settings[2][0].mean(), abs=0.02)
    equal = choose([[settings[0][0]]] * 3, 30, repeats=200)
    assert np.ptp(equal.mean) < 1e-9


def test_a_setting_is_the_policy_of_a_seed_drawn_for_each_repeat():
    found = choose([[np.array([0.0]), np.array([10.0])]], 3, repeats=4000)
    assert found.mean[0] == pytest.approx([5.0] * 3, abs=0.3)
    assert found.mean[1, 0] < 5 < found.mean[2, 0]


def test_the_choice_by_mean_may_cost_the_tail():
    risky, safe = np.array([-10.0, *[5.0] * 9]), np.full(10, 3.0)  # means 3.5 and 3
    found = choose([[risky], [safe]], 400, repeats=100)
    assert found.cvar[0, -1] < 0 < found.mean[0, -1]


@pytest.mark.parametrize("settings", [[], [[]], [[np.array([])]]])
def test_a_setting_without_episodes_is_refused(settings):
    with pytest.raises(RamacError, match="without episodes"):
        choose(settings, 3)


def test_without_stored_sweeps_there_is_nothing(tmp_path):
    assert swept(tmp_path) == {}
    assert spent(tmp_path).empty


def test_stored_sweeps_are_settings_of_policies():
    found = swept()
    for policies in found.values():
        assert len(policies) > 1
        assert all(len(policy) for of in policies.values() for policy in of)
    counts = spent().set_index("method")
    for method, policies in found.items():
        assert counts.loc[method, "policies"] >= sum(map(len, policies.values()))
