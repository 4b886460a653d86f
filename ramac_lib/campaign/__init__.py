"""Many runs as one: a grid of tasks × rows × hazards that survives kills and fits a budget."""

from ramac_lib.campaign.directory import SCHEMA
from ramac_lib.campaign.exports import export
from ramac_lib.campaign.grid import PROFILES, Cell, Grid
from ramac_lib.campaign.launch import run
from ramac_lib.campaign.packing import pack, unpack

__all__ = ["PROFILES", "SCHEMA", "Cell", "Grid", "export", "pack", "run", "unpack"]
