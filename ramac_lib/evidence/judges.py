"""Rules for the paper's sentences about its tasks, as functions of a case; `ramac_lib.evidence.claims` words them.

Words become numbers once, here: *above* and *below* are 95 % intervals of differences that leave out zero, *tied* are
the rest (`ramac_lib.evidence.samples`); "the others" are the other methods of the paper's table 1.
"""

import pandas as pd

from ramac_lib.evidence.keys import CONTROLS, method_of
from ramac_lib.evidence.pareto import front
from ramac_lib.evidence.store import Missing, published
from ramac_lib.evidence.tables import POOR, by_seed
from ramac_lib.evidence.verdicts import HOLDS, NOT, PARTLY, Case, Judge, graded
from ramac_lib.plots import style

COMPETITIVE = 0.9  # of the best mean
EXPRESSIVE = ("radac", "rafmac")
FLOWS = ("flow-ql", "rafmac")
NEUTRAL, CLONE = CONTROLS[0], "bc-diffusion"
CHEETAH = ("halfcheetah-medium-expert", "halfcheetah-medium-replay")
WALKER = ("walker2d-medium-expert", "walker2d-medium-replay")
HOPPER = ("hopper-medium-expert", "hopper-medium-replay")

Found = tuple[str, str]


# -- section 5.1 ------------------------------------------------------------------------------------------------------


def best_tail(method: str, rivals_not: tuple[str, ...] = ()) -> Judge:
    """Judge whether a method's CVaR leads those of the others (without `rivals_not`)."""

    def judge(case: Case) -> Found:
        others = case.others(method, *rivals_not)
        signs = case.against(method, others, "cvar")
        rival = case.top(others, "cvar")
        return graded(all(s > 0 for s in signs), min(signs) >= 0), case.beside(method, rival, "cvar")

    return judge


def competitive(case: Case) -> Found:
    """Judge RADAC's mean beside the best of the others'."""
    others = case.others("radac")
    rival = case.top(others, "mean")
    gap = case.minus("radac", rival, "mean")
    near = case.sample("radac").values["mean"] >= COMPETITIVE * case.sample(rival).values["mean"]
    return graded(gap.sign >= 0 and near, gap.sign >= 0 or near), case.beside("radac", rival, "mean")


def guidance(case: Case) -> Found:
    """Judge RADAC beside its twin with the neutral measure."""
    tail, counts = (case.minus("radac", NEUTRAL, name) for name in ("cvar", "violations"))
    found = f"CVaR: {case.beside('radac', NEUTRAL, 'cvar')}; violations {counts.text(1, signed=True)}"
    return graded(tail.sign > 0, tail.sign == 0 and counts.sign < 0), found


def beyond_cloning(case: Case) -> Found:
    """Judge RADAC beside the same policy without a critic."""
    tail, mean = (case.minus("radac", CLONE, name).sign for name in ("cvar", "mean"))
    found = f"CVaR: {case.beside('radac', CLONE, 'cvar')}; mean: {case.beside('radac', CLONE, 'mean')}"
    return graded(tail > 0 and mean >= 0, tail > 0 or (tail == 0 and mean > 0)), found


def beyond_data(case: Case) -> Found:
    """Judge RADAC beside the behaviour policies."""
    own, played = case.sample("radac"), case.behaviours()
    signs = [own.minus(sample, "cvar").sign for sample in played]
    best = max(sample.values["cvar"] for sample in played)
    return graded(min(signs) > 0, max(signs) > 0), f"{case.number('radac', 'cvar')}, best behaviour policy {best:.0f}"


def handles(case: Case) -> Found:
    """Judge ORAAC's CVaR beside those of the others."""
    others = case.others("oraac")
    signs = case.against("oraac", others, "cvar")
    rival = case.top(others, "cvar")
    above = sum(s > 0 for s in signs) >= len(others) / 2
    safe = min(signs) >= 0
    return graded(safe and above, safe or above), case.beside("oraac", rival, "cvar")


