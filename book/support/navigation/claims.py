"""What is asked of the grid of methods on risky navigation, each with a rule written before the stored rows were run.

The paper has no such world. The sentences are its own about its methods, or what this book's other chapters make one
ask. A difference is told where its 95 % interval over the seeds leaves out zero (`support.navigation.stored`); a part
of a sentence is true where it is told in the sense that the rule names, false where it is told in the other or shown to
be too small, and else inconclusive. A part that speaks of rows which are not stored is left out.
"""

from collections.abc import Callable

from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import style
from support.navigation.stored import Measured
from support.verdicts import Claim, Found

Judge = Callable[[Measured], Found]
TASK, RARE, CODAC, TOLL = "navigation-obstacle-mixed", "rare", "codac", "toll"
NEUTRAL, AXIS = "radac:risk=neutral", "radac:quantile_axis=target"
PRIORS = {"oraac": "bc-cvae", "oraac-diffusion": "bc-diffusion", "oraac-flow": "bc-flow"}
DATA_THROUGH = 1 / 3  # of the episodes in the mixed data
MIDDLE = 0.1  # more of the way through the middle than the data have is a policy that mixes up its modes
LEAK = 0.05  # of the actions: less out of the support than this, beside the clone, is none
PRICE = 2.0  # times what the detour costs in the mean exactly


def below(one: Estimate, bound: float) -> int:
    """Return 1 where an interval lies below a bound, −1 where above, 0 where it contains it."""
    return int(one.high < bound) - int(one.low > bound)


def _row(row: str) -> str:
    return style(row).label


def _beside(found: Measured, column: str, *pairs: tuple[str, str], hazard: str = RARE, digits: int = 2) -> Found:
    """Return the signs of first − second of each pair in a column, and the differences in words.

    Raises:
        Missing: a row is not stored.
    """
    signs, words = [], []
    for row, other in pairs:
        one = found.minus(row, other, column, TASK, hazard)
        signs.append(one.sign)
        words.append(f"{_row(row)} − {_row(other)} {one.text(digits, signed=True)}")
    return signs, ", ".join(words)


def _buys(found: Measured) -> Found:
    return _beside(found, "cvar", ("radac", NEUTRAL), ("radac", "bc-diffusion"))


def _buys_flow(found: Measured) -> Found:
    return _beside(found, "cvar", ("rafmac", "bc-flow"), ("rafmac", "diffusion-ql"))


def _price(found: Measured) -> Found:
    cost = found.minus(NEUTRAL, "radac", "mean", TASK, RARE)
    best = found.best(TASK, RARE)
    exact = best["mean"] - best["cvar"]  # the detour's return is sure, so that its mean is its CVaR
    words = f"cost in the mean {cost.text(2, signed=True)}, exactly {exact:.2f}"
    return [cost.sign, below(cost, PRICE * exact)], words


def _near(found: Measured) -> Found:
    gap = found.estimate("radac", "cvar_gap", TASK, RARE)
    best = found.best(TASK, RARE)
    neutral = found.estimate(NEUTRAL, "mean_gap", TASK, RARE)
    exact = best["mean"] - best["cvar"]
    words = f"RADAC's distance to the best CVaR {gap.text(2)}, the neutral one's to the best mean {neutral.text(2)}"
    return [below(gap, PRICE * exact), below(neutral, PRICE * exact)], words


def _middle(found: Measured) -> Found:
    through = found.estimate("bc-gaussian", "through", TASK, RARE)
    straight = -below(through, DATA_THROUGH + MIDDLE)
    signs, words = _beside(found, "cvar", ("bc-diffusion", "bc-gaussian"), ("bc-flow", "bc-gaussian"))
    return [straight, *signs], f"BC-Gaussian through the middle {through.text(2)}, in CVaR {words}"


def _expressive(found: Measured) -> Found:
    return _beside(found, "cvar", ("radac", "codac"), ("rafmac", "codac"), ("diffusion-ql", "cql"))


