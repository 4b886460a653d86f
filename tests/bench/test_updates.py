"""Speed: operations as counted by hand, a table that adds up. Times themselves are no test."""

import dataclasses
import itertools
import json
import math

import pytest
import torch

from ramac_lib.bench import updates
from ramac_lib.methods import METHODS
from ramac_lib.networks.critics import IQNCritic, _matvec
from ramac_lib.networks.layers import initialise
from ramac_lib.networks.native import build as native_build
from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import make_config
from ramac_lib.training.engine import Engine

CPU = torch.device("cpu")


def config(method, options=None, seeds=(0,), task="hopper-medium-expert"):
    return make_config(method, task, seeds, updates.STEPS, options)


@pytest.fixture(scope="module")
def hopper_like():
    return updates.synthetic_data("hopper-medium-expert", 64)


def test_matrix_times_vector_is_counted():
    matrices, vectors = torch.randn(3, 4, 5), torch.randn(3, 5)
    assert updates.count_flop(lambda: _matvec(matrices, vectors)) == 3 * 2 * 4 * 5


@pytest.mark.parametrize("critics", [1, 2])
def test_operations_of_an_iqn_critic(critics):
    b, s, a, n, h, e, m, k = 6, 5, 3, 4, 7, 9, 8, 10
    critic = IQNCritic((1,), s, a, hidden=h, encoder=m, embedding=e, n_cos=k, n_critics=critics)
    initialise(critic, [torch.Generator().manual_seed(0)])
    observations, actions, taus = torch.randn(1, b, s), torch.randn(1, b, a), torch.rand(n)
    forward = 2 * (b * s * m + b * a * m + b * 2 * m * e + n * k * e + b * n * e * h + b * n * h)
    assert updates.count_flop(lambda: critic(observations, actions, taus)) == critics * forward
    # Backward: each weight's gradient costs its forward; the input's gradient once more, where there is one to pass on.
    # The head's input gradient is an outer product without a sum.
    inputs = 2 * (b * 2 * m * e + b * n * e * h)

    def both():
        torch.autograd.grad(critic(observations, actions, taus).sum(), list(critic.parameters()))

    assert updates.count_flop(both) == critics * (2 * forward + inputs)


def test_operations_of_one_update_by_hand(hopper_like):
    """BC-diffusion: the score network on B rows, its time embedding on T."""
    b, steps, h, s, a, d = 32, 5, 24, 11, 3, 16
    run = config("bc-diffusion", {"hidden": f"{h},{h}", "batch_size": str(b), "policy_steps": str(steps)})
    score = 3 * 2 * b * ((a + d + s) * h + h * h + h * a)
    time = 2 * steps * (2 * d * 2 * d + 3 * 2 * d * d)  # the times themselves need no gradient
    assert updates.update_flop(run, hopper_like) == score + time


def test_operations_are_those_of_a_whole_period(hopper_like):
    tiny = {"batch_size": "8", "n_fractions": "4", "residual_hidden": "8,8"}
    run, always = (config("oraac", tiny | {"policy_every": every}) for every in ("3", "1"))
    assert updates.updaters(run, hopper_like, Engine(CPU))[0][0].period == 3
    # A third of what the residual costs, which is all that is not done every time.
    never = config("oraac", tiny | {"policy_every": "1000000"})
    _, every = updates.updaters(never, hopper_like, Engine(CPU))
    rest = updates.count_flop(lambda: updates.advance(every, 1))
    often, seldom = updates.update_flop(always, hopper_like), updates.update_flop(run, hopper_like)
    assert often > rest
    assert seldom == pytest.approx(rest + (often - rest) / 3)


def test_operations_grow_with_the_batch(hopper_like):
    counts = [updates.update_flop(config("radac", {"batch_size": size}), hopper_like) for size in ("16", "32")]
    assert 1.5 < counts[1] / counts[0] <= 2


def test_a_row_adds_up():
    row = updates.row(
        updates.Measurement(config("radac", seeds=range(5)), 1, Engine(CPU)), seconds=0.25, flop=2e9, rate=100.0
    )
    assert tuple(row) == updates.COLUMNS
    assert row["updates_per_s"] == 4
    assert row["seed_updates_per_s"] == 20
    assert row["floor_ms"] == pytest.approx(100)
    assert row["share"] == pytest.approx(0.4)


