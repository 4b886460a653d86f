"""Rules for the paper's sentences about its tasks, as functions of a case; `support.evidence.claims` words them.

A judge returns the sign of each part of a sentence: 1 where it is true, −1 where it is false, 0 where that cannot be
told. Words become numbers once, here: *above* and *below* are 95 % intervals of differences that leave out zero
(`ramac_lib.analysis.intervals`). Violations are counted as the share of steps in violation: counted by episode, a
policy that falls at once would have few.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

from ramac_lib.analysis.evidence import Missing, published
from ramac_lib.analysis.intervals import Estimate, interval
from ramac_lib.analysis.rows import CONTROLS
from ramac_lib.analysis.style import style
from ramac_lib.system.minus import number
from support.evidence.aggregates import front
from support.evidence.case import Case
from support.evidence.own_tables import POOR
from support.evidence.tables import by_seed
from support.verdicts import Found

MARGIN = 0.1  # of the best number: what is less than that below it is competitive with it
INSIDE = 0.1  # a policy with fewer of its steps in violation concentrates on the safe range
WIDER = 1.5  # times the scatter of each other
WHOLE = 0.5  # of its episodes: a policy that ends more of them early handles nothing
ALIKE = 0.5  # rank correlation above which two rankings largely match
EXPRESSIVE = ("radac", "rafmac")
FLOWS = ("flow-ql", "rafmac")
NEUTRAL, CLONE = CONTROLS[0], "bc-diffusion"

Judge = Callable[[Case], Found]


# -- one number of one method -----------------------------------------------------------------------------------------


def leads(method: str, statistic: str, rivals_not: tuple[str, ...] = ()) -> Judge:
    """Judge whether a method's number is above that of each of the others (without `rivals_not`)."""

    def judge(case: Case) -> Found:
        others = case.others(method, *rivals_not)
        sign = case.lead(method, others, statistic)
        return [sign], case.beside(method, case.top(others, statistic), statistic)

    return judge


def competitive(statistic: str, *methods: str) -> Judge:
    """Judge whether each method's number is no more than `MARGIN` below the best of the others'."""

    def judge(case: Case) -> Found:
        others = case.others(*methods)
        rival = case.top(others, statistic)
        margin = MARGIN * abs(case.sample(rival).values[statistic])
        gaps = [case.minus(method, rival, statistic) for method in methods]
        parts = [_beyond(gap, -margin) for gap in gaps]
        return parts, "; ".join(case.beside(method, rival, statistic) for method in methods)

    return judge


def beside_median(*parts: tuple[str, str, int]) -> Judge:
    """Judge on which side of the median a method's numbers lie; a part is (method, statistic, 1 above or −1 below)."""

    def judge(case: Case) -> Found:
        signs = [side * case.to_median(method, statistic).sign for method, statistic, side in parts]
        told = [f"{WORDS[statistic]} {case.beside_median(method, statistic)}" for method, statistic, _ in parts]
        return signs, "; ".join(told)

    return judge


def against(method: str, rival: str, *parts: tuple[str, int]) -> Judge:
    """Judge on which side of a rival's a method's numbers lie; a part is (statistic, 1 above or −1 below)."""

    def judge(case: Case) -> Found:
        signs = [side * case.minus(method, rival, statistic).sign for statistic, side in parts]
        return signs, "; ".join(f"{WORDS[statistic]} {case.beside(method, rival, statistic)}" for statistic, _ in parts)

    return judge


WORDS = {"mean": "mean:", "cvar": "CVaR:", "rate": "steps in violation:"}


def _beyond(estimate: Estimate, bound: float) -> int:
    """Return 1 where the interval lies above a bound, −1 below, 0 where it contains it."""
    return int(estimate.low > bound) - int(estimate.high < bound)


# -- section 5.1, table 1, the conclusion -----------------------------------------------------------------------------


def improves(case: Case) -> Found:
    """Judge the better of RADAC's and RAFMAC's CVaR beside each baseline's."""
    rest = case.others(*EXPRESSIVE)
    own = case.top([case.row(method) for method in EXPRESSIVE], "cvar")
    return [case.lead(own, rest, "cvar")], case.beside(own, case.top(rest, "cvar"), "cvar")


