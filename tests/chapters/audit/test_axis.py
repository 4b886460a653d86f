"""What the released loss is minimal at, and what the stored bandit says of it."""

import numpy as np
import pytest

from ramac_lib import risk
from ramac_lib.analysis.evidence import Missing
from ramac_lib.system.errors import RamacError
from support.audit import axis
from support.preliminaries import laws


def test_every_fraction_of_the_released_loss_has_the_medians_minimiser():
    law = laws.normal(3.0, 10.0)
    found = axis.minimisers(law, 32, "target")
    np.testing.assert_allclose(found, 3.0, atol=1e-6)  # a symmetric law's median
    written = axis.minimisers(law, 32, "prediction")
    assert (np.diff(written) > 0).all()
    np.testing.assert_allclose(written, law.quantile(risk.grid(32)), atol=1.0)  # κ = 1 moves none by more


@pytest.mark.parametrize("name", ["prediction", "target"])
def test_the_librarys_loss_finds_these_minimisers(name):
    law = laws.mixture()
    fitted, exact = axis.regress(law, 16, name, steps=800), axis.minimisers(law, 16, name)
    np.testing.assert_allclose(fitted, exact, atol=0.6)


def test_an_unknown_axis_is_refused():
    with pytest.raises(RamacError, match="'both'"):
        axis.minimisers(laws.normal(), 8, "both")


def test_the_stored_bandit_has_both_losses():
    found = axis.stored()
    assert found.cvar["the data"].value == pytest.approx(-2.68)  # 20 % sure 1, 80 % a trap of −8.2 with .05, else 1.8
    written, released = (found.cvar[f"RADAC, loss as {word}"] for word in ("written (eq. 7)", "released"))
    assert found.difference.value == pytest.approx(released.value - written.value)
    assert found.difference.high < 0
    assert written.high <= found.best == 1.0
    assert {len(actions) for actions in found.actions.values()} == {1000}


def test_without_a_stored_bandit_one_sentence_says_so(tmp_path):
    with pytest.raises(Missing, match="ramac bandit"):
        axis.stored(tmp_path)
