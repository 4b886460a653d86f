"""The native kernel: values and gradients against float64 PyTorch in every variant; where it cannot be built."""

import os
import shutil
import stat
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ramac_lib.networks import critics
from ramac_lib.networks.layers import initialise, set_products
from ramac_lib.networks.native import build, operators
from ramac_lib.networks.quantile_loss import quantile_huber

HERE = [] if build.why_not() else build.supported()
PATH = os.environ["PATH"]
COMPILER = os.environ.get("CXX") or next(filter(None, map(shutil.which, build.COMPILERS)), None)
needs_kernel = pytest.mark.skipif(not HERE, reason=f"no native kernel here: {build.why_not()}")


def use(name, patch):
    """Compute with one variant."""
    found = name, build.library(name)
    patch.setattr(operators, "kernel", lambda: found)


@pytest.fixture(params=HERE)
def variant(request, monkeypatch):
    use(request.param, monkeypatch)
    return request.param


def inputs(members, rows, count, features, hidden, seed=0, stack=None):
    """Draw encoded, fractions, weight, bias and head."""
    g, stack = torch.Generator().manual_seed(seed), stack or (members,)

    def draw(*shape, scale=1.0):
        return (scale * torch.randn(*stack, *shape, generator=g)).requires_grad_()

    wide = draw(features, hidden, scale=features**-0.5), draw(1, hidden), draw(hidden, 1, scale=hidden**-0.5)
    return [draw(rows, features), draw(count, features), *wide]


def plain(encoded, fractions, weight, bias, head):
    """The head as its docstring has it, product by product."""
    joint = (encoded.unsqueeze(-2) * fractions.relu().unsqueeze(-3)).flatten(-3, -2)
    return ((joint @ weight + bias).relu() @ head).squeeze(-1).unflatten(-1, (encoded.shape[-2], fractions.shape[-2]))


def pull(function, arguments, double=False, wanted=None):
    """Values, and gradients of a fixed functional of them by the arguments that are wanted."""
    leaves = [a.detach().to(torch.float64 if double else torch.float32) for a in arguments]
    for i, leaf in enumerate(leaves):
        leaf.requires_grad_(wanted is None or i in wanted)
    values = function(*leaves)
    slope = torch.cos(torch.arange(values.numel())).view(values.shape).to(values)
    gradients = torch.autograd.grad(values, [leaf for leaf in leaves if leaf.requires_grad], slope)
    return [values.detach(), *gradients]


def close(found, expected, tolerance=2e-5):
    """Compare by each array's own scale: a hidden unit within rounding of zero may be on either side."""
    for here, there in zip(found, expected, strict=True):
        assert here.shape == there.shape
        assert (here - there).abs().max() <= tolerance * max(1.0, float(there.abs().max()))


# -- the head ---------------------------------------------------------------------------------------------------------

SIZES = [(2, 256, 32, 128, 256), (1, 128, 32, 16, 32), (3, 33, 5, 17, 31), (1, 1, 1, 1, 1), (2, 31, 3, 64, 33)]


@needs_kernel
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_head_and_all_gradients_against_float64(variant, sizes):
    given = inputs(*sizes)
    close(pull(operators.quantile_head, given), pull(plain, given, double=True))


@needs_kernel
def test_every_variant_is_the_portable_one_up_to_rounding(variant, monkeypatch):
    given, taus, target = inputs(2, 50, 6, 33, 70), torch.rand(2, 7), torch.randn(2, 50, 9)

    def both():
        loss = pull(lambda x: operators.quantile_huber(x, target, taus, 1.0, False), [torch.ones(2, 50, 7)])
        return pull(operators.quantile_head, given) + loss

    found = both()
    use("portable", monkeypatch)
    close(found, both(), 1e-5)


@needs_kernel
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(1, 3), st.integers(1, 70), st.integers(1, 6), st.integers(1, 40), st.integers(1, 70),
    st.integers(0, 2**31), st.sampled_from(HERE or ["none"]),
)  # fmt: skip
def test_heads_of_any_size(members, rows, count, features, hidden, seed, name):
    given = inputs(members, rows, count, features, hidden, seed)
    with pytest.MonkeyPatch.context() as patch:
        use(name, patch)
        close(pull(operators.quantile_head, given), pull(plain, given, double=True), 1e-4)


