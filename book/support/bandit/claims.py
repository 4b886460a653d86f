"""The paper's sentences about its pictures of the Risky Bandit (figures 3, 5, 6, 7), each with a rule to judge it by.

The rules were fixed before the campaign was run; one thing has changed since, that seeds which disagree leave a part
inconclusive. Semicolons separate the parts of a sentence; a part that begins with *and* asks for the one before it too.
Each rule reads its sentence plainly and puts numbers to the words: a mode is *kept* where it has at least half of the
data's share (centre .1, ring .4), a mass in the gap is *substantial* from `LEAK` on, *most* is `MAJORITY`, *almost all*
`ALMOST_ALL`. Numbers are masses of regions (`bandit.REGIONS`), counted over 1,000 actions during training and 20,000 at
its end; moments are the last stored up to the epoch named.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ramac_lib.envs.bandit import REGIONS
from support.bandit.verdicts import LEAK, MAJORITY, BanditEvidence, agreed, finding, mostly
from support.verdicts import Claim, Found

Judge = Callable[[BanditEvidence], Found]

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


def _flow_ql(e: BanditEvidence) -> Found:
    end = e.at("flow-ql")
    both = e.kept("flow-ql", "centre") & e.kept("flow-ql", "ring")
    unsuppressed = end["side"] >= e.share("ring") / 2
    shown = {"centre": end["centre"], "ring": end["ring"], "outside": end["outside"]}
    return finding(shown, mostly(both), unsuppressed)


def _diffusion_ql(e: BanditEvidence) -> Found:
    end, sparse = e.at("diffusion-ql"), e.sparse("diffusion-ql")
    exposed = end["side"] >= e.share("ring")
    shown = {"ring + outside": end["side"], "sparse": sparse, "CVaR": end["cvar"]}
    return finding(shown, exposed, exposed & (sparse >= 0.25))


def _collapses(method: str) -> Judge:
    def judge(e: BanditEvidence) -> Found:
        end = e.at(method)
        lost = ~(e.kept(method, "centre") & e.kept(method, "ring"))
        filled = end["gap"] >= LEAK
        return finding({k: end[k] for k in ("centre", "gap", "ring")}, lost, filled)

    return judge


def _fills_gap(method: str) -> Judge:
    def judge(e: BanditEvidence) -> Found:
        gap = e.at(method)["gap"]
        return finding({"gap": gap}, gap >= LEAK / 2, gap >= LEAK)

    return judge


def _radac_concentrates(e: BanditEvidence) -> Found:
    end = e.at("radac")
    concentrated = (end["centre"] >= CONCENTRATED) & (end["gap"] < LEAK)
    return finding({"centre": end["centre"], "gap": end["gap"]}, end["centre"] >= MAJORITY, concentrated)


def _radac_multimodal(e: BanditEvidence) -> Found:
    ring = e.at("radac")["ring"]
    return finding({"ring": ring}, ring >= LEAK / 2)


# -- figure 5 ---------------------------------------------------------------------------------------------------------


def _most_faithful(e: BanditEvidence) -> Found:
    method = "bc-diffusion"
    distances = {m: e.distance(m) for m in CLONES}
    others = pd.DataFrame({m: d for m, d in distances.items() if m != method}).min(axis=1)
    nearest = distances[method] < others
    both = e.kept(method, "centre") & e.kept(method, "ring")
    names = {"bc-cvae": "CVAE", "bc-diffusion": "diffusion", "bc-flow": "flow"}
    return finding({names[m]: d for m, d in distances.items()}, nearest, both)


def _flow_clone(e: BanditEvidence) -> Found:
    end, width = e.at("bc-flow"), e.width("bc-flow")
    sharp, less = (width <= 1.5) & e.kept("bc-flow", "ring"), end["centre"] <= 0.9 * e.share("centre")
    outward = end["outside"].between(TRACE, LEAK)
    shown = {"width": width, "centre": end["centre"], "outside": end["outside"]}
    return finding(shown, sharp, less, outward)


# -- figure 6 ---------------------------------------------------------------------------------------------------------


def _early(e: BanditEvidence) -> Found:
    at = e.at("radac", EARLY)
    both = (at["centre"] >= LEAK) & (at["ring"] >= LEAK)
    return finding({k: at[k] for k in ("centre", "gap", "ring")}, both, both & (at["centre"] + at["ring"] >= MAJORITY))


def _vacates(e: BanditEvidence) -> Found:
    over = e.over("radac")
    before = over[over["epoch"] < 200].groupby("seed")["ring"].max()
    at = e.at("radac", 200)["ring"]
    fell = at <= before - CHANGE
    return finding({"largest before": before, "at 200": at}, fell, fell & (at <= 0.9 * before) & (before >= LEAK))


def _inward(e: BanditEvidence) -> Found:
    first, last = e.at("radac", 400), e.at("radac", 800)
    thins, grows = last["ring"] <= first["ring"] - CHANGE, last["centre"] >= first["centre"] + CHANGE
    shown = {"ring": first["ring"], "to": last["ring"], "centre": first["centre"], " to": last["centre"]}
    return finding(shown, thins, grows)


def _by_950(e: BanditEvidence) -> Found:
    centre = e.at("radac", 950)["centre"]
    return finding({"centre": centre}, centre >= MAJORITY)


def _on_manifold(e: BanditEvidence) -> Found:
    over = e.over("radac").groupby("seed")["ood"]
    end = e.at("radac")["ood"]
    return finding({"largest OOD": over.max(), "at the end": end}, end < LEAK, over.max() < LEAK)


# -- figure 7 ---------------------------------------------------------------------------------------------------------


def _consistent(e: BanditEvidence) -> Found:
    """Judge methods, not seeds: a part a method."""
    ends = {m: e.at(m)[list(REGIONS)] for m in FIGURE_7}
    spread = pd.Series({m: float(np.ptp(end.to_numpy(), axis=0).max()) for m, end in ends.items()})
    same = pd.Series({m: end.idxmax(axis=1).nunique() == 1 for m, end in ends.items()})
    return finding({"range": spread}, *(agreed([ok]) for ok in same & (spread <= SPREAD)))


def _stay_on_ring(e: BanditEvidence) -> Found:
    ends = {m: e.at(m) for m in ("diffusion-ql", "flow-ql")}
    risky = {m: (end["ring"] >= MAJORITY) & (end["cvar"] < e.at("radac")["cvar"]) for m, end in ends.items()}
    shown = {"DiffusionQL ring": ends["diffusion-ql"]["ring"], "FlowQL ring": ends["flow-ql"]["ring"]}
    return finding(shown, *risky.values())


def _radac_all(e: BanditEvidence) -> Found:
    centre = e.at("radac")["centre"]
    return finding({"centre": centre}, centre >= MAJORITY, centre >= ALMOST_ALL)


def _thinner(e: BanditEvidence) -> Found:
    ring = e.at("rafmac")["ring"]
    left = ring >= LEAK / 2
    return finding({"ring": ring, "RADAC's": e.at("radac")["ring"]}, left, left & (ring <= 0.75 * e.share("ring")))


# -- all of them ------------------------------------------------------------------------------------------------------

_KEPT = "both modes kept"
_COLLAPSE = "a mode not kept; gap ≥ .1"
_GAP = "gap ≥ .05; gap ≥ .1"

CLAIMS = (
    Claim(
        "fig. 3", "FlowQL often preserves both modes but does not suppress mass on the hazardous ring",
        f"{_KEPT} in most seeds; ring + outside ≥ .4 in each", _flow_ql,
    ),
    Claim(
        "fig. 3", "DiffusionQL drifts toward sparsely covered pockets on the ring, yielding risk exposure",
        "ring + outside ≥ .8, the data's; and ≥ .25 of it farther than 2 σ from the circle, where 4 % of the ring's "
        "data are", _diffusion_ql,
    ),
    Claim("fig. 3, 7", "CVAE-QL collapses topology and fills low-density bridges", _COLLAPSE, _collapses("cvae-ql")),
    Claim("fig. 3, 7", "ORAAC places substantial mass in the low-density gap", _GAP, _fills_gap("oraac")),
    Claim(
        "fig. 3, 7", "ORAAC-Diffusion places mass in the gap, expressive prior or not", _GAP,
        _fills_gap("oraac-diffusion"),
    ),
    Claim("fig. 3, 7", "ORAAC-Flow places mass in the gap, expressive prior or not", _GAP, _fills_gap("oraac-flow")),
    Claim(
        "fig. 3", "RADAC concentrates near the safe centre without filling the gap",
        "centre ≥ .5; centre ≥ .8 with gap < .1", _radac_concentrates,
    ),
    Claim("fig. 3, 6", "RADAC does not lose multimodality or collapse to a mode", "ring ≥ .05", _radac_multimodal),
    Claim("fig. 5", "CVAE-BC collapses topology, fills the gap", _COLLAPSE, _collapses("bc-cvae")),
    Claim(
        "fig. 5", "Diffusion-BC most faithfully reproduces both the ring and the inner cluster",
        f"its masses nearest to the data's in total variation; {_KEPT}", _most_faithful,
    ),
    Claim(
        "fig. 5", "Flow BC draws a sharp ring, allocates less mass to the centre, edges spread slightly outward",
        "ring kept, its interquartile width ≤ 1.5 of the data's; centre ≤ .18; outside .01 to .1",
        _flow_clone,
    ),
    Claim(
        "fig. 6", "RADAC early spreads mass over both modes",
        "at epoch 100: centre and ring each ≥ .1; and together ≥ .5", _early,
    ),
    Claim(
        "fig. 6", "by 200 epochs RADAC starts vacating the ring",
        "ring lower by .03 than its largest before; and by a tenth of that, which was ≥ .1", _vacates,
    ),
    Claim(
        "fig. 6", "between epochs 400 and 800 RADAC's ring thins and its probability shifts inward",
        "ring falls by ≥ .03; centre grows by ≥ .03", _inward,
    ),
    Claim("fig. 6", "by roughly epoch 950 most of RADAC's mass is at the centre", "centre ≥ .5", _by_950),
    Claim(
        "fig. 6", "throughout training the BC term keeps RADAC's samples on-manifold",
        "OOD < .1 at the last moment; OOD < .1 at each", _on_manifold,
    ),
    Claim(
        "fig. 7", "each method's pattern is consistent across seeds",
        "for each of eight methods, a part each: one region leads in all seeds and no mass ranges over > .2",
        _consistent,
    ),
    Claim(
        "fig. 7", "Diffusion-QL and Flow-QL stay on the ring (high mean, higher risk)",
        "ring ≥ .5 and a lower CVaR than RADAC's: DiffusionQL; FlowQL", _stay_on_ring,
    ),
    Claim(
        "fig. 7", "RADAC reassigns almost all probability to the centre", "centre ≥ .5; centre ≥ .9", _radac_all,
    ),
    Claim(
        "fig. 7", "RAFMAC leaves a thinner ring than the data's", "ring ≥ .05; and ≤ .6, ¾ of the data's",
        _thinner,
    ),
)  # fmt: skip
