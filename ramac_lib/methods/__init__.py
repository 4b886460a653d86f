"""One file a method: its config, its losses, its update; the registry of their names."""

from ramac_lib.methods.clones import BCCVAE, BCDiffusion, BCFlow
from ramac_lib.methods.codac import CODAC
from ramac_lib.methods.cql import CQL
from ramac_lib.methods.cvae_ql import CVAEQL
from ramac_lib.methods.diffusion_ql import DiffusionQL
from ramac_lib.methods.flow_ql import FlowQL
from ramac_lib.methods.oraac import ORAAC, ORAACDiffusion, ORAACFlow
from ramac_lib.methods.radac import RADAC
from ramac_lib.methods.rafmac import RAFMAC
from ramac_lib.methods.shared.base import Config, Method
from ramac_lib.system.errors import unknown

METHODS: dict[str, type[Method]] = {
    "radac": RADAC,
    "rafmac": RAFMAC,
    "oraac": ORAAC,
    "oraac-diffusion": ORAACDiffusion,
    "oraac-flow": ORAACFlow,
    "codac": CODAC,
    "cql": CQL,
    "diffusion-ql": DiffusionQL,
    "flow-ql": FlowQL,
    "cvae-ql": CVAEQL,
    "bc-diffusion": BCDiffusion,
    "bc-flow": BCFlow,
    "bc-cvae": BCCVAE,
}
"""Every method by name."""


def get_method(name: str) -> type[Method]:
    """Return the method of that name.

    Raises:
        RamacError: the name is unknown; the known ones are listed.
    """
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]


__all__ = ["METHODS", "Config", "Method", "get_method"]
