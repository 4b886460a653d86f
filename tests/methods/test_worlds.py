"""What methods share on the book's two worlds, and that a policy and its clone have the same network there."""

import dataclasses

import pytest

from ramac_lib.methods import get_method
from ramac_lib.methods.shared import worlds

TASK = "navigation-obstacle-mixed"
PAIRS = {
    "radac": "bc-diffusion", "diffusion-ql": "bc-diffusion", "oraac-diffusion": "bc-diffusion", "rafmac": "bc-flow",
    "oraac-flow": "bc-flow", "oraac": "bc-cvae", "cvae-ql": "bc-cvae", "cql": "bc-gaussian", "codac": "bc-gaussian",
}  # fmt: skip
NETWORK = ("hidden", "activation", "policy_steps")


@pytest.mark.parametrize("method", PAIRS)
def test_a_policy_has_its_clones_network_and_rate(method):
    own, clone = (dataclasses.asdict(get_method(m).Config.for_task(TASK)) for m in (method, PAIRS[method]))
    for name in NETWORK:
        assert own.get(name) == clone.get(name)
    assert own.get("lr_prior", own["lr_actor"]) == clone["lr_actor"]
    assert own.get("prior_until", 1.0) == 1.0  # an anchor is cloned for as long as the clone


@pytest.mark.parametrize("method", [*PAIRS, *sorted(set(PAIRS.values())), "flow-ql"])
def test_navigation_has_the_papers_objective_without_rules_for_short_runs(method):
    config = get_method(method).Config.for_task(TASK)
    assert getattr(config, "short_run_rate", False) is False
    assert config.normalize
    assert config.batch_size == (128 if hasattr(config, "n_fractions") else 64)
    assert getattr(config, "n_fractions", 32) == 32
    assert getattr(config, "target_rate", 0.02) == 0.02


def test_other_tasks_have_nothing_of_it():
    assert worlds.settings("hopper-medium-expert", "policy", "quantiles", eta=1.0) == {}
    assert get_method("oraac").Config.for_task("risky-bandit").batch_size == 256
