"""Many runs as one: a grid of tasks × rows × hazards that survives kills and fits a budget."""

from ramac_lib.campaign.directory import SCHEMA
from ramac_lib.campaign.exports import export
from ramac_lib.campaign.grid import PROFILES, Cell, Grid
from ramac_lib.campaign.launch import Backend, dry_run, run
from ramac_lib.campaign.packing import pack, unpack
from ramac_lib.campaign.watching import watch

__all__ = ["PROFILES", "SCHEMA", "Backend", "Cell", "Grid", "dry_run", "export", "pack", "run", "unpack", "watch"]
