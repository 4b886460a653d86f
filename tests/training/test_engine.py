"""Engines make the same update: compiled as eager, in bfloat16 within its rounding, as a graph where there is CUDA."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from waits_helper import Waits

from ramac_lib.bench import updates as bench_updates
from ramac_lib.methods import METHODS, get_method
from ramac_lib.networks.layers import Linear
from ramac_lib.networks.native import build as native_build
from ramac_lib.system.errors import RamacError
from ramac_lib.training import loop
from ramac_lib.training.config import make_config
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.engine import MODES, PRECISIONS, Engine, get_engine, has_native
from ramac_lib.training.loop import build

CPU = torch.device("cpu")
TASK = "hopper-medium-expert"
SMALL = {
    "radac": {"critic_hidden": "32", "embedding": "16", "hidden": "16,16", "n_fractions": "20"},
    "rafmac": {"critic_hidden": "32", "embedding": "16", "hidden": "16,16", "n_fractions": "20"},
    "codac": {"critic_hidden": "32", "hidden": "16,16", "n_fractions": "8", "n_actions": "2"},
    "cql": {"critic_hidden": "32,32", "hidden": "16,16", "n_actions": "2"},
    "flow-ql": {"critic_hidden": "32,32", "hidden": "16,16"},
    "diffusion-ql": {"critic_hidden": "32,32", "hidden": "16,16"},
    "cvae-ql": {"critic_hidden": "32,32", "hidden": "16,16"},
    "bc-cvae": {"hidden": "16,16"},
    "cped": {"critic_hidden": "32,32", "hidden": "16,16", "flow_hidden": "16,16", "q_from": "0"},
    "rs-diffuser": {
        "critic_hidden": "32",
        "embedding": "16",
        "hidden": "16,16",
        "n_fractions": "20",
        "length": "4",
        "kappa": "1.0",
    },
    "oraac": {"residual_hidden": "16,16", "prior_until": "0.5"},
    "oraac-diffusion": {"residual_hidden": "16,16", "prior_until": "0.5"},
    "oraac-flow": {"residual_hidden": "16,16", "prior_until": "0.5"},
    "dac": {"critic_hidden": "32,32", "hidden": "16,16", "n_critics": "3"},
    "dac-cvar": {"critic_hidden": "32", "embedding": "16", "hidden": "16,16"},
    "iql": {"critic_hidden": "32,32", "hidden": "16,16"},
    "bc-safe": {"hidden": "16,16"},
    "r2pac": {"critic_hidden": "32,32", "hidden": "16,16", "policy_steps": "2"},
    "fisor": {"critic_hidden": "32,32", "hidden": "16,16"},
    "cpq": {"critic_hidden": "32,32", "hidden": "16,16", "model_hidden": "16,16", "n_actions": "2"},
    "coptidice": {"critic_hidden": "32,32", "hidden": "16,16"},
    "cdt": {"width": "16", "heads": "2", "length": "3"},
    "radac-cost": {"critic_hidden": "32", "embedding": "16", "hidden": "16,16"},
    "trebi": {"critic_hidden": "32,32", "hidden": "16,16", "inverse_hidden": "16,16"},
    "caps": {"critic_hidden": "32,32", "hidden": "16,16"},
    "qdq": {"critic_hidden": "32,32", "hidden": "16,16", "model": "distilled", "model_share": "0.5", "samples": "4"},
}


@pytest.fixture(scope="module")
def data():
    found = bench_updates.synthetic_data(TASK, 256)
    return found.with_(costs=(np.arange(256) % 5 == 0).astype(np.float32))


def make(method, data, engine, steps=12, seeds=(0, 1), **options):
    """A small method on an engine, and the function that makes its updates."""
    settings = {"batch_size": "16", "short_run_rate": "false", **SMALL.get(method, {}), **options}
    if not hasattr(get_method(method).Config(), "short_run_rate"):
        del settings["short_run_rate"]
    config = make_config(method, TASK, seeds, steps, settings)
    stack = build(config, data, engine.device, seeds)
    return stack, engine.updater(stack, bench_updates.Replay(data, engine.device))


def advanced(method, data, engine, updates, **options):
    """The networks and metrics after some updates."""
    stack, update = make(method, data, engine, **options)
    metrics = [{k: v.clone() for k, v in update().items()} for _ in range(updates)]
    return {k: v.cpu() for k, v in stack.state_dict().items()}, metrics


def agree(one, other, **tolerance):
    """Compare what `advanced` returns."""
    for name, value in one[0].items():
        torch.testing.assert_close(other[0][name], value, **tolerance, msg=lambda text, name=name: f"{name}: {text}")
    for here, there in zip(one[1], other[1], strict=True):
        assert here.keys() == there.keys()


# -- nothing that a graph cannot hold ---------------------------------------------------------------------------------


def test_the_watch_sees_a_wait():
    with Waits() as waits:
        torch.ones(1).item(), torch.tensor([1.0])
    assert waits.seen == ["_local_scalar_dense", "lift_fresh"]


@pytest.mark.parametrize("method", METHODS)
def test_no_update_waits_for_the_device(method, data):
    _, update = make(method, data, Engine(CPU))
    for _ in range(2):
        update()  # Adam's state, which is made once
    with Waits() as waits:
        for _ in range(10):  # through every phase of twelve updates
            update()
    assert waits.seen == []


@pytest.mark.parametrize("method", METHODS)
def test_phases_say_all_that_an_updates_number_decides(method, data):
    """The same phase at another number makes the same operators."""
    stack, update = make(method, data, Engine(CPU))
    calls: dict[tuple, set] = {}
    met: Counter[tuple] = Counter()

    class Record(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            names.append(str(function))
            return function(*args, **(kwargs or {}))

    update(), update()
    for _ in range(10):
        phase, names = tuple(stack.phase().values()), []
        met[phase] += 1
        made = all(optimizer.state[0] for optimizer in stack.optimizers.values())
        with Record():
            update()
        if made or phase in calls:  # an optimiser that only this phase steps makes its state at its first
            calls.setdefault(phase, set()).add(tuple(names))
        else:
            calls[phase] = set()
    assert max(met.values()) > 1
    assert {phase: len(variants) for phase, variants in calls.items() if met[phase] > 1} == {
        phase: 1 for phase, count in met.items() if count > 1
    }


# -- compiled ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow  # half a minute where nothing is compiled yet; `test_graphs` has a clone
@pytest.mark.parametrize("method", ["oraac"])  # both kinds of phases, quantile critics; a chain only unrolls more
def test_compiled_updates_are_the_eager_ones(method, data):
    torch._dynamo.reset()
    eager, compiled = (advanced(method, data, Engine(CPU, mode), 12) for mode in ("eager", "compile"))
    agree(eager, compiled, rtol=2e-4, atol=2e-5)
    for here, there in zip(eager[1], compiled[1], strict=True):
        for name, value in here.items():
            torch.testing.assert_close(there[name], value, rtol=2e-3, atol=2e-4)


# -- the native kernel ------------------------------------------------------------------------------------------------

needs_kernel = pytest.mark.skipif(
    native_build.why_not() is not None, reason=f"no native kernel here: {native_build.why_not()}"
)
SERVED = [method for method in METHODS if has_native(get_method(method))]


def test_which_methods_the_kernel_serves():
    assert set(SERVED) == {
        "oraac",
        "oraac-diffusion",
        "oraac-flow",
        "rafmac",
        "radac",
        "radac-cost",
        "rs-diffuser",
        "dac-cvar",
    }


@needs_kernel
@pytest.mark.parametrize("method", SERVED)
def test_native_updates_are_the_eager_ones(method, data):
    steps = 60 if method == "radac" else 12
    eager, native = (advanced(method, data, Engine(CPU, mode), steps, steps=steps) for mode in ("eager", "native"))
    agree(eager, native, rtol=1e-4, atol=1e-4)
    for here, there in zip(eager[1], native[1], strict=True):
        for name, value in here.items():
            torch.testing.assert_close(there[name], value, rtol=2e-3, atol=2e-4)
    critics = [name for name in eager[0] if name.startswith("critic.") and "weight" in name]
    assert any(not torch.equal(eager[0][name], native[0][name]) for name in critics)  # it was the kernel


@needs_kernel
def test_a_native_run_goes_on_to_the_same_bits_as_what_it_was_begun(hopper_file, tmp_path):
    options = {name: value for name, value in SMALL["radac"].items()} | {"batch_size": "16"}
    config = make_config("radac", TASK, (0, 1), 12, options, source=str(hopper_file))
    how = {"device": "cpu", "schedule": loop.Schedule(4, 4, episodes=0), "progress": False}
    whole = loop.train(config, tmp_path / "whole", engine="native", **how)
    trainer = loop.Trainer(
        config, whole.data, Engine(CPU, "native"), half := RunDirectory(tmp_path / "half"), how["schedule"]
    )
    half.open(config, loop.get_facts(whole.data, trainer.engine), False)
    trainer.run(False, until=5)
    loop.train(config, half.path, resume=True, **how)  # auto is what began it
    ends = [directory.load_checkpoint() for directory in (half, RunDirectory(tmp_path / "whole"))]
    assert [end["engine"] for end in ends] == ["cpu native float32"] * 2
    for seed in (0, 1):
        for key, value in ends[1]["seeds"][seed]["networks"].items():
            assert torch.equal(ends[0]["seeds"][seed]["networks"][key], value), key


@pytest.fixture
def no_kernel(monkeypatch):
    """A machine without a compiler."""
    monkeypatch.setattr(native_build, "kernel", lambda: ("no C++ compiler was found", None))


@needs_kernel
def test_auto_takes_the_kernel_where_it_gains(monkeypatch):
    radac, cql = get_method("radac"), get_method("cql")
    fast = "native" if native_build.gains() else "eager"
    assert get_engine("cpu", method=radac).mode == fast
    assert get_engine("cpu", method=cql).mode == "eager"
    assert get_engine("cpu", method=radac, precision="bfloat16").name == "cpu eager bfloat16"
    assert get_engine("cpu", method=radac, begun="cpu eager float32").mode == "eager"
    assert get_engine("cpu", method=radac, begun="cpu native float32").mode == "native"
    assert get_engine("cpu", "native", method=radac, begun="cpu eager float32").mode == "native"  # refused later
    monkeypatch.setattr(native_build, "kernel", lambda: ("portable", object()))
    assert get_engine("cpu", method=radac).mode == "eager"  # nobody measured narrow vectors to be faster
    with pytest.raises(RamacError, match="no native kernel for cql; use auto or eager"):
        get_engine("cpu", "native", method=cql)
    with pytest.raises(RamacError, match="float32 on a CPU, and this run computes in bfloat16"):
        get_engine("cpu", "native", "bfloat16")


def test_without_a_compiler_auto_is_eager_and_native_one_sentence(no_kernel):
    radac = get_method("radac")
    assert get_engine("cpu", method=radac).mode == "eager"
    with pytest.raises(RamacError, match=r"^--engine native: there is no native kernel here, as no C\+\+ compiler"):
        get_engine("cpu", "native", method=radac)
    with pytest.raises(RamacError, match=r"^this run goes on with the engine that began it, native, but there is no"):
        get_engine("cpu", method=radac, begun="cpu native float32")
    assert get_engine("cpu", method=radac, begun="cpu eager float32").mode == "eager"


# -- precision --------------------------------------------------------------------------------------------------------


def test_bfloat16_is_for_the_critics_wide_products_alone(data):
    stack, _ = make("radac", data, Engine(CPU, precision="bfloat16"))
    halves = {n for n, m in stack.named_modules() if isinstance(m, Linear) and m.products == torch.bfloat16}
    assert halves == {
        f"{c}.{n}" for c in ("critic", "target_critic") for n in ("state", "action", "encoder", "fraction", "hidden")
    }
    assert all(p.dtype == torch.float32 for p in stack.parameters())


@pytest.mark.parametrize("method", ["radac", "codac", "cql", "flow-ql"])
def test_bfloat16_products_differ_by_their_rounding(method, data):
    exact, _ = make(method, data, Engine(CPU))
    half, _ = make(method, data, Engine(CPU, precision="bfloat16"))
    batch = bench_updates.Replay(data).sample(exact.batches, 64)
    taus = (torch.linspace(0.05, 0.95, 8),) if method in ("radac", "codac") else ()
    values, gradients = [], []
    for stack in (exact, half):
        found = stack.critic(batch.observations, batch.actions, *taus)
        values.append(found.detach())
        slopes = torch.autograd.grad(found.square().sum(), list(stack.critic.parameters()))
        gradients.append(torch.cat([slope.flatten() for slope in slopes]))
    scale = values[0].abs().max()
    error = (values[0] - values[1]).abs().max() / scale
    assert 0 < error < 0.02
    cosine = torch.nn.functional.cosine_similarity(*gradients, dim=0)
    assert 0.999 < cosine < 1


# -- names ------------------------------------------------------------------------------------------------------------


def test_auto_on_a_cpu():
    assert get_engine("cpu").name == "cpu eager float32"
    assert get_engine("cpu", "compile", "bfloat16").name == "cpu compile bfloat16"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cpu", "turbo"), "unknown engine 'turbo'.*" + ".*".join(MODES)),
        (("cpu", "eager", "int8"), "unknown precision 'int8'.*" + ".*".join(PRECISIONS)),
        (("cpu", "graph"), "--engine graph needs CUDA"),
        (("cpu", "eager", "tf32"), "--precision tf32 needs CUDA"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(RamacError, match=message):
        get_engine(*arguments)


# -- a GPU, where there is one ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mode", ["compile", "graph", "compiled-graph"])
def test_on_a_gpu_all_engines_agree(method, mode, data):
    gpu = torch.device("cuda")
    eager, other = (advanced(method, data, Engine(gpu, m), 12) for m in ("eager", mode))
    agree(eager, other, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_eager_is_the_cpus_arithmetic(data):
    """One update from the same draws: only the noise of the two devices' generators differs, so it is copied."""
    exact, _ = make("radac", data, Engine(CPU))
    there, _ = make("radac", data, Engine(torch.device("cuda")))
    batch = bench_updates.Replay(data).sample(exact.batches, 16)
    taus = torch.linspace(0.05, 0.95, 8)
    here = exact.critic(batch.observations, batch.actions, taus)
    away = there.critic(batch.observations.cuda(), batch.actions.cuda(), taus.cuda())
    torch.testing.assert_close(away.cpu(), here, rtol=1e-4, atol=1e-5)
    assert math.isfinite(float(here.detach().sum()))
