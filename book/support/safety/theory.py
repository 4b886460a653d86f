"""R2PAC's two propositions, counted out, and the sequences by which CAPS, FISOR and TREBI decide.

All of it is exact: `fractions.Fraction` throughout. Propositions are those of R2PAC (ICLR 2026 submission 17200).
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from support.safety.worlds import Number, Outcome, Policy, World, best, chunks, evaluate, least_cost, open_loop, option

ONE = Fraction(1)
GAMMA = Fraction(9, 10)
TRAP = "absorbed"

# -- Proposition 1: a penalty C makes every unsafe policy worse than every safe one -----------------------------------

# One state, one action that is free and one that pays and costs 1.
LOOPS: World = {
    "s": {"rest": [Outcome(ONE, "s")], "take": [Outcome(ONE, "s", ONE, ONE)]},
}
# Rest at −1 a step, or enter for good where each step pays 1 and costs 1.
ENTRANCE: World = {
    "out": {"rest": [Outcome(ONE, "out", -ONE)], "enter": [Outcome(ONE, "in", ONE, ONE)]},
    "in": {"stay": [Outcome(ONE, "in", ONE, ONE)]},
}
# The same, with a step that pays 1 and does not enter; `dull` enters too, and pays −1.
CORRIDOR: World = {
    "out": {
        "rest": [Outcome(ONE, "out", -ONE)],
        "play": [Outcome(ONE, "out", ONE)],
        "enter": [Outcome(ONE, "in", ONE, ONE)],
        "dull": [Outcome(ONE, "in", -ONE, ONE)],
    },
    "in": {"stay": [Outcome(ONE, "in", ONE, ONE)]},
}


def published_constant(lowest: Number, highest: Number, limit: Number, discount: Number = GAMMA) -> Number:
    """Return what C has to exceed by eq. 9 and 26: (r_max − r_min) / ((1−γ) ℓ)."""
    return (highest - lowest) / ((1 - discount) * limit)


def sharp_constant(lowest: Number, highest: Number, limit: Number, discount: Number = GAMMA) -> Number:
    """Return the least C from which on every unsafe policy is worse than every policy without cost: eq. 26 less r_max.

    In worlds whose costs, of at most 1, come in unsafe states alone, the step that enters one included. With
    m = E[γ^t], t the step that enters, an unsafe policy has at most ((1−m) r_max − m C)/(1−γ), and its cost, at most
    m/(1−γ), exceeds ℓ, so that m > (1−γ)ℓ. A policy without cost has at least r_min/(1−γ). `corridor` attains it.
    """
    return published_constant(lowest, highest, limit, discount) - highest


def penalised(world: World, limit: Number, penalty: Number, discount: Number = GAMMA) -> World:
    """Return the world of eq. 7: a step to a state with V_c* > ℓ pays −C and leads where each step pays −C."""
    unsafe = {state for state, cost in least_cost(world, discount).items() if cost > limit}

    def redirected(outcome: Outcome) -> Outcome:
        return Outcome(outcome.chance, TRAP, -penalty) if outcome.after in unsafe else outcome

    changed = {s: {a: [redirected(o) for o in found] for a, found in acts.items()} for s, acts in world.items()}
    return {**changed, TRAP: {"stay": [Outcome(ONE, TRAP, -penalty)]}}


class Compared(NamedTuple):
    """Two policies from one state: what they cost, and what they are worth once unsafe states are penalised."""

    safe_cost: Number
    unsafe_cost: Number
    safe_value: Number
    unsafe_value: Number

    @property
    def holds(self) -> bool:
        """Whether the safe policy is worth more, as Proposition 1 says."""
        return self.safe_value > self.unsafe_value


def compare(
    world: World, start: str, safe: Policy, unsafe: Policy, limit: Number, penalty: Number, discount: Number = GAMMA
) -> Compared:
    """Return both policies' costs in a world and their values in the penalised one."""
    changed = penalised(world, limit, penalty, discount)
    both = [{**policy, TRAP: {"stay": ONE}} for policy in (safe, unsafe)]
    costs = [evaluate(world, policy, discount, "cost")[start] for policy in (safe, unsafe)]
    values = [evaluate(changed, policy, discount)[start] for policy in both]
    return Compared(costs[0], costs[1], values[0], values[1])


def loops(penalty: Number, limit: Number = Fraction(1, 2)) -> Compared:
    """Return the counterexample: the only state has V_c* = 0, so that nothing is ever penalised, whatever C."""
    return compare(LOOPS, "s", {"s": {"rest": ONE}}, {"s": {"take": ONE}}, limit, penalty)


def entrance(penalty: Number, limit: Number = Fraction(1, 2)) -> Compared:
    """Return a world where the proposition holds from C = 1 on, and eq. 26 asks for 40."""
    inside = {"in": {"stay": ONE}}
    return compare(ENTRANCE, "out", {"out": {"rest": ONE}, **inside}, {"out": {"enter": ONE}, **inside}, limit, penalty)