def handles(case: Case) -> Found:
    """Judge whether ORAAC reliably handles a threshold: its episodes are whole, its tail and its violations good."""
    whole = case.completed("oraac")
    parts, found = beside_median(("oraac", "cvar", 1), ("oraac", "rate", -1))(case)
    length = case.sample("oraac").length
    sign = _beyond(whole, WHOLE)
    found = f"{whole.text(2)} of episodes reach the horizon, mean length {length:.0f}; {found}"
    return ([-1] if sign < 0 else [sign, *parts]), found


def leaves_return(case: Case) -> Found:
    """Judge ORAAC's mean beside the best of the others'."""
    rival = case.top(case.others("oraac"), "mean")
    return [-case.minus("oraac", rival, "mean").sign], case.beside("oraac", rival, "mean")


def beyond_data(case: Case) -> Found:
    """Judge RADAC beside every behaviour policy."""
    own, played = case.sample("radac"), case.behaviours()
    signs = [own.minus(sample, "cvar").sign for sample in played]
    best = max(sample.values["cvar"] for sample in played)
    sign = -1 if min(signs) < 0 else int(min(signs) > 0)
    return [sign], f"{case.number('radac', 'cvar')}, best of {len(played)} behaviour policies {best:.0f}"


def untrained(method: str) -> Judge:
    """Judge the published number of a method that looks untrained: does one that works earn as little?"""

    def judge(case: Case) -> Found:
        if case.hazard != "paper":
            raise Missing("needs the paper's hazard, under which the published number stands")
        theirs = published(case.task)["mean"]
        name = style(method).label
        if name not in theirs.index or theirs[name] >= POOR * theirs.max():
            raise Missing(f"{name} does not look untrained on this task in the paper's table")
        own, bound = case.sample(method).estimate("mean"), POOR * _best_played(case)
        return [-_beyond(own, bound)], f"{case.number(method, 'mean')}; the paper's {theirs[name]:.0f}"

    return judge


def _best_played(case: Case) -> float:
    best = case.behaviours()[0].values["mean"]
    if best <= 0:
        raise Missing("needs a behaviour policy with a positive mean return")
    return best


# -- section 5.2 ------------------------------------------------------------------------------------------------------


def inside(case: Case) -> Found:
    """Judge the share of RADAC's steps in violation, beside BC-diffusion's and by itself."""
    parts = [-case.minus("radac", CLONE, "rate").sign, -_beyond(case.sample("radac").estimate("rate"), INSIDE)]
    return parts, f"{case.number('radac', 'rate')} of steps, {case.number(CLONE, 'rate')}"


# -- appendix D.2: at 1,000 gradient steps ----------------------------------------------------------------------------


def at_start(judge: Judge) -> Judge:
    """Judge at 1,000 gradient steps what a rule judges at the report; the run may then be as short as that."""
    return lambda case: judge(case.at(True))


def flows_first(statistic: str) -> Judge:
    """Judge the better of the two methods with a flow beside the others."""

    def judge(case: Case) -> Found:
        rest = case.others(*FLOWS)
        first = case.top([case.row(method) for method in FLOWS], statistic)
        return [case.lead(first, rest, statistic)], case.beside(first, case.top(rest, statistic), statistic)

    return judge


def anchor_first(case: Case) -> Found:
    """Judge ORAAC's CVaR and mean beside RADAC's and RAFMAC's."""
    rivals = [case.row(method) for method in EXPRESSIVE]
    parts = [case.lead("oraac", rivals, statistic) for statistic in ("cvar", "mean")]
    rival = case.top(rivals, "cvar")
    return parts, f"CVaR: {case.beside('oraac', rival, 'cvar')}; mean: {case.beside('oraac', rival, 'mean')}"


def tails_already(case: Case) -> Found:
    """Judge RADAC's and RAFMAC's CVaR beside the baselines'."""
    rest = case.others(*EXPRESSIVE)
    parts = [case.lead(method, rest, "cvar") for method in EXPRESSIVE]
    rival = case.top(rest, "cvar")
    return parts, "; ".join(case.beside(method, rival, "cvar") for method in EXPRESSIVE)