def _leak(found: Measured) -> Found:
    return _beside(found, "off_support", *PRIORS.items())


def _leak_more(found: Measured) -> Found:
    return _beside(found, "off_support", *((row, "radac") for row in PRIORS))


def _stays(found: Measured) -> Found:
    pairs = (("radac", "bc-diffusion"), ("rafmac", "bc-flow"))
    more = [found.minus(*pair, "off_support", TASK, RARE) for pair in pairs]
    words = [f"{_row(a)} − {_row(b)} {one.text(2, signed=True)}" for (a, b), one in zip(pairs, more, strict=True)]
    return [below(one, LEAK) for one in more], ", ".join(words)


def _axis(found: Measured) -> Found:
    signs, words = _beside(found, "cvar", ("radac", AXIS))
    more, routes = _beside(found, "through", (AXIS, "radac"))
    return [*signs, *more], f"CVaR: {words}; through the middle: {routes}"


def _nested(found: Measured) -> Found:
    through = found.estimate("radac", "through", TASK, TOLL)
    tail = found.estimate("radac", "cvar", TASK, TOLL)
    plans = found.optimum[(found.optimum["map"] == "obstacle") & (found.optimum["preset"] == TOLL)]
    plans = plans[(plans["alpha"] == 0.1) & plans["criterion"].isin(("static", "nested"))].set_index("criterion")
    exact = ", ".join(f"{name} {plans['cvar_0.1'][name]:.2f}" for name in ("static", "nested"))
    return [below(through, 0.5)], f"RADAC through the middle {through.text(2)}, CVaR {tail.text(2)} (exactly: {exact})"


def _codac(found: Measured) -> Found:
    both = {row: found.estimate(row, "through", TASK, CODAC) for row in (NEUTRAL, "radac")}
    words = ", ".join(f"{_row(row)} {one.text(2)}" for row, one in both.items())
    return [below(one, DATA_THROUGH) for one in both.values()], f"through the middle: {words}"


CLAIMS = (
    Claim("eq. 10", "The CVaR term improves the tail.",
          "RADAC's CVaR is above that of RADAC neutral; and of its clone", _buys),
    Claim("eq. 10", "… with a flow, too.", "RAFMAC's CVaR is above that of its clone; of DiffusionQL", _buys_flow),
    Claim("sec. 5", "… at little cost in the mean.",
          f"the mean falls; by less than {PRICE:g} times what the detour costs exactly", _price),
    Claim("sec. 5", "RADAC comes near to the optimum of its criterion.",
          "the distance to the best CVaR is below twice the detour's cost; that of RADAC neutral to the best mean, too",
          _near),
    Claim("sec. 1", "One Gaussian mixes the modes of the data.",
          "more than .1 above the data's third of BC-Gaussian's episodes goes through the middle; the CVaR of "
          "BC-diffusion; of BC-flow is above its", _middle),
    Claim("sec. 1", "Expressive policies beat unimodal ones.",
          "in CVaR RADAC is above CODAC; RAFMAC above CODAC; DiffusionQL above CQL", _expressive),
    Claim("O1", "Anchored methods leave the data.",
          "ORAAC's; ORAAC-Diffusion's; ORAAC-Flow's share of actions out of the support is above their clone's", _leak),
    Claim("O1", "… and more than RADAC.", "the same compared with RADAC's", _leak_more),
    Claim("prop. 1", "An actor that clones stays in the data.",
          "RADAC's; RAFMAC's share of such actions is less than .05 above their clone's", _stays),
    Claim("released", "The released quantile axis loses the tail here, too.",
          "with it RADAC's CVaR is lower; and more episodes go through the middle", _axis),
    Claim("eq. 4, 10", "RADAC climbs the nested optimum, not the static one.",
          "under toll, where they differ, less than half of its episodes go through the middle", _nested),
    Claim("CODAC", "With CODAC's constants the detour says nothing about risk.",
          "under codac less than a third of RADAC neutral's; and of RADAC's episodes go through the middle", _codac),
)  # fmt: skip
