"""The settings of all methods: measures, tasks, options, released values; what their modules say."""

import dataclasses
import importlib
import inspect
import json
import math
import re

import pytest
import torch
from method_helpers import batch
from quantile_helpers import ACT, OBS, make

from ramac_lib import risk
from ramac_lib.envs.tasks import TASKS
from ramac_lib.methods import METHODS, get_method
from ramac_lib.methods.shared import ramac
from ramac_lib.system.errors import RamacError
from ramac_lib.training import config as training_config

RISKY = [name for name, cls in METHODS.items() if hasattr(cls.Config(), "risk")]
IQN = [name for name in RISKY if name != "codac"]  # CODAC has a network of its own
# Methods whose module leaves its source and its differences to the module that it shares with its relatives.
SHARED = {"radac": ramac, "rafmac": ramac}


def source(name):
    return importlib.import_module(get_method(name).__module__)


@pytest.mark.parametrize("measure", risk.MEASURES)
@pytest.mark.parametrize("name", RISKY)
def test_every_measure_is_accepted_and_matters(name, measure):
    def policy(**options):
        method = make(name, steps=1, **{"short_run_rate": False, **options})  # any warm-up is over after the first
        for k in range(2):
            metrics = method.update(batch(k))
        assert all(torch.isfinite(v).all() for v in metrics.values())
        return torch.cat([p.detach().flatten() for p in method.policy.parameters()])

    neutral = policy(risk="neutral")
    assert torch.equal(policy(risk=measure), neutral) == (measure == "neutral")
    assert torch.equal(policy(risk="cvar", alpha=1.0, fractions="grid"), policy(risk="neutral", fractions="grid"))


@pytest.mark.parametrize("name", RISKY)
def test_an_unknown_measure_and_a_wrong_alpha_are_refused(name):
    with pytest.raises(RamacError, match="unknown value of risk 'var': choose one of cvar, wang, cpw, power, neutral"):
        make(name, risk="var")
    for alpha in (0.0, 1.5, float("nan")):
        with pytest.raises(RamacError, match=r"alpha is .*; expected a number in \(0, 1\]"):
            make(name, alpha=alpha)
    with pytest.raises(RamacError, match="kappa is 0; expected a number above 0"):
        make(name, kappa=0)
    with pytest.raises(RamacError, match="unknown value of fractions 'grids': choose one of grid, random"):
        make(name, fractions="grids")


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(RamacError, match="unknown method 'sac': choose one of " + ", ".join(METHODS)):
        get_method("sac")
    assert sorted(METHODS.without("neighbours", "safety")) == sorted([
        "radac", "rafmac", "cql", "codac", "oraac", "oraac-diffusion", "oraac-flow", "diffusion-ql", "flow-ql",
        "cvae-ql", "bc-cvae", "bc-diffusion", "bc-flow", "bc-gaussian",
    ])  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", METHODS)
def test_each_tasks_settings_build_a_method_and_survive_json(name, task):
    config = training_config.make_config(name, task, (0,), 10)
    assert type(config.settings) is get_method(name).Config
    again = training_config.config_from_json(json.loads(json.dumps(config.to_json())))
    assert again == config
    assert again.hash == config.hash
    for field in dataclasses.fields(config.settings):
        assert type(getattr(again.settings, field.name)) is type(getattr(config.settings, field.name)), field.name
    get_method(name)(config.settings, OBS, ACT, (0,), 10)


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_is_an_option(name):
    """Each field's text parses back to its value, so that ``--set`` reaches it."""
    settings = get_method(name).Config()
    texts = {f.name: str(getattr(settings, f.name)).strip("()") for f in dataclasses.fields(settings)}
    assert training_config.with_options(settings, texts) == settings


@pytest.mark.parametrize("name", [n for n, cls in METHODS.items() if cls.Config.RELEASED])
def test_released_settings_are_settings_and_learn(name):
    cls = get_method(name)
    assert set(cls.Config.RELEASED) <= {f.name for f in dataclasses.fields(cls.Config)}
    method = make(name, **cls.Config.RELEASED)
    metrics = method.update(batch(of=method))
    assert all(torch.isfinite(v).all() for v in metrics.values())


RELEASED_RADAC = {  # critic rate, η, gradient clip, N = cosines, embedding, TD clip, λ, warm-up
    "halfcheetah-medium-expert": (5e-5, 0.02, 5, 32, 128, 300, 1.0, 0.0),
    "halfcheetah-medium-replay": (5e-5, 0.02, 5, 16, 64, 300, 1.0, 0.0),
    "hopper-medium-expert": (1e-5, 0.05, 5, 16, 64, 300, 1.0, 0.15),
    "hopper-medium-replay": (1e-5, 0.05, 5, 16, 64, 150, 1.5, 0.15),
    "walker2d-medium-expert": (1e-5, 0.05, 5, 16, 64, 300, 1.5, 0.15),
    "walker2d-medium-replay": (5e-6, 0.02, 3, 8, 32, 300, 1.0, 0.15),
}  # fmt: skip


