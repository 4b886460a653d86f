"""What a CUDA graph's updates rest on, without one: counters for noise; a stand-in records a call and repeats it."""

import math

import pytest
import torch
from waits_helper import Waits

from ramac_lib.bench import updates as bench_updates
from ramac_lib.networks import noise
from ramac_lib.networks.critics import _ReluHead
from ramac_lib.networks.layers import one_column
from ramac_lib.training import engine as engines
from ramac_lib.training.config import make_config
from ramac_lib.training.engine import WARM_UP, Engine, GraphedUpdate, advance
from ramac_lib.training.loop import Schedule, Trainer, build
from ramac_lib.training.tally import Fault, Running, Tally

CPU = torch.device("cpu")
TASK = "hopper-medium-expert"
TINY = {
    "radac": {"critic_hidden": "16", "embedding": "8", "hidden": "8,8", "n_fractions": "8"},
    "oraac": {"residual_hidden": "8,8", "prior_until": "0.5", "hidden": "8,8", "n_fractions": "8"},
    "cql": {"critic_hidden": "16,16", "hidden": "8,8", "n_actions": "2"},
    "dac": {"critic_hidden": "16,16", "hidden": "8,8", "n_critics": "3", "ema_every": "2"},
    "qdq": {"critic_hidden": "16,16", "hidden": "8,8", "model_hidden": "8,8", "samples": "4"},
}


class StandIn:
    """Repeats a call where CUDA would replay what the call launched."""

    def __init__(self, stack):
        self.recorded = 0

    def warm_up(self, body):
        body()

    def record(self, body):
        self.recorded += 1
        return body


@pytest.fixture(scope="module")
def data():
    return bench_updates.synthetic_data(TASK, 256)


@pytest.fixture
def counters(monkeypatch):
    monkeypatch.setitem(noise.KIND, "cpu", "counters")
    monkeypatch.setattr(engines, "CUDAGraphs", StandIn)


def config_of(method, steps=24, seeds=(0, 1)):
    own = {"short_run_rate": "false", **TINY[method]} if method in TINY else {"hidden": "16,16"}
    options = {"batch_size": "8", **own}
    return make_config(method, TASK, seeds, steps, options)


def trained(method, data, mode, chunks=(24,)):
    """The networks after some updates, and the tally of each chunk of them."""
    config = config_of(method)
    stack = build(config, data, CPU, config.seeds)
    update, tallies, first = Engine(CPU, mode).updater(stack, bench_updates.Replay(data)), [], 1
    for count in chunks:
        tallies.append(advance(update, first, first + count - 1))
        first += count
    return {k: v.clone() for k, v in stack.state_dict().items()}, tallies, stack, update


@pytest.mark.parametrize("method", TINY)
def test_replays_are_the_updates_made_one_by_one(method, data, counters):
    chunks = (5, 1, 12, 6)
    eager, graph = (trained(method, data, mode, chunks) for mode in ("eager", "graph"))
    assert isinstance(graph[3], GraphedUpdate)
    begun = build(config_of(method), data, CPU, (0, 1)).state_dict()
    for name, value in eager[0].items():
        assert torch.equal(graph[0][name], value), name
        assert not torch.equal(begun[name], value) or name in ("shift", "scale"), name
    # CQL's first phase, cloning, has one update; QDQ's are the model's, and two of the policy's.
    phases = {"oraac": 4, "radac": 1, "cql": 1, "dac": 1, "qdq": 3}[method]
    assert graph[3].graphs.recorded == len(graph[3].replays) == phases
    assert all(graph[3].made[phase] == WARM_UP for phase in graph[3].replays)
    assert graph[2].updates == eager[2].updates == 24
    for here, there in zip(eager[1], graph[1], strict=True):
        assert here.means() == there.means()


def test_single_updates_return_their_own_metrics(data, counters):
    eager, graph = (trained("radac", data, mode, (4,)) for mode in ("eager", "graph"))
    for _ in range(6):
        here, there = eager[3](), graph[3]()
        assert here.keys() == there.keys()
        assert all(torch.equal(here[name], there[name]) for name in here)
    # They are not counted again in the tally of later ones.
    assert advance(eager[3], 11, 14).means() == advance(graph[3], 11, 14).means()


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_a_run_goes_on_to_the_same_bits(mode, data, counters):
    def trainer():
        return Trainer(config_of("oraac"), data, Engine(CPU, mode), schedule=Schedule(log_every=6, episodes=0))

    whole, cut, resumed = trainer(), trainer(), trainer()
    whole.run(progress=False)
    cut.run(progress=False, until=12)
    resumed.stacks[0].load_seed_states([cut.stacks[0].seed_state(i) for i in range(2)], 12)
    resumed.step = 12
    resumed.run(progress=False)
    for name, value in whole.stacks[0].state_dict().items():
        assert torch.equal(resumed.stacks[0].state_dict()[name], value), name
    assert whole.metrics.tail(2).reset_index(drop=True).equals(resumed.metrics.tail(2).reset_index(drop=True))


