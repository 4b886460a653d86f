"""Hopper medium-expert's hazard as the paper's figure 4 has it, ±0.1 rad, under the name ``earlier``.

The released configuration has [−0.17, 0.04] instead. Penalty and probability are the released ones in both; the limit,
twice the bound as on medium-replay, is the robot's own. ``ramac --plugin book/support/audit/earlier_hazard.py campaign
--hazards paper earlier …`` trains under both.
"""

from ramac_lib.envs.hazards import PAPER, Interval, register_hazard

TASK, NAME = "hopper-medium-expert", "earlier"
_RELEASED = PAPER[TASK]
EARLIER = register_hazard(
    NAME, TASK, Interval(_RELEASED.signal, -0.1, 0.1, _RELEASED.penalty, _RELEASED.probability, limit=0.2)
)
