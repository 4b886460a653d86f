"""Small Markov decision processes in exact arithmetic: values of policies, of chunks of actions, best ones."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

Number = Fraction
State = str
Action = str
Policy = Mapping[State, Mapping[Action, Number]]


class Outcome(NamedTuple):
    """What may follow an action: with what probability, where to, what it pays and costs."""

    chance: Number
    after: State
    reward: Number = Fraction(0)
    cost: Number = Fraction(0)


World = Mapping[State, Mapping[Action, Sequence[Outcome]]]


class Option(NamedTuple):
    """What an action or a chunk is worth: its expected signal, and by which factor it goes on where."""

    gain: Number
    onward: Mapping[State, Number]  # probability times discount


def solve(matrix: Sequence[Sequence[Number]], right: Sequence[Number]) -> list[Number]:
    """Return x of A x = b, by elimination.

    Raises:
        ValueError: A has no inverse.
    """
    rows, n = [[*map(Fraction, row), Fraction(b)] for row, b in zip(matrix, right, strict=True)], len(right)
    for column in range(n):
        pivot = next((i for i in range(column, n) if rows[i][column]), None)
        if pivot is None:
            raise ValueError(f"column {column} of the matrix has no pivot; expected a matrix with an inverse")
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [x / rows[column][column] for x in rows[column]]
        for i in range(n):
            if i != column and rows[i][column]:
                rows[i] = [x - rows[i][column] * y for x, y in zip(rows[i], rows[column], strict=True)]
    return [row[-1] for row in rows]


def value_of(chosen: Mapping[State, Option]) -> dict[State, Number]:
    """Return the value of each state where each has one option."""
    states = list(chosen)
    matrix = [[Fraction(s == t) - chosen[s].onward.get(t, 0) for t in states] for s in states]
    return dict(zip(states, solve(matrix, [chosen[s].gain for s in states]), strict=True))


def best(options: Mapping[State, Sequence[Option]]) -> dict[State, Number]:
    """Return the largest value of each state, by policy iteration."""
    chosen = {state: found[0] for state, found in options.items()}
    while True:
        values = value_of(chosen)

        def worth(option: Option, values: Mapping[State, Number] = values) -> Number:
            return option.gain + sum((p * values[s] for s, p in option.onward.items()), Fraction(0))

        better = {s: max(found, key=worth) for s, found in options.items()}
        moved = {s: o for s, o in better.items() if worth(o) > values[s]}
        if not moved:
            return values
        chosen |= moved


def option(outcomes: Iterable[Outcome], discount: Number, signal: str = "reward") -> Option:
    """Return one step's option; `signal`: ``reward`` or ``cost``."""
    found = list(outcomes)
    onward: dict[State, Number] = {}
    for o in found:
        onward[o.after] = onward.get(o.after, Fraction(0)) + o.chance * discount
    return Option(sum((o.chance * getattr(o, signal) for o in found), Fraction(0)), onward)


def evaluate(world: World, policy: Policy, discount: Number, signal: str = "reward") -> dict[State, Number]:
    """Return each state's discounted sum of a signal under a policy."""
    chosen = {}
    for state, actions in world.items():
        outcomes = [o._replace(chance=o.chance * p) for a, p in policy[state].items() for o in actions[a]]
        chosen[state] = option(outcomes, discount, signal)
    return value_of(chosen)


def least_cost(world: World, discount: Number) -> dict[State, Number]:
    """Return V_c*, the least discounted cost that any policy has from each state."""
    options = {
        state: [option([o._replace(cost=-o.cost) for o in outcomes], discount, "cost") for outcomes in actions.values()]
        for state, actions in world.items()
    }
    return {state: -value for state, value in best(options).items()}


def chunks(world: World, behaviour: Policy, length: int, discount: Number) -> dict[State, list[Option]]:
    """Return for each state the option of every chunk of actions that the behaviour policy shows there.

    Its gain and where it leads are those of the data, given the chunk: the actions inside it were chosen in view of
    the states inside it, so that a chunk tells of these.
    """
    found: dict[State, list[Option]] = {}
    for start in world:
        weights: dict[tuple[Action, ...], Number] = {}
        gains: dict[tuple[Action, ...], Number] = {}
        ends: dict[tuple[Action, ...], dict[State, Number]] = {}
        none: tuple[Action, ...] = ()
        paths = [(Fraction(1), start, Fraction(0), none)]
        for k in range(length):
            paths = [
                (p * q * o.chance, o.after, gain + discount**k * o.reward, (*taken, a))
                for p, s, gain, taken in paths
                for a, q in behaviour[s].items()
                for o in world[s][a]
                if q and o.chance
            ]
        for p, s, gain, taken in paths:
            weights[taken] = weights.get(taken, Fraction(0)) + p
            gains[taken] = gains.get(taken, Fraction(0)) + p * gain
            ends.setdefault(taken, {})
            ends[taken][s] = ends[taken].get(s, Fraction(0)) + p
        found[start] = [
            Option(gains[c] / w, {s: discount**length * p / w for s, p in ends[c].items()}) for c, w in weights.items()
        ]
    return found


def open_loop(world: World, length: int, discount: Number) -> dict[State, list[Option]]:
    """Return for each state the option of every chunk as it is when played: whatever states come."""
    found: dict[State, list[Option]] = {}
    for start in world:
        options = []
        names = sorted({action for actions in world.values() for action in actions})
        for chunk in itertools.product(names, repeat=length):
            paths = [(Fraction(1), start, Fraction(0))]
            for k, action in enumerate(chunk):
                paths = [
                    (p * o.chance, o.after, gain + discount**k * o.reward)
                    for p, s, gain in paths
                    for o in world[s][action]
                ]
            onward: dict[State, Number] = {}
            for p, s, _ in paths:
                onward[s] = onward.get(s, Fraction(0)) + p * discount**length
            options.append(Option(sum((p * gain for p, _, gain in paths), Fraction(0)), onward))
        found[start] = options
    return found