def test_scaling_changes_one_size_at_a_time():
    found = updates.scaling_measurements("hopper-medium-expert", [Engine(CPU)])
    default = found[0].config
    assert [len(job.config.seeds) for job in found[:4]] == list(updates.SCALING_SEEDS)
    for job in found[4:]:
        name, value = job.options.split("=")
        assert getattr(job.config.settings, name) == int(value)
        same = dataclasses.replace(job.config.settings, **{name: getattr(default.settings, name)})
        assert (same, job.config.seeds) == (default.settings, default.seeds)


def test_one_stack_unless_chunks_are_asked_for(hopper_like):
    run = config("oraac", {"batch_size": "8", "n_fractions": "4"}, seeds=(0, 1, 2))
    assert [stack.seeds for stack in updates.updaters(run, hopper_like, Engine(CPU))[0]] == [(0, 1, 2)]
    stacks, every = updates.updaters(run, hopper_like, Engine(CPU), chunk=2)
    assert [stack.seeds for stack in stacks] == [(0, 1), (2,)]
    updates.advance(every, 4)
    assert [stack.updates for stack in stacks] == [4, 4]


@pytest.mark.parametrize(
    ("task", "widths"), [("hopper-medium-replay", (11, 3)), ("halfcheetah-medium-expert", (17, 6))]
)
def test_sizes_are_the_tasks(task, widths):
    data = updates.synthetic_data(task, 10)
    assert (data.observations.shape[1], data.actions.shape[1]) == widths


def test_table_and_file(tmp_path):
    threads = torch.get_num_threads()
    path = tmp_path / "speed" / "bench.json"
    where = {"device": "cpu", "json_path": path, "progress": False}
    table, machine = updates.bench(["bc-flow"], "risky-bandit", (1, 2), (1, 5), seconds=0.01, threads=1, **where)
    assert tuple(table.columns) == updates.COLUMNS
    assert list(zip(table["seeds"], table["chunk"], strict=True)) == [(1, 1), (2, 1), (2, 2)]
    assert (table["ms"] > 0).all()
    assert table["gflop"].nunique() == 1
    assert machine["gflop_per_s"] == max(machine["products"].values()) > 0
    written = json.loads(path.read_text())
    assert written["rows"] == table.to_dict("records")
    assert written["machine"] == machine
    assert machine["threads"] == 1
    assert {"date", "device", "torch"} <= set(machine)
    assert [file.name for file in path.parent.iterdir()] == ["bench.json"]
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"methods": ["sac"]}, "unknown method 'sac'"),
        ({"task": "ant"}, "unknown task 'ant'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"seeds": (1, 0)}, "--seeds 1 0: expected positive"),
        ({"seeds": ()}, "at least one number of seeds"),
        ({"chunks": (-1,)}, "--chunks -1: expected positive"),
        ({"seconds": 0.0}, "--seconds 0.0: expected positive"),
        ({"seconds": math.nan}, "--seconds nan: expected positive"),
        ({"threads": 0}, "--threads 0: expected positive"),
        ({"passes": 0}, "--passes 0: expected positive"),
    ],
)
def test_refusals_come_before_any_measurement(arguments, words, monkeypatch):
    monkeypatch.setattr(updates, "product_rates", lambda *_: pytest.fail("measured"))
    with pytest.raises(RamacError, match=words) as refused:
        updates.bench(**arguments)
    assert "\n" not in str(refused.value)


def test_of_several_passes_the_fastest_counts(monkeypatch):
    spent = iter([0.5, 0.25, 0.125, 1.0])
    monkeypatch.setattr(updates, "time_updates", lambda *_, **__: next(spent))
    table, machine = updates.bench(["bc-flow"], "risky-bandit", (1, 2), passes=2, device="cpu", progress=False)
    assert list(table["updates_per_s"]) == [8.0, 4.0]
    assert machine["passes"] == 2