@needs_kernel
@pytest.mark.parametrize("wanted", [(0,), (1,), (0, 1), (2,), (2, 3, 4), (1, 4)], ids=str)
def test_only_the_gradients_that_are_asked_for(variant, wanted):
    """(0,) is the actor's loss through frozen critics."""
    given = inputs(2, 37, 5, 20, 40)
    close(pull(operators.quantile_head, given, wanted=wanted), pull(plain, given, double=True, wanted=wanted))


@needs_kernel
@pytest.mark.parametrize("sign", [-1, 1])
def test_fractions_without_and_with_every_feature(variant, sign):
    given = inputs(2, 9, 4, 13, 21)
    given[1] = sign * given[1].detach().abs()
    close(pull(operators.quantile_head, given), pull(plain, given, double=True))


@needs_kernel
@pytest.mark.parametrize("where", range(5))
def test_what_is_not_finite_is_not_hidden(variant, where):
    """A run stops where a loss is not finite: no ReLU may turn a NaN into a zero."""
    given = [a.detach() for a in inputs(1, 9, 4, 13, 21)]
    given[where].fill_(torch.nan)
    assert operators.quantile_head(*given).isnan().all()


@needs_kernel
def test_inputs_in_any_order_of_memory(variant):
    given = [a.detach().mT.contiguous().mT for a in inputs(2, 9, 4, 13, 21)]
    close(pull(operators.quantile_head, given), pull(plain, given, double=True))


@needs_kernel
def test_the_same_bits_again(variant):
    given = inputs(2, 100, 7, 30, 50)
    for one, other in zip(pull(operators.quantile_head, given), pull(operators.quantile_head, given), strict=True):
        assert torch.equal(one, other)


@needs_kernel
def test_a_member_does_not_depend_on_those_beside_it(variant):
    given = inputs(3, 40, 6, 20, 40)
    alone = pull(operators.quantile_head, [a[1:2] for a in given])
    for whole, one in zip(operators.quantile_head(*given).split(1), [None, alone[0], None], strict=True):
        assert one is None or torch.equal(whole, one)


@needs_kernel
def test_operators_are_what_pytorch_expects():
    flat = [a.detach() for a in inputs(2, 9, 4, 13, 21)]
    flat[3], flat[4] = flat[3][:, 0], flat[4][..., 0]
    torch.library.opcheck(torch.ops.ramac.quantile_head.default, (*flat, False))
    torch.library.opcheck(torch.ops.ramac.quantile_head.default, (*(a.requires_grad_() for a in flat), True))
    taus = torch.rand(2, 4)
    torch.library.opcheck(
        torch.ops.ramac.quantile_huber.default,
        (torch.randn(2, 9, 4).requires_grad_(), torch.randn(2, 9, 4), taus, 1.0, True),
    )


# -- the critic -------------------------------------------------------------------------------------------------------


def critic_and_rows(per_seed=False):
    critic = critics.IQNCritic((2,), 3, 2, hidden=19, embedding=9, n_cos=6)
    initialise(critic, [torch.Generator().manual_seed(seed) for seed in range(2)])
    g = torch.Generator().manual_seed(5)
    taus = torch.rand(2, 7, generator=g) if per_seed else torch.rand(7, generator=g)
    return critic, (torch.randn(2, 5, 3, generator=g), torch.randn(2, 5, 2, generator=g), taus)


def slopes(critic, rows):
    """The critic's quantiles and all parameters' gradients."""
    quantiles = critic(*rows)
    return [quantiles.detach(), *torch.autograd.grad(quantiles.square().sum(), list(critic.parameters()))]


@needs_kernel
@pytest.mark.parametrize("per_seed", [False, True])
def test_the_critic_with_its_seeds_and_fractions(variant, per_seed):
    critic, rows = critic_and_rows(per_seed)
    eager = slopes(critic, rows)
    critics.set_native(critic)
    found = slopes(critic, rows)
    close(found, eager)
    assert not all(torch.equal(a, b) for a, b in zip(found, eager, strict=True))  # it was the kernel


@needs_kernel
@pytest.mark.parametrize("change", [lambda critic: critic.double(), lambda critic: set_products(critic, "bfloat16")])
def test_other_precisions_go_pytorchs_way(change):
    critic, rows = critic_and_rows()
    change(critic)
    rows = tuple(row.to(critic.head.weight.dtype) for row in rows)
    eager = slopes(critic, rows)
    critics.set_native(critic)
    assert all(torch.equal(a, b) for a, b in zip(slopes(critic, rows), eager, strict=True))