def chance_of(mass: Number, discount: Number = GAMMA) -> Number:
    """Return the chance p of entering at each step for which E[γ^t] is `mass`: p / (1 − γ(1−p)) = m."""
    return mass * (1 - discount) / (1 - mass * discount)


def corridor(penalty: Number, limit: Number = Fraction(1, 2)) -> Compared:
    """Return the world in which `sharp_constant` is attained: play, and enter just often enough to cost ℓ."""
    p = chance_of((1 - GAMMA) * limit)
    inside = {"in": {"stay": ONE}}
    unsafe: Policy = {"out": {"play": 1 - p, "enter": p}, **inside}
    return compare(CORRIDOR, "out", {"out": {"rest": ONE}, **inside}, unsafe, limit, penalty)


def costly_safe(penalty: Number, margin: Number, limit: Number = Fraction(1, 2)) -> Compared:
    """Return a safe policy that costs ℓ and pays little, and one that costs ℓ + `margin` and pays much.

    Proposition 1 is about any safe policy, its proof about one without cost: both enter, at about the same time, so
    that no C makes the second worse if the margin is small.
    """
    p, q = (chance_of((1 - GAMMA) * cost) for cost in (limit, limit + margin))
    inside = {"in": {"stay": ONE}}
    safe: Policy = {"out": {"rest": 1 - p, "dull": p}, **inside}
    unsafe: Policy = {"out": {"play": 1 - q, "enter": q}, **inside}
    return compare(CORRIDOR, "out", safe, unsafe, limit, penalty)


# -- Proposition 2: h-step values are those of a world whose actions are chunks ---------------------------------------

# From the middle to the left or to the right by chance; there the action of that name pays 1, and back.
SIDES: World = {
    "middle": {a: [Outcome(ONE / 2, "left"), Outcome(ONE / 2, "right")] for a in ("left", "right")},
    **{s: {a: [Outcome(ONE, "middle", Fraction(a == s))] for a in ("left", "right")} for s in ("left", "right")},
}


class ChunkValues(NamedTuple):
    """Values of the middle: of the best policy, of chunks when they are played, and what the data say of these."""

    closed_loop: Number
    open_loop: Number
    from_data: Number


def chunk_values(match: Number, length: int = 2, discount: Number = GAMMA) -> ChunkValues:
    """Return them for data in which the action matches the side in a share `match` of cases.

    A chunk's values in the limit τ → 1 are the largest over chunks that the data show of the mean over those data
    (eq. 14). Given (·, left) the middle step of the data was more often on the left, as the action was chosen there.
    """
    sides = {s: {s: match, o: 1 - match} for s, o in (("left", "right"), ("right", "left"))}
    behaviour: Policy = {"middle": {"left": ONE / 2, "right": ONE / 2}, **sides}
    single = {s: [option(found, discount) for found in acts.values()] for s, acts in SIDES.items()}
    values = (single, open_loop(SIDES, length, discount), chunks(SIDES, behaviour, length, discount))
    return ChunkValues(*(best(options)["middle"] for options in values))


# -- what CAPS, FISOR and TREBI decide by -----------------------------------------------------------------------------


def caps_head(rewards: Sequence[Number], costs: Sequence[Number], limit: Number) -> int:
    """Return the head that CAPS plays: the largest Q_r of those with Q_c < ℓ, or the least Q_c where none is."""
    allowed = [k for k, cost in enumerate(costs) if cost < limit]
    return max(allowed, key=lambda k: rewards[k]) if allowed else min(range(len(costs)), key=lambda k: costs[k])


def caps_limits(kappa: Number, horizon: int, costs: Sequence[Number], discount: Number) -> list[Number]:
    """Return ℓ_t = κ_t (1−γ^n)/((1−γ) n), n = T − t steps to go, κ_t = κ less the costs before step t."""
    found, left = [], Fraction(kappa)
    for t, cost in enumerate([*costs, Fraction(0)][:horizon]):
        n = horizon - t
        found.append(left * (1 - discount**n) / ((1 - discount) * n))
        left -= cost
    return found


def fisor_values(steps: int, violation: Number, discount: Number, safe: Number = Fraction(-1)) -> list[Number]:
    """Return V_h of states from which a violation is unavoidable in 0, 1, …, `steps` steps.

    V_h = (1−γ) h + γ max(h, V_h(s')), h being `violation` where there is one and `safe` elsewhere.
    """
    found = [Fraction(violation)]
    for _ in range(steps):
        found.append((1 - discount) * safe + discount * max(safe, found[-1]))
    return found


def fisor_horizon(violation: Number, discount: Number) -> int:
    """Return the most steps ahead at which an unavoidable violation makes a state infeasible, V_h > 0."""
    step, value = 0, Fraction(violation)
    while (value := discount * (value + 1) - 1) > 0:
        step += 1
    return step


def trebi_budgets(budget: Number, costs: Sequence[Number], discount: Number) -> list[Number]:
    """Return b_t = (b − Σ_{k<t} γ^k c_k) / γ^t before each step and after the last."""
    found = [Fraction(budget)]
    for cost in costs:
        found.append((found[-1] - cost) / discount)
    return found
