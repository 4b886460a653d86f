"""What a base class leaves to others: a class that lacks it is refused when it is built, not when it is first used."""

import inspect
from typing import ClassVar

import pytest

from ramac_lib.methods import METHODS, get_method
from ramac_lib.methods.clones import BehaviourCloning
from ramac_lib.methods.oraac import Anchored
from ramac_lib.methods.radac import RADAC
from ramac_lib.methods.shared.plain_critics import GenerativeQL
from ramac_lib.methods.shared.ramac import RAMAC
from ramac_lib.networks.policies.base import CloningPolicy, Policy


@pytest.mark.parametrize("base", [Anchored, BehaviourCloning, GenerativeQL, RAMAC, Policy, CloningPolicy])
def test_an_incomplete_class_cannot_be_built(base):
    class Incomplete(base):
        Config: ClassVar = RADAC.Config

    missing = sorted(Incomplete.__abstractmethods__)
    assert missing
    with pytest.raises(TypeError, match=missing[0]):
        Incomplete()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_whole(name):
    assert not inspect.isabstract(get_method(name))
