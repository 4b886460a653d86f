"""Which engines a speed table has rows of."""

import pytest

from ramac_lib.bench.updates import _engines
from ramac_lib.system.errors import RamacError
from ramac_lib.training.engine import native_kernel


@pytest.mark.skipif(not native_kernel()[1], reason="needs a C++ compiler")
def test_native_has_a_row_in_float32_alone_beside_others_in_bfloat16() -> None:
    found = _engines("cpu", ["eager", "native"], ["float32", "bfloat16"])
    assert [(engine.mode, engine.precision) for engine in found] == [
        ("eager", "float32"),
        ("eager", "bfloat16"),
        ("native", "float32"),
    ]


def test_native_in_bfloat16_alone_is_refused() -> None:
    with pytest.raises(RamacError, match="bfloat16"):
        _engines("cpu", ["native"], ["bfloat16"])