@pytest.mark.parametrize(("task", "expected"), RELEASED_RADAC.items())
def test_released_radac_is_the_released_algorithm(task, expected):
    config = training_config.make_config("radac", task, (0,), 2_000_000, released=True).settings
    rate, eta, norm, n, embedding, clip, weight, warmup = expected
    assert (config.lr_critic, config.eta, config.grad_clip, config.embedding) == (rate, eta, norm, embedding)
    assert (config.n_fractions, config.n_cos, config.td_clip) == (n, n, clip)
    assert (config.bc_weight, config.eta_warmup) == (weight, warmup)
    method = get_method("radac")(config, OBS, ACT, (0,), 2_000_000)
    assert (method.critic_rate, method.target_rate) == (rate, 0.005)
    for step, moves in ((999, False), (1000, True), (1001, False), (1005, True)):
        method.step.fill_(step)
        assert bool(method.policy_rate() > 0) == moves
    for step, share in ((warmup * 2_000_000 - 1, 0.0), (warmup * 2_000_000, 1.0)):
        method.step.fill_(step)
        assert float(method.eta()) == pytest.approx(eta * share) or (warmup == 0 and share == 0)


def test_a_released_run_of_another_length_keeps_the_released_rates():
    method = make("radac", steps=1000, **get_method("radac").Config.RELEASED)
    assert (method.critic_rate, method.target_rate) == (method.config.lr_critic, 0.005)


@pytest.mark.parametrize("name", METHODS)
def test_younger_settings_leave_the_hashes_of_older_runs(name):
    config = training_config.make_config(name, "hopper-medium-expert", (0,), 10)
    added = training_config.before(type(config.settings))
    old = config.to_json()
    assert not set(added) & {k for k in old["settings"] if getattr(config.settings, k) == added.get(k)}
    for k in added:
        old["settings"].pop(k, None)
    restored = training_config.config_from_json(old)
    assert {k: getattr(restored.settings, k) for k in added} == added
    assert restored.to_json() == old
    for k, v in added.items():
        if isinstance(v, bool) and name != "codac":
            other = dataclasses.replace(restored, settings=dataclasses.replace(restored.settings, **{k: not v}))
            assert other.hash != restored.hash
            assert training_config.config_from_json(other.to_json()) == other


@pytest.mark.parametrize("name", [n for n, cls in METHODS.items() if hasattr(cls.Config(), "target_rate")])
def test_rates_of_short_runs(name):
    """At 2M updates they are the config's; in shorter runs rate × steps is kept up to a cap, and no rate is lowered."""

    def rates(steps, **options):
        method = make(name, steps=steps, **options)
        return method.optimizers["critic"].lr, method.target_rate

    config = make(name).config
    own = (config.lr_critic, config.target_rate)
    assert rates(1_000, target_rate_cap=0.01)[1] == pytest.approx(max(0.01, own[1]))
    assert rates(2_000_000) == rates(4_000_000) == rates(1_000, short_run_rate=False) == pytest.approx(own)
    for steps in (1_600_000, 1_000):
        caps = zip(own, (config.lr_critic_cap, 0.05), strict=True)
        expected = (max(rate, min(rate * 2_000_000 / steps, cap)) for rate, cap in caps)
        assert rates(steps) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("name", IQN)
def test_the_released_initial_scale_reaches_the_critic(name):
    plain, released = make(name, small=False), make(name, small=False, critic_init="released")
    for critic in (released.critic, released.target_critic):
        assert 1e-4 < critic.head.weight.abs().max() <= 3e-4
        assert critic.hidden.weight.std().item() == pytest.approx(0.1, rel=0.1)
        assert 0.9 / math.sqrt(critic.hidden.weight.shape[-2]) < critic.hidden.bias.abs().max()
        assert critic.hidden.bias.abs().max() <= 1 / math.sqrt(critic.hidden.weight.shape[-2])
        assert not critic.head.bias.any()
    assert plain.critic.head.weight.abs().max() > 0.01


# -- the files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_the_module_names_its_source(name):
    text = inspect.getdoc(source(name)) + (inspect.getdoc(SHARED[name]) if name in SHARED else "")
    assert re.search(r"\b(19|20)\d\d\b|eq\. \d|RAMAC", text)  # a paper's year, or the RAMAC paper's own equation
    assert re.search(r"[Oo]bjective|eq\. 11|Algorithm 1", text)
    if name in SHARED:  # and says where the rest is
        assert SHARED[name].__name__ in inspect.getdoc(source(name))


@pytest.mark.parametrize("name", METHODS)
def test_differences_are_numbered_without_a_gap(name):
    text = (inspect.getdoc(SHARED[name]) + "\n" if name in SHARED else "") + inspect.getdoc(source(name))
    numbers = [int(n) for n in re.findall(r"^(\d+)\. ", text, flags=re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    if not name.startswith("bc-"):
        assert numbers, "a method with a source or a reading of its own says where it differs"


@pytest.mark.parametrize("module", sorted({cls.__module__ for cls in METHODS.values()}))
def test_a_method_is_short(module):
    here = sum(cls.__module__ == module for cls in METHODS.values())
    assert len(inspect.getsource(importlib.import_module(module)).splitlines()) <= 150 + 75 * (here - 1)