@needs_kernel
@pytest.mark.slow
def test_torch_compile_passes_through():
    torch._dynamo.reset()
    critic, rows = critic_and_rows()
    critics.set_native(critic)

    def loss(*rows):
        quantiles = critic(*rows)
        return quantile_huber(quantiles, quantiles.detach().flip(-1), rows[2], native=True).sum()

    results = []
    for function in (loss, torch.compile(loss, fullgraph=True)):
        value = function(*rows)
        results.append([value.detach(), *torch.autograd.grad(value, list(critic.parameters()), allow_unused=True)])
    close([x for x in results[1] if x is not None], [x for x in results[0] if x is not None])


# -- the loss ---------------------------------------------------------------------------------------------------------


@needs_kernel
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.sampled_from([0.3, 1.0, 4.0]), st.booleans(),
    st.sampled_from(["all", "one-to-one"]), st.integers(0, 2**31), st.sampled_from(HERE or ["none"]),
)  # fmt: skip
def test_the_loss_of_any_size(count, others, rows, kappa, slip, pairing, seed, name):
    """Fractions of each seed, one target for two critics; one to one falls back."""
    g = torch.Generator().manual_seed(seed)
    others = count if slip or pairing == "one-to-one" else others
    target, taus = torch.randn(2, 1, rows, others, generator=g), torch.rand(2, 1, count, generator=g)
    predicted = torch.randn(2, 2, rows, count, generator=g)
    how = {"kappa": kappa, "axis": "target" if slip else "prediction", "pairing": pairing}
    with pytest.MonkeyPatch.context() as patch:
        use(name, patch)
        found = pull(lambda x: quantile_huber(x, target, taus, native=True, **how), [predicted])
    expected = pull(lambda x: quantile_huber(x, target.double(), taus.double(), **how), [predicted], double=True)
    close(found, expected)


@needs_kernel
def test_the_loss_with_fractions_for_all(variant):
    taus, predicted, target = torch.rand(8), torch.randn(3, 2, 5, 8), torch.randn(3, 1, 5, 8)
    close(
        pull(lambda x: quantile_huber(x, target, taus, native=True), [predicted]),
        pull(lambda x: quantile_huber(x, target, taus), [predicted]),
    )
    predicted[0, 0, 0, 0] = torch.nan
    assert quantile_huber(predicted, target, taus, native=True)[0, 0].isnan()


# -- where it is built ------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty cache, no compiler, and nothing remembered."""
    monkeypatch.setenv("RAMAC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("CXX", raising=False)
    build.kernel.cache_clear()
    yield tmp_path
    build.kernel.cache_clear()


def compiler(folder, text):
    """Put a shell script in the compiler's place."""
    path = folder / "bin" / "c++"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_without_a_compiler_there_is_none(fresh):
    assert build.why_not() == "no C++ compiler (c++, g++, clang++) was found"
    assert not build.gains()


def test_a_compiler_that_fails_is_quoted_in_one_line(fresh):
    compiler(fresh, "echo 'x.cpp:1: error: no such vector' >&2; echo 'a note' >&2; exit 1")
    assert build.why_not() == f"{fresh}/bin/c++ failed (x.cpp:1: error: no such vector)"
    assert [path.name for path in (fresh / "cache" / "native").iterdir() if path.suffix != ".lock"] == []


def test_a_result_that_is_no_library(fresh):
    compiler(fresh, 'for last; do :; done; echo "not a library" > "$last"')
    assert "cannot be built or read" in build.why_not()


@pytest.mark.usefixtures("fresh")
def test_a_cache_that_cannot_be_written(monkeypatch):
    monkeypatch.setenv("RAMAC_CACHE", "/proc/ramac")  # where root cannot write either
    assert "cannot be" in build.why_not()


def test_a_cache_whose_place_is_taken_by_a_file(fresh):
    (fresh / "cache").write_text("")
    assert "cannot be built or read" in build.why_not()


@needs_kernel
def test_built_once_by_those_who_start_together_and_found_without_a_compiler(fresh, monkeypatch):
    compiler(fresh, f'echo built >> {fresh}/calls; PATH={PATH} exec {COMPILER} "$@"')
    monkeypatch.setenv("PATH", f"{fresh}/bin:{PATH}")
    together = [threading.Thread(target=build.library, args=("portable",)) for _ in range(3)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert (fresh / "calls").read_text() == "built\n"
    monkeypatch.setenv("PATH", str(fresh / "nowhere"))
    assert build.library("portable").ramac_width() in (4, 8, 16)