def leaves_return(case: Case) -> Found:
    """Judge ORAAC's mean beside the best behaviour policy's."""
    own, best = case.sample("oraac"), case.behaviours()[0]
    gap = own.minus(best, "mean")
    return graded(gap.sign < 0, gap.value < 0), (
        f"{case.number('oraac', 'mean')}, {gap.text(signed=True)} to the best behaviour policy"
    )


def highest_mean(method: str) -> Judge:
    """Judge whether a method's mean leads those of the others."""

    def judge(case: Case) -> Found:
        others = case.others(method)
        signs = case.against(method, others, "mean")
        return graded(all(s > 0 for s in signs), min(signs) >= 0), case.beside(method, case.top(others, "mean"), "mean")

    return judge


def untrained(method: str) -> Judge:
    """Judge the published number of a method that looks untrained: does one that works earn as little?"""

    def judge(case: Case) -> Found:
        if case.hazard != "paper":
            raise Missing("needs the paper's hazard, under which the published number stands")
        theirs = published(case.task)["mean"]
        name = style(method).label
        if name not in theirs.index or theirs[name] >= POOR * theirs.max():
            raise Missing(f"{name} does not look untrained on this task in the paper's table")
        bound = POOR * case.behaviours()[0].values["mean"]
        own = case.sample(method).estimate("mean")
        found = f"{case.number(method, 'mean')}; the paper's {theirs[name]:.0f}"
        return graded(own.high < bound, own.low < bound), found

    return judge


# -- section 5.2 ------------------------------------------------------------------------------------------------------


def inside(case: Case) -> Found:
    """Judge the share of RADAC's steps in violation beside BC-diffusion's."""
    gap = case.minus("radac", CLONE, "rate")
    found = f"{case.number('radac', 'rate')} of steps, {case.number(CLONE, 'rate')}"
    return graded(gap.sign < 0, gap.value < 0), found


# -- appendix D.2: at 1,000 gradient steps ----------------------------------------------------------------------------


def flows_first(case: Case) -> Found:
    """Judge the means of the methods with a flow beside the others'."""
    rows = case.rows()
    flows = [row for row in rows if method_of(row) in FLOWS]
    if len(flows) < len(FLOWS):
        raise Missing(f"needs {' and '.join(style(m).label for m in FLOWS)}")
    rest = case.others(*FLOWS)
    first = case.top(flows, "mean")
    signs = case.against(first, rest, "mean")
    return graded(min(signs) > 0, min(signs) >= 0), case.beside(first, case.top(rest, "mean"), "mean")


def anchor_first(case: Case) -> Found:
    """Judge ORAAC beside RADAC and RAFMAC."""
    signs = [case.minus("oraac", rival, name).sign for rival in EXPRESSIVE for name in ("cvar", "mean")]
    rival = case.top([case.row(m) for m in EXPRESSIVE], "cvar")
    return graded(min(signs) > 0, max(signs) > 0 and min(signs) >= 0), (
        f"CVaR: {case.beside('oraac', rival, 'cvar')}; mean: {case.beside('oraac', rival, 'mean')}"
    )


def tails_already(case: Case) -> Found:
    """Judge RADAC's and RAFMAC's CVaR beside the baselines'."""
    rest = case.others(*EXPRESSIVE)
    signs = {m: min(case.against(m, rest, "cvar")) for m in EXPRESSIVE}
    found = "; ".join(case.beside(m, case.top(rest, "cvar"), "cvar") for m in EXPRESSIVE)
    return graded(min(signs.values()) > 0, max(signs.values()) > 0), found


# -- appendix D.2: return and violations ------------------------------------------------------------------------------