def test_a_rows_floor_is_that_of_its_own_precision(monkeypatch):
    rates = {"float32": 100.0, "bfloat16": 400.0}
    monkeypatch.setattr(updates, "product_rates", lambda _, precision: {"assumed": rates[precision]})
    how = {"precisions": ("bfloat16", "float32"), "seconds": 0.01, "device": "cpu", "progress": False}
    table, machine = updates.bench(["cvae-ql"], "risky-bandit", (1,), **how)
    half, full = table.to_dict("records")
    assert (half["precision"], full["precision"]) == ("bfloat16", "float32")
    assert half["gflop"] == full["gflop"]
    assert full["floor_ms"] == pytest.approx(1e3 * full["gflop"] / 100)
    assert half["floor_ms"] == pytest.approx(full["floor_ms"] / 4)
    assert (machine["rates"], machine["products"], machine["gflop_per_s"]) == (rates, {"assumed": 100.0}, 100.0)


def test_products_are_measured_in_their_precision():
    rates = updates.product_rates(CPU, "bfloat16", seconds=0.0)
    assert len(rates) == len(updates.PRODUCTS)
    assert min(rates.values()) > 0


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(RamacError, match="is a folder"):
        updates.bench(json_path=tmp_path)


def test_command_line(capsys, tmp_path):
    from ramac_lib.cli import main

    path = tmp_path / "bench.json"
    options = {"--methods": "bc-cvae", "--task": "risky-bandit", "--seeds": "2", "--seconds": "0.01", "--device": "cpu"}
    main(["bench", *itertools.chain(*options.items()), "--json", str(path)])
    out = capsys.readouterr().out
    assert all(word in out for word in ("bc-cvae", "seed_updates_per_s", "GFLOP/s"))
    assert json.loads(path.read_text())["rows"][0]["seeds"] == 2
    with pytest.raises(SystemExit) as stop:
        main(["bench", "--methods", "sac"])
    assert stop.value.code == 1
    assert "unknown method 'sac'" in capsys.readouterr().err


def test_auto_measures_native_beside_eager_where_it_serves(monkeypatch):
    monkeypatch.setattr(updates, "time_updates", lambda *_, **__: 0.1)
    monkeypatch.setattr(native_build, "kernel", lambda: ("avx2", object()))
    table, machine = updates.bench(["oraac", "bc-flow"], "risky-bandit", (1,), device="cpu", progress=False)
    assert list(zip(table["method"], table["engine"], strict=True)) == [
        ("oraac", "eager"), ("oraac", "native"), ("bc-flow", "eager")
    ]  # fmt: skip
    assert machine["native"] == "avx2"


def test_without_a_compiler_a_sentence_says_so(monkeypatch, capsys):
    from ramac_lib.cli import main

    monkeypatch.setattr(updates, "time_updates", lambda *_, **__: 0.1)
    monkeypatch.setattr(native_build, "kernel", lambda: ("no C++ compiler was found", None))
    main(["bench", "--methods", "oraac", "--task", "risky-bandit", "--seeds", "1", "--device", "cpu"])
    out = capsys.readouterr().out
    assert "native kernel: none here, as no C++ compiler was found\n" in out
    assert sum("oraac" in line for line in out.splitlines()) == 2  # its row, and where its time goes
    with pytest.raises(SystemExit):
        main(["bench", "--methods", "oraac", "--engines", "native", "--device", "cpu"])
    assert capsys.readouterr().err.count("there is no native kernel here") == 1


@pytest.mark.slow
def test_every_method_is_measured(monkeypatch):
    monkeypatch.setattr(updates, "product_rates", lambda *_: {"assumed": 100.0})
    table, _ = updates.bench((), "risky-bandit", (1,), seconds=0.01, device="cpu", progress=False)
    assert list(dict.fromkeys(table["method"])) == list(METHODS)
    assert (table["gflop"] > 0).all()


def test_what_learns_before_the_policy_is_no_part_of_the_table(hopper_like):
    tiny = {"batch_size": "8", "hidden": "8", "critic_hidden": "8", "model_hidden": "8", "window": "64", "samples": "2"}
    (stack,), every = updates.updaters(config("qdq", tiny), hopper_like, Engine(CPU))
    assert stack.updates == int(stack.step) == 0.4 * updates.STEPS
    assert not stack.phase()["models"]
    updates.advance(every, 2)
    (other,), _ = updates.updaters(config("radac", {"batch_size": "8"}), hopper_like, Engine(CPU))
    assert other.updates == int(other.step) == 0