def rankings_match(case: Case) -> Found:
    """Judge the rank correlation of the methods' numbers after 1,000 gradient steps and at the end."""
    parts, told = [], []
    for statistic in ("mean", "cvar"):
        early, late = ([case.at(start).sample(row) for row in case.rows()] for start in (True, False))
        value = rank_correlation(*(np.array([[s.values[statistic] for s in end]]) for end in (early, late)))[0]
        draws = rank_correlation(*(np.stack([s.draws[statistic] for s in end], axis=1) for end in (early, late)))
        found = interval(float(value), draws)
        parts.append(_beyond(found, ALIKE))
        told.append(f"{WORDS[statistic]} rank correlation {found.text(2)}")
    return parts, "; ".join(told)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of each row of x with that of y; 0 where all of one are equal."""
    a, b = (rankdata(values, axis=1) for values in (x, y))
    a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (a, b))
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, out=np.zeros(len(a)), where=scale > 0)


# -- appendix D.2: return and violations ------------------------------------------------------------------------------


def fewer_violations(case: Case) -> Found:
    """Judge RADAC's violations beside those of methods of comparable return."""
    comparable = [row for row in case.others("radac") if case.minus("radac", row, "mean").sign == 0]
    if not comparable:
        raise Missing("no other method's mean is tied with RADAC's, so there is no comparable return")
    signs = [-case.minus("radac", row, "rate").sign for row in comparable]
    found = "; ".join(
        f"{case.minus('radac', row, 'rate').text(2, signed=True)} of steps to {style(row).label}" for row in comparable
    )
    return [-1 if min(signs) < 0 else int(min(signs) > 0)], found


def on_front(case: Case) -> Found:
    """Judge ORAAC's place among return and violations."""
    rows = case.rows()
    samples = [case.sample(row) for row in rows]
    kept = front(*(np.array([s.values[name] for s in samples]) for name in ("rate", "mean")))
    on = 1 if kept[rows.index(case.row("oraac"))] else -1
    parts, found = beside_median(("oraac", "rate", -1), ("oraac", "mean", 1))(case)
    names = ", ".join(style(row).label for row, is_on in zip(rows, kept, strict=True) if is_on)
    return ([-1] if on < 0 else [on, *parts]), f"on the front: {names}; {found}"


def more_violations(case: Case) -> Found:
    """Judge FlowQL's mean beside the median, and its violations beside RADAC's."""
    parts = [case.to_median("flow-ql", "mean").sign, case.minus("flow-ql", "radac", "rate").sign]
    found = f"{case.beside_median('flow-ql', 'mean')}; steps in violation: {case.beside('flow-ql', 'radac', 'rate')}"
    return parts, found


def scatter(case: Case) -> Found:
    """Judge the spread of the seeds' evaluations over the later half of training, in return."""
    rows, own = case.rows(), case.row("diffusion-ql")
    for row in rows:
        case.sample(row)  # long enough?
    curve = case.evidence.curve(case.task, case.hazard)
    late = curve[2 * curve["step"] > curve.groupby("row")["step"].transform("max")]
    spread = late.groupby(["row", "seed", "step"])["return"].mean().groupby("row").std()
    if not set(rows) <= set(spread.dropna().index):
        raise Missing("needs evaluations while training of every method")
    widest = max((row for row in rows if row != own), key=lambda row: spread[row])
    found = f"s.d. of DiffusionQL {number(spread[own], thousands=True)}, of {style(widest).label} "
    found += number(spread[widest], thousands=True)
    return [-1 if spread[own] < spread[widest] else int(spread[own] > WIDER * spread[widest])], found


def collapses(case: Case) -> Found:
    """Judge seeds: a collapsed one earns less than a tenth of the best behaviour policy."""
    case.sample("diffusion-ql")  # long enough?
    report, own = case.evidence.report(case.task, case.hazard), case.row("diffusion-ql")
    means = by_seed(report[report["row"] == own])["mean"]
    low = means < POOR * _best_played(case)
    each = ", ".join(number(mean, thousands=True) for mean in means)
    return [1 if low.any() and not low.all() else -1], f"seeds' means {each}"