def fewer_violations(case: Case) -> Found:
    """Judge RADAC's violations beside those of methods of comparable return."""
    comparable = [row for row in case.others("radac") if case.minus("radac", row, "mean").sign == 0]
    if not comparable:
        raise Missing("no other method's mean is tied with RADAC's, so there is no comparable return")
    signs = case.against("radac", comparable, "violations")
    found = "; ".join(
        f"{case.minus('radac', row, 'violations').text(1, signed=True)} violations to {style(row).label}"
        for row in comparable
    )
    return graded(max(signs) < 0, min(signs) < 0), found


def on_front(case: Case) -> Found:
    """Judge ORAAC's place among return and violations."""
    rows = case.rows()
    samples = [case.sample(row) for row in rows]
    kept = front(*(pd.Series([s.values[name] for s in samples]).to_numpy() for name in ("violations", "mean")))
    on = bool(kept[rows.index(case.row("oraac"))])
    own = case.sample("oraac").values
    strong = own["mean"] >= case.median("mean") and own["violations"] <= case.median("violations")
    names = ", ".join(style(row).label for row, is_on in zip(rows, kept, strict=True) if is_on)
    found = f"on the front: {names}; {case.number('oraac', 'mean')}, violations {own['violations']:.1f}"
    return graded(on and strong, on), found


def conservative(case: Case) -> Found:
    """Judge ORAAC's mean and violations beside the medians."""
    own = case.sample("oraac").values
    few, less = own["violations"] < case.median("violations"), own["mean"] < case.median("mean")
    return graded(few and less, few), f"{case.number('oraac', 'mean')}, violations {own['violations']:.1f}"


def more_violations(case: Case) -> Found:
    """Judge FlowQL's violations and mean."""
    counts = case.minus("flow-ql", "radac", "violations").sign
    high = case.sample("flow-ql").values["mean"] >= case.median("mean")
    found = f"violations: {case.beside('flow-ql', 'radac', 'violations')}; {case.number('flow-ql', 'mean')}"
    return graded(counts > 0 and high, counts > 0 or (high and counts == 0)), found


def scatter(case: Case) -> Found:
    """Judge the spread of a seed's evaluations over the later half of training, in return."""
    curve = case.evidence.curve(case.task, case.hazard)
    late = curve[2 * curve["step"] > curve.groupby("row")["step"].transform("max")]
    spread = late.groupby(["row", "seed", "step"])["return"].mean().groupby("row").std()
    own, rest = case.row("diffusion-ql"), case.others("diffusion-ql")
    if not {own, case.row("radac"), *rest} <= set(spread.dropna().index):
        raise Missing("needs evaluations while training of every method")
    widest = rest[int(spread[rest].to_numpy().argmax())]
    found = f"s.d. of DiffusionQL {spread[own]:.0f}, of {style(widest).label} {spread[widest]:.0f}"
    return graded(spread[own] > spread[rest].max(), spread[own] > spread[case.row("radac")]), found


def collapses(case: Case) -> Found:
    """Judge seeds: a collapsed one earns less than a tenth of the best behaviour policy."""
    own = case.row("diffusion-ql")
    report = case.evidence.report(case.task, case.hazard)
    means = by_seed(report[report["row"] == own])["mean"]
    low = means < POOR * case.behaviours()[0].values["mean"]
    return graded(bool(low.all()), bool(low.any())), f"seeds' means {', '.join(f'{m:.0f}' for m in means)}"


def weaker(method: str, rival: str, statistic: str) -> Judge:
    """Judge whether a method's number is below a rival's; tied counts in part."""

    def judge(case: Case) -> Found:
        sign = case.minus(method, rival, statistic).sign
        verdict = {-1: HOLDS, 0: PARTLY, 1: NOT}[sign]
        return verdict, case.beside(method, rival, statistic)

    return judge


def corner(case: Case) -> Found:
    """Judge CODAC's mean and violations beside the medians."""
    own = case.sample("codac").values
    low, few = own["mean"] < case.median("mean"), own["violations"] < case.median("violations")
    return graded(low and few, low or few), f"{case.number('codac', 'mean')}, violations {own['violations']:.1f}"