def test_a_seed_is_the_same_alone_and_in_company(data, counters):
    def networks(seeds):
        config = config_of("radac", seeds=seeds)
        stack = build(config, data, CPU, seeds)
        update = Engine(CPU).updater(stack, bench_updates.Replay(data))
        return [batch_of(stack, update) for _ in range(4)]

    def batch_of(stack, update):
        update()
        return stack.noise.state()[-1].item(), stack.batches.state()[-1].item()

    assert networks((3, 7)) == networks((7,))


@pytest.mark.slow
def test_compiled_numbers_change_no_draw(data, counters):
    """Counters compiled by themselves, all else compiled too: as eager within rounding (a clone compiles soonest)."""
    eager, compiled = (trained("bc-diffusion", data, mode, (12,)) for mode in ("eager", "compile"))
    for name, value in eager[0].items():
        torch.testing.assert_close(compiled[0][name], value, rtol=2e-4, atol=2e-5)
    for here, there in ((eager[2].noise, compiled[2].noise), (eager[2].batches, compiled[2].batches)):
        assert here.state() == there.state()


def test_an_update_takes_no_more_operators_for_more_seeds(data, counters):
    """Noise of six seeds is as many kernels as of two; on a CPU the head's products alone grow."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            name = function.overloadpacket.__name__
            seen.append(name) if name not in ("mv", "select", "unbind") else None
            return function(*args, **(kwargs or {}))

    lengths = []
    for seeds in (range(2), range(6)):
        stack = build(config_of("radac", seeds=tuple(seeds)), data, CPU, tuple(seeds))
        update = Engine(CPU).updater(stack, bench_updates.Replay(data))
        update(), update()
        seen = []
        with Count():
            update()
        lengths.append(len(seen))
    assert lengths[0] == lengths[1]


@pytest.mark.parametrize("method", TINY)
def test_nothing_that_is_recorded_waits_or_copies_from_the_host(method, data, counters):
    """Counters and the tally in place too, which are recorded with the update."""
    config = config_of(method)
    update = Engine(CPU, "graph").updater(build(config, data, CPU, config.seeds), bench_updates.Replay(data))
    update(), update()
    with Waits() as waits:
        for _ in range(10):
            update()
    assert waits.seen == []


# -- tallies in place -------------------------------------------------------------------------------------------------


def test_a_running_tally_is_the_tally():
    """Sums, first faults and counts, chunk after chunk; the number of the update is a tensor."""
    rows = [([1.0, 2.0], [3.0, math.nan]), ([0.1, 0.2], [0.3, 0.4]), ([math.inf, 5.0], [6.0, 7.0])]
    running, tally = None, Tally()
    for k, (a, b) in enumerate(rows, start=1_999_997):
        metrics = {"a": torch.tensor(a), "b": torch.tensor(b)}
        running = running or Running(metrics)
        running.add(metrics, torch.tensor(float(k)))
        running.count += 1
        tally.add(metrics, k)
    assert {name: values.tolist() for name, values in running.last().items()} == {
        "a": [math.inf, 5.0],
        "b": [6.0, 7.0],
    }
    read = running.read()
    assert read.fault() == tally.fault() == Fault(1_999_997, "b", 1)
    assert str(read.means()) == str(tally.means())
    running.add({"a": torch.ones(2), "b": torch.zeros(2)}, torch.tensor(7.0))
    running.count += 1
    later = running.read()
    assert later.fault() is None
    assert later.means() == [{"a": 1.0, "b": 0.0}] * 2
    assert not running.read()._counts


# -- heads ------------------------------------------------------------------------------------------------------------


def test_one_column_is_the_product_and_its_gradient():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 1, 7, 5, generator=g, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 3, 5, 1, generator=g, dtype=torch.float64, requires_grad=True)
    expected, found = torch.matmul(x, weight), one_column(x, weight)
    torch.testing.assert_close(found, expected)
    for a, b in zip(*(torch.autograd.grad(y.square().sum(), (x, weight)) for y in (found, expected)), strict=True):
        torch.testing.assert_close(a, b)


def test_the_head_without_a_product_of_one_column(monkeypatch):
    """CUDA's branch of the fused head, made on the CPU, against autograd of the formula in float64."""
    from ramac_lib.networks import critics

    monkeypatch.setattr(critics, "_matvec", lambda m, v: one_column(m, v[..., None])[..., 0])
    g = torch.Generator().manual_seed(0)
    shapes = ((2, 9, 4), (2, 4, 6), (2, 1, 6), (2, 6))
    x, weight, bias, head = (torch.randn(s, generator=g, dtype=torch.float64, requires_grad=True) for s in shapes)
    expected = ((x @ weight + bias).relu() @ head[..., None])[..., 0]
    found = _ReluHead.apply(x, weight, bias, head)
    torch.testing.assert_close(found, expected)
    inputs = (x, weight, bias, head)
    for a, b in zip(*(torch.autograd.grad(y.square().sum(), inputs) for y in (found, expected)), strict=True):
        torch.testing.assert_close(a, b)
