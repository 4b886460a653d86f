"""The paper's sentences about its tasks (sections 5.1 and 5.2, appendix D.2), each with the rule it is judged by.

The rules were written before the results that they judge were seen. Sentences about figure 4 are not here.
"""

from ramac_lib.evidence import judges
from ramac_lib.evidence.judges import CHEETAH, HOPPER, WALKER
from ramac_lib.evidence.verdicts import Claim

_TAIL = "its CVaR is above every other's; in part: none is above it"
_MEAN = "its mean is above every other's; in part: none is above it"
_POOR = "its mean's interval lies under a tenth of the best behaviour policy's mean; in part: reaches below it"

CLAIMS = (
    Claim("1", "5.1", "RADAC has the strongest lower tail", _TAIL, judges.best_tail("radac")),
    Claim(
        "2", "5.1", "RAFMAC has a stronger lower tail than every baseline", _TAIL + " (RADAC aside)",
        judges.best_tail("rafmac", ("radac",)),
    ),
    Claim(
        "3", "5.1", "… at a competitive or higher mean (RADAC)",
        "its mean is at least .9 of the best of the others' and not below it; in part: either", judges.competitive,
    ),
    Claim(
        "4", "5.1", "it is the CVaR's guidance that moves probability from the hazard",
        "CVaR above that of RADAC with the neutral measure; in part: tied, with fewer violations", judges.guidance,
    ),
    Claim(
        "5", "5.1", "RADAC improves on cloning the data",
        "CVaR above BC-diffusion's and mean not below; in part: either is above and CVaR not below",
        judges.beyond_cloning,
    ),
    Claim(
        "6", "5.1", "… and on the policies that made the data",
        "CVaR above each behaviour policy's; in part: above one's", judges.beyond_data,
    ),
    Claim(
        "7", "5.1", "RADAC's CVaR is stronger under knife-edge hazards", _TAIL, judges.best_tail("radac"),
        (*CHEETAH, HOPPER[1]),
    ),
    Claim(
        "8", "5.1", "RAFMAC often lifts the mean where hazards are smoother", _MEAN, judges.highest_mean("rafmac"),
        WALKER[:1],
    ),
    Claim(
        "9", "5.1", "ORAAC reliably handles the sharp threshold",
        "its CVaR is above at least half of the others' and below none; in part: either", judges.handles,
        HOPPER[:1],
    ),
    Claim(
        "10", "5.1", "… but may fail to exploit high-reward modes",
        "its mean is below the best behaviour policy's; in part: lower, but tied", judges.leaves_return,
    ),
    Claim("11", "table 1", "CQL earns next to nothing", _POOR, judges.untrained("cql")),
    Claim("12", "table 1", "CODAC earns next to nothing", _POOR, judges.untrained("codac")),
    Claim("13", "table 1", "DiffusionQL earns next to nothing", _POOR, judges.untrained("diffusion-ql")),
    Claim(
        "14", "5.2", "RADAC concentrates inside or near the safe range",
        "its share of steps in violation is below BC-diffusion's; in part: lower, but tied", judges.inside,
    ),
    Claim(
        "15", "D.2", "FlowQL or RAFMAC has the higher mean by 1,000 steps",
        "the better one's mean is above every other method's; in part: none is above it", judges.flows_first,
        at_start=True,
    ),
    Claim(
        "16", "D.2", "at 1,000 steps ORAAC has the more stable CVaR and mean on Hopper",
        "both above RADAC's and RAFMAC's; in part: one is above, none below", judges.anchor_first, HOPPER, True,
    ),
    Claim(
        "17", "D.2", "on HalfCheetah RADAC and RAFMAC improve the CVaR already by 1,000 steps",
        "both above every baseline's; in part: one", judges.tails_already, CHEETAH, True,
    ),
    Claim(
        "18", "D.2", "RAFMAC has the highest mean by 1,000 steps on Walker2d", _MEAN, judges.highest_mean("rafmac"),
        WALKER, True,
    ),
    Claim(
        "19", "D.2", "for comparable return RADAC incurs fewer violations",
        "fewer than each method whose mean is tied with its own; in part: than one", judges.fewer_violations,
    ),
    Claim(
        "20", "D.2", "RAFMAC pushes the top of the frontier in mean", _MEAN, judges.highest_mean("rafmac"),
        (*WALKER, CHEETAH[1]),
    ),
    Claim(
        "21", "D.2", "ORAAC forms the frontier with few violations and strong returns",
        "no other dominates it, violations at most and mean at least the median; in part: the first", judges.on_front,
        HOPPER[:1],
    ),
    Claim(
        "22", "D.2", "elsewhere ORAAC has few violations at the cost of its mean",
        "both below the median; in part: violations", judges.conservative, (*CHEETAH, *WALKER, HOPPER[1]),
    ),
    Claim(
        "23", "D.2", "FlowQL has high means with more violations",
        "violations above RADAC's, mean at least the median; in part: the first, or tied and the second",
        judges.more_violations,
    ),
    Claim(
        "24", "D.2", "DiffusionQL scatters most",
        "largest s.d. of return over seeds and later evaluations; in part: larger than RADAC's", judges.scatter,
    ),
    Claim(
        "25", "D.2", "… or collapses to low returns",
        "every seed's mean under a tenth of the best behaviour policy's; in part: one's", judges.collapses,
    ),
    Claim(
        "26", "D.2", "… and has the weaker CVaR", "below RADAC's; in part: tied",
        judges.weaker("diffusion-ql", "radac", "cvar"),
    ),
    Claim(
        "27", "D.2", "CODAC lies in the corner of low return and few violations",
        "mean and violations below the medians; in part: either", judges.corner,
    ),
)  # fmt: skip
