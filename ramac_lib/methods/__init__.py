"""One file a method: its config, its losses, its update. Importing this package registers those of the paper."""

# The order is that of tables and help: the paper's own methods first.
from ramac_lib.methods.radac import RADAC
from ramac_lib.methods.rafmac import RAFMAC  # isort: split

from ramac_lib.methods.oraac import ORAAC, ORAACDiffusion, ORAACFlow  # isort: split

from ramac_lib.methods.codac import CODAC
from ramac_lib.methods.cql import CQL
from ramac_lib.methods.diffusion_ql import DiffusionQL
from ramac_lib.methods.flow_ql import FlowQL  # isort: split

from ramac_lib.methods.cvae_ql import CVAEQL  # isort: split

from ramac_lib.methods.clones import BCCVAE, BCDiffusion, BCFlow
from ramac_lib.methods.shared.base import Config, Controller, Method
from ramac_lib.methods.shared.registry import METHODS, get_method, register

__all__ = [
    "BCCVAE", "CODAC", "CQL", "CVAEQL", "METHODS", "ORAAC", "RADAC", "RAFMAC", "BCDiffusion", "BCFlow", "Config",
    "Controller", "DiffusionQL", "FlowQL", "Method", "ORAACDiffusion", "ORAACFlow", "get_method", "register",
]  # fmt: skip
