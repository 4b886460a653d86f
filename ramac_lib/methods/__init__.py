"""One file a method: its config, its losses, its update; importing them registers the paper's."""

# ruff: noqa: F401  (a module registers its methods when it is imported; the order is that of tables and help)
from ramac_lib.methods.radac import RADAC
from ramac_lib.methods.rafmac import RAFMAC  # isort: split

from ramac_lib.methods.oraac import ORAAC, ORAACDiffusion, ORAACFlow  # isort: split

from ramac_lib.methods.codac import CODAC
from ramac_lib.methods.cql import CQL
from ramac_lib.methods.diffusion_ql import DiffusionQL
from ramac_lib.methods.flow_ql import FlowQL  # isort: split

from ramac_lib.methods.cvae_ql import CVAEQL  # isort: split

from ramac_lib.methods.clones import BCCVAE, BCDiffusion, BCFlow, BCGaussian
from ramac_lib.methods.dac import DAC, DACCVaR
from ramac_lib.methods.qdq import QDQ  # isort: split

from ramac_lib.methods.cped import CPED
from ramac_lib.methods.rs_diffuser import RSDiffuser  # isort: split

from ramac_lib.methods.iql import IQL  # isort: split

from ramac_lib.methods.bc_safe import BCSafe
from ramac_lib.methods.r2pac import R2PAC  # isort: split

from ramac_lib.methods.fisor import FISOR  # isort: split

from ramac_lib.methods.caps import CAPS  # isort: split

from ramac_lib.methods.cpq import CPQ  # isort: split

from ramac_lib.methods.coptidice import COptiDICE  # isort: split

from ramac_lib.methods.cdt import CDT  # isort: split

from ramac_lib.methods.trebi import TREBI  # isort: split

from ramac_lib.methods.radac_cost import RADACCost  # isort: split

from ramac_lib.methods.shared.base import Config, Controller, Method
from ramac_lib.methods.shared.registry import METHODS, get_method, register

__all__ = ["METHODS", "Config", "Controller", "Method", "get_method", "register"]
