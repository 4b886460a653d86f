"""One file a method: its config, its losses, its update; the registry of their names."""

from ramac_lib.errors import unknown
from ramac_lib.methods.base import Config, Method
from ramac_lib.methods.bc import BCDiffusion, BCFlow
from ramac_lib.methods.radac import RADAC
from ramac_lib.methods.rafmac import RAFMAC

METHODS: dict[str, type[Method]] = {
    "radac": RADAC,
    "rafmac": RAFMAC,
    "bc-diffusion": BCDiffusion,
    "bc-flow": BCFlow,
}


def get_method(name: str) -> type[Method]:
    """Return the method of that name.

    Raises:
        RamacError: the name is unknown; the known ones are listed.
    """
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]


__all__ = ["METHODS", "Config", "Method", "get_method"]
