"""Finite MDPs in exact rational arithmetic: the law of the return under a policy, and what two criteria choose.

The agent of eq. 10 raises, in each state, CVaR_α of the *discounted* return from there; what is reported is CVaR_α,
over episodes, of the *undiscounted* return from the start. Here both are computed without an approximation.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import product

from ramac_lib.system.errors import RamacError

State = str
Action = str
Outcome = tuple[Fraction, Fraction, State | None]  # probability, reward, next state (None: the episode ends)
Policy = dict[State, Action]
Law = dict[Fraction, Fraction]  # return → probability


class TabularMDP:
    """An MDP whose states can be ordered so that every step leads to a later one; episodes therefore end.

    Args:
        outcomes: state → action → its outcomes (probability, reward, next state or None). The states stand in such
            an order; the first one is the start.

    Raises:
        RamacError: no states, a state without actions, probabilities that are negative or do not sum to 1, or a next
            state that does not come later.
    """

    def __init__(self, outcomes: Mapping[State, Mapping[Action, Sequence[Outcome]]]) -> None:
        self.outcomes = outcomes
        if not outcomes:
            raise RamacError("the MDP has 0 states; expected at least one")
        states = list(outcomes)
        for at, (state, actions) in enumerate(outcomes.items()):
            if not actions:
                raise RamacError(f"state {state!r} has 0 actions; expected at least one")
            for action, following in actions.items():
                where = f"action {action!r} in state {state!r}"
                if any(p < 0 for p, _, _ in following):
                    raise RamacError(f"{where} has probability {min(p for p, _, _ in following)}; expected none < 0")
                if (total := sum(p for p, _, _ in following)) != 1:
                    raise RamacError(f"probabilities of {where} sum to {total}; expected 1")
                for _, _, after in following:
                    if after is not None and after not in states[at + 1 :]:
                        raise RamacError(f"{where} leads to {after!r}; expected a later state, or None for the end")

    @property
    def start(self) -> State:
        """The first state."""
        return next(iter(self.outcomes))

    def policies(self) -> list[Policy]:
        """Return every deterministic policy that looks at the state alone."""
        names = [list(actions) for actions in self.outcomes.values()]
        return [dict(zip(self.outcomes, choice, strict=True)) for choice in product(*names)]

    def law(self, policy: Policy, state: State, action: Action, discount: Fraction = Fraction(1)) -> Law:
        """Return the exact law of Z(state, action) (eq. 3): take the action, then follow the policy."""
        result: Law = {}
        for probability, reward, after in self.outcomes[state][action]:
            later = {Fraction(0): Fraction(1)} if after is None else self.law(policy, after, policy[after], discount)
            for value, mass in later.items():
                total = reward + discount * value
                result[total] = result.get(total, Fraction(0)) + probability * mass
        return result

    def greedy(self, alpha: Fraction, discount: Fraction = Fraction(1)) -> Policy:
        """Return the policy that in each state maximises CVaR_α of Z(s, a) while later states do the same.

        It is what an actor of eq. 10 with no error and no cloning term settles on: the last states choose first. Of
        equals the first action is taken.
        """
        policy: Policy = {}
        for state in reversed(list(self.outcomes)):
            values = {a: cvar_of(self.law(policy, state, a, discount), alpha) for a in self.outcomes[state]}
            policy[state] = max(values, key=lambda a: values[a])
        return policy

    def episode_cvar(self, policy: Policy, alpha: Fraction, discount: Fraction = Fraction(1)) -> Fraction:
        """Return CVaR_α of the return from the start, as over episodes."""
        return cvar_of(self.law(policy, self.start, policy[self.start], discount), alpha)

    def best(self, alpha: Fraction, discount: Fraction = Fraction(1)) -> Policy:
        """Return the best of `policies` by `episode_cvar`; of equals the first."""
        return max(self.policies(), key=lambda policy: self.episode_cvar(policy, alpha, discount))


def cvar_of(law: Law, alpha: Fraction) -> Fraction:
    """Return CVaR_α of a discrete law exactly (eq. 4).

    Raises:
        RamacError: α outside (0, 1], no values, a negative probability, or a sum other than 1.
    """
    if not 0 < alpha <= 1:
        raise RamacError(f"alpha is {alpha}; expected a number in (0, 1]")
    if any(p < 0 for p in law.values()):
        raise RamacError(f"probabilities hold {min(law.values())}; expected numbers of at least 0")
    if sum(law.values()) != 1:
        raise RamacError(f"probabilities sum to {sum(law.values())}; expected 1")
    left, total = Fraction(alpha), Fraction(0)
    for value in sorted(law):
        taken = min(left, law[value])
        total, left = total + taken * value, left - taken
    return total / alpha


def wait_or_gamble(delay: int = 20) -> TabularMDP:
    """Return an MDP of one decision, where the agent's criterion and the reported one disagree.

    In one of twenty episodes a hole costs 10 before anything can be done. In the others the agent may *gamble*, 3
    with probability .95 and else nothing, or *wait* `delay` steps for a sure 17/10.

    Raises:
        RamacError: delay < 1.
    """
    if delay < 1:
        raise RamacError(f"delay is {delay}; expected at least 1")
    one, nothing = Fraction(1), Fraction(0)
    hole = Fraction(1, 20)
    waiting = [f"waiting {k}" for k in range(1, delay + 1)]
    outcomes: dict[State, dict[Action, Sequence[Outcome]]] = {
        "start": {"go": [(hole, Fraction(-10), None), (1 - hole, nothing, "choice")]},
        "choice": {
            "gamble": [(Fraction(19, 20), Fraction(3), None), (Fraction(1, 20), nothing, None)],
            "wait": [(one, nothing, waiting[0])],
        },
    }
    for state, after in zip(waiting, [*waiting[1:], None], strict=True):
        outcomes[state] = {"go": [(one, Fraction(17, 10) if after is None else nothing, after)]}
    return TabularMDP(outcomes)
