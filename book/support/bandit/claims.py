"""The paper's sentences about its pictures of the Risky Bandit (figures 3, 5, 6, 7), each with a rule to judge it by.

The rules were fixed before the campaign was run. Each reads its sentence plainly and puts numbers to the words: a mode
is *kept* where it has at least half of the data's share (centre .1, ring .4), a mass in the gap is *substantial* from
`LEAK` on, *most* is `MOST`, *almost all* `ALMOST_ALL`. Numbers are masses of regions (`bandit.REGIONS`), counted over
1,000 actions during training and 20,000 at its end; moments are the last stored up to the epoch named.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ramac_lib.envs.bandit import REGIONS
from support.bandit.verdicts import LEAK, MOST, Claim, Evidence, Finding

Judge = Callable[[Evidence], Finding]

ALMOST_ALL = 0.9
CONCENTRATED = 0.8  # as much as the data have on the ring
CHANGE = 0.03  # of a mass: three standard errors of one of .1 counted over 1,000 actions
TRACE = 0.01  # of a mass at the end
SPREAD = 0.2  # between seeds: more is not the same pattern
EARLY = 100  # epochs
FIGURE_3 = (
    "bc-cvae", "bc-diffusion", "bc-flow", "cvae-ql", "diffusion-ql", "flow-ql", "cql", "codac", "oraac",
    "oraac-diffusion", "oraac-flow", "rafmac", "radac",
)  # fmt: skip
FIGURE_7 = ("cvae-ql", "diffusion-ql", "flow-ql", "oraac", "oraac-diffusion", "oraac-flow", "radac", "rafmac")
CLONES = ("bc-cvae", "bc-diffusion", "bc-flow")


# -- figure 3 ---------------------------------------------------------------------------------------------------------


def _flow_ql(e: Evidence) -> Finding:
    end = e.at("flow-ql")
    both = e.kept("flow-ql", "centre") & e.kept("flow-ql", "ring")
    unsuppressed = end["side"] >= e.share("ring") / 2
    often = both.mean() > 0.5
    shown = {"centre": end["centre"], "ring": end["ring"], "outside": end["outside"]}
    return Finding(shown, unsuppressed & often, unsuppressed | both)


def _diffusion_ql(e: Evidence) -> Finding:
    end, sparse = e.at("diffusion-ql"), e.sparse("diffusion-ql")
    exposed = end["side"] >= e.share("ring")
    shown = {"ring + outside": end["side"], "sparse": sparse, "CVaR": end["cvar"]}
    return Finding(shown, exposed & (sparse >= 0.25), exposed)


def _collapses(method: str) -> Judge:
    def judge(e: Evidence) -> Finding:
        end = e.at(method)
        lost = ~(e.kept(method, "centre") & e.kept(method, "ring"))
        filled = end["gap"] >= LEAK
        return Finding({k: end[k] for k in ("centre", "gap", "ring")}, lost & filled, lost | filled)

    return judge


def _fills_gap(method: str) -> Judge:
    def judge(e: Evidence) -> Finding:
        gap = e.at(method)["gap"]
        return Finding({"gap": gap}, gap >= LEAK, gap >= LEAK / 2)

    return judge


def _radac_concentrates(e: Evidence) -> Finding:
    end = e.at("radac")
    passed = (end["centre"] >= CONCENTRATED) & (end["gap"] < LEAK)
    return Finding({"centre": end["centre"], "gap": end["gap"]}, passed, end["centre"] >= MOST)


def _radac_multimodal(e: Evidence) -> Finding:
    ring = e.at("radac")["ring"]
    return Finding({"ring": ring}, ring >= LEAK / 2)


# -- figure 5 ---------------------------------------------------------------------------------------------------------


def _most_faithful(e: Evidence) -> Finding:
    method = "bc-diffusion"
    distances = {m: e.distance(m) for m in CLONES}
    others = pd.DataFrame({m: d for m, d in distances.items() if m != method}).min(axis=1)
    nearest = distances[method] < others
    both = e.kept(method, "centre") & e.kept(method, "ring")
    names = {"bc-cvae": "CVAE", "bc-diffusion": "diffusion", "bc-flow": "flow"}
    return Finding({names[m]: d for m, d in distances.items()}, nearest & both, nearest | both)


def _flow_clone(e: Evidence) -> Finding:
    end, width = e.at("bc-flow"), e.width("bc-flow")
    sharp, less = (width <= 1.5) & e.kept("bc-flow", "ring"), end["centre"] <= 0.9 * e.share("centre")
    outward = end["outside"].between(TRACE, LEAK)
    shown = {"width": width, "centre": end["centre"], "outside": end["outside"]}
    return Finding(shown, sharp & less & outward, sharp | less | outward)


# -- figure 6 ---------------------------------------------------------------------------------------------------------


def _early(e: Evidence) -> Finding:
    at = e.at("radac", EARLY)
    both = (at["centre"] >= LEAK) & (at["ring"] >= LEAK)
    return Finding({k: at[k] for k in ("centre", "gap", "ring")}, both & (at["centre"] + at["ring"] >= MOST), both)


def _vacates(e: Evidence) -> Finding:
    over = e.over("radac")
    before = over[over["epoch"] < 200].groupby("seed")["ring"].max()
    at = e.at("radac", 200)["ring"]
    fell = at <= before - CHANGE
    return Finding({"largest before": before, "at 200": at}, fell & (at <= 0.9 * before) & (before >= LEAK), fell)


def _inward(e: Evidence) -> Finding:
    first, last = e.at("radac", 400), e.at("radac", 800)
    thins, grows = last["ring"] <= first["ring"] - CHANGE, last["centre"] >= first["centre"] + CHANGE
    shown = {"ring": first["ring"], "to": last["ring"], "centre": first["centre"], " to": last["centre"]}
    return Finding(shown, thins & grows, thins | grows)


def _by_950(e: Evidence) -> Finding:
    centre = e.at("radac", 950)["centre"]
    return Finding({"centre": centre}, centre >= MOST)


def _on_manifold(e: Evidence) -> Finding:
    over = e.over("radac").groupby("seed")["ood"]
    end = e.at("radac")["ood"]
    return Finding({"largest OOD": over.max(), "at the end": end}, over.max() < LEAK, end < LEAK)


# -- figure 7 ---------------------------------------------------------------------------------------------------------


def _consistent(e: Evidence) -> Finding:
    """Judge methods, not seeds."""
    ends = {m: e.at(m)[list(REGIONS)] for m in FIGURE_7}
    spread = pd.Series({m: float(np.ptp(end.to_numpy(), axis=0).max()) for m, end in ends.items()})
    same = pd.Series({m: end.idxmax(axis=1).nunique() == 1 for m, end in ends.items()})
    return Finding({"range": spread}, same & (spread <= SPREAD))


def _stay_on_ring(e: Evidence) -> Finding:
    ends = {m: e.at(m) for m in ("diffusion-ql", "flow-ql")}
    risky = {m: (end["ring"] >= MOST) & (end["cvar"] < e.at("radac")["cvar"]) for m, end in ends.items()}
    first, second = risky.values()
    shown = {"DiffusionQL ring": ends["diffusion-ql"]["ring"], "FlowQL ring": ends["flow-ql"]["ring"]}
    return Finding(shown, first & second, first | second)


def _radac_all(e: Evidence) -> Finding:
    centre = e.at("radac")["centre"]
    return Finding({"centre": centre}, centre >= ALMOST_ALL, centre >= MOST)


def _thinner(e: Evidence) -> Finding:
    ring = e.at("rafmac")["ring"]
    left = ring >= LEAK / 2
    return Finding({"ring": ring, "RADAC's": e.at("radac")["ring"]}, left & (ring <= 0.75 * e.share("ring")), left)


# -- all of them ------------------------------------------------------------------------------------------------------

_KEPT = "both modes kept"
_COLLAPSE = "a mode not kept, and gap ≥ .1; in part: either"
_GAP = "gap ≥ .1; in part: ≥ .05"

CLAIMS = (
    Claim(
        "a", "3", "FlowQL often preserves both modes but does not suppress mass on the hazardous ring",
        f"{_KEPT} in most seeds; ring + outside ≥ .4 in each; in part: either", _flow_ql,
    ),
    Claim(
        "b", "3", "DiffusionQL drifts toward sparsely covered pockets on the ring, yielding risk exposure",
        "ring + outside ≥ .8, the data's; ≥ .25 of it farther than 2 σ from the circle, where 4 % of the ring's "
        "data are; in part: the first", _diffusion_ql,
    ),
    Claim("c", "3, 7", "CVAE-QL collapses topology and fills low-density bridges", _COLLAPSE, _collapses("cvae-ql")),
    Claim("d", "3, 7", "ORAAC places substantial mass in the low-density gap", _GAP, _fills_gap("oraac")),
    Claim(
        "e", "3, 7", "ORAAC-Diffusion places mass in the gap, expressive prior or not", _GAP,
        _fills_gap("oraac-diffusion"),
    ),
    Claim("f", "3, 7", "ORAAC-Flow places mass in the gap, expressive prior or not", _GAP, _fills_gap("oraac-flow")),
    Claim(
        "g", "3", "RADAC concentrates near the safe centre without filling the gap",
        "centre ≥ .8 and gap < .1; in part: centre ≥ .5", _radac_concentrates,
    ),
    Claim("h", "3, 6", "RADAC does not lose multimodality or collapse to a mode", "ring ≥ .05", _radac_multimodal),
    Claim("i", "5", "CVAE-BC collapses topology, fills the gap", _COLLAPSE, _collapses("bc-cvae")),
    Claim(
        "j", "5", "Diffusion-BC most faithfully reproduces both the ring and the inner cluster",
        f"its masses nearest to the data's in total variation, and {_KEPT}; in part: either", _most_faithful,
    ),
    Claim(
        "k", "5", "Flow BC draws a sharp ring, allocates less mass to the centre, edges spread slightly outward",
        "ring kept, its interquartile width ≤ 1.5 of the data's; centre ≤ .18; outside .01 to .1; in part: any",
        _flow_clone,
    ),
    Claim(
        "l", "6", "RADAC early spreads mass over both modes",
        "at epoch 100: centre and ring ≥ .1, together ≥ .5; in part: each ≥ .1", _early,
    ),
    Claim(
        "m", "6", "by 200 epochs RADAC starts vacating the ring",
        "ring lower by .03 and a tenth than its largest before, which was ≥ .1; in part: lower by .03", _vacates,
    ),
    Claim(
        "n", "6", "between epochs 400 and 800 RADAC's ring thins and its probability shifts inward",
        "ring falls and centre grows by ≥ .03; in part: either", _inward,
    ),
    Claim("o", "6", "by roughly epoch 950 most of RADAC's mass is at the centre", "centre ≥ .5", _by_950),
    Claim(
        "p", "6", "throughout training the BC term keeps RADAC's samples on-manifold",
        "OOD < .1 at each moment; in part: at the last", _on_manifold,
    ),
    Claim(
        "q", "7", "each method's pattern is consistent across seeds",
        "for each of eight methods one region leads in all seeds, no mass ranges over > .2; in part: for some",
        _consistent,
    ),
    Claim(
        "r", "7", "Diffusion-QL and Flow-QL stay on the ring (high mean, higher risk)",
        "ring ≥ .5 and a lower CVaR than RADAC's, both methods; in part: one", _stay_on_ring,
    ),
    Claim(
        "s", "7", "RADAC reassigns almost all probability to the centre", "centre ≥ .9; in part: ≥ .5", _radac_all,
    ),
    Claim(
        "t", "7", "RAFMAC leaves a thinner ring than the data's", "ring .05 to .6, ¾ of the data's; in part: ≥ .05",
        _thinner,
    ),
)  # fmt: skip
