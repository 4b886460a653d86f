"""What chapter 3b says of the stored grid: captions and sentences whose numbers are the results'."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import style
from ramac_lib.envs.maps import MAPS
from ramac_lib.system.minus import number
from support.evidence.words import listed, paragraph
from support.navigation import probes
from support.navigation.choice import FRESH, LEVELS, ROWS
from support.navigation.claims import CLAIMS, NEUTRAL, RARE, TASK
from support.navigation.stored import Measured, settled
from support.verdicts import UNSAID, judge

Array = np.ndarray
HALF = 0.5
ARRIVED = 0.9  # of the episodes: a row with fewer at the goal has not learned to cross


def scale(found: Measured, rows: Sequence[str]) -> str:
    """Return how many seeds, updates and episodes stand behind rows of the grid."""
    tables = {row: found.at(row, TASK, RARE) for row in rows}
    seeds = {len(own) for own in tables.values()}
    updates = {int(own["step"].max()) for own in tables.values()}
    episodes = {int(own["episodes"].max()) for own in tables.values()}
    return f"{_span(seeds)} seeds a row, {_span(updates)} updates, {_span(episodes)} episodes a seed"


def _span(values: set[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def absent(rows: Sequence[str]) -> str:
    """Return a sentence that names the grid's rows that are not stored; empty where none is lacking."""
    lacking = [style(row).label for row in ROWS if row not in rows]
    return f" Not stored yet: {listed(lacking)}." if lacking else ""


def moments_caption(kept: tuple[Mapping[int, Array], Mapping[str, Any]]) -> str:
    """Return the caption of the strip of RADAC's training.

    Raises:
        Missing: it is not stored.
    """
    shares, facts = kept
    if not shares:
        raise Missing("no moments")
    seeds = ", ".join(map(str, facts["seeds"]))
    whose = f"seed {seeds}" if len(facts["seeds"]) == 1 else f"seeds {seeds} together"
    return (
        f"**Figure 3b.7.** Where RADAC goes at moments of its training, {whose}, {facts['episodes']} "
        f"episodes a seed, of {facts['steps']:,} updates in all."
    )


def turned(found: Measured, where: Mapping[str, Array]) -> tuple[dict[float, Array], dict[float, Estimate]]:
    """Return, by level of the CVaR, where RADAC goes and the share of its episodes by the middle route.

    Raises:
        Missing: fewer than two levels are stored.
    """
    stored, rows = {}, found.rows(TASK, RARE)
    for alpha, row in LEVELS.items():
        if row in rows and (name := f"{TASK}|{RARE}|{row}") in where:
            stored[alpha] = where[name] / 1000
    if len(stored) < 2:
        raise Missing("RADAC at fewer than two levels is stored; the commands stand under *Get the same*.")
    return stored, {alpha: found.estimate(LEVELS[alpha], "through", TASK, RARE) for alpha in stored}


def dial_caption(found: Measured, exact: pd.DataFrame, where: Mapping[str, Array]) -> str:
    """Return the caption of the risk dial.

    Raises:
        Missing: as `turned`.
    """
    shares, through = turned(found, where)
    averse, risky = (
        exact.loc[exact["route"] == "through", "alpha"].min(),
        exact.loc[exact["route"] != "through", "alpha"].max(),
    )
    told = "; ".join(f"{one.text(2)} at {_level(a)}" for a, one in through.items())
    hit = "; ".join(f"{found.estimate(LEVELS[a], 'collided', TASK, RARE).text(2)} at {_level(a)}" for a in through)
    lacking = [f"α = {alpha:g}" for alpha in LEVELS if alpha not in shares]
    text = (
        "**Figure 3b.8.** RADAC trained at several levels of its CVaR, and the exact plans. Top: where it goes at each "
        "level, and in blue the exact plan of that level. "
        f"Below: the share of episodes by the middle route; the exact plan turns between α = {risky:g} and {averse:g}. "
        f"The share in which RADAC takes it: {told}. The share in which it has a step in the danger: {hit} "
        f"({len(found.at('radac', TASK, RARE))} seeds, 95 % intervals by Student's t)."
    )
    return text + (f" Not stored yet: {listed(lacking)}." if lacking else "")


def _level(alpha: float) -> str:
    return "the mean" if alpha == 1 else f"α = {alpha:g}"


def critics_caption(asked: pd.DataFrame, found: Measured, rows: Sequence[str]) -> str:
    """Return the caption of the figure of critics and routes: how many critics rank a way round first, what follows.

    Raises:
        Missing: no critic was asked.
    """
    agreed = total = 0
    parts = []
    for row, (gains, through) in gains_of(asked, found, rows).items():
        first = gains > 0
        parts.append(f"{style(row).label} ({int(first.sum())} of {len(first)})")
        if row != NEUTRAL:
            agreed, total = agreed + int((first == (through < HALF)).sum()), total + len(first)
    mean, cvar = probes.straight(MAPS["obstacle"])
    return (
        "**Figure 3b.10.** What critics rank first, and which way their policies go. One mark a seed. Along x: by how "
        "much the critic puts the CVaR of the better way round above that of going straight on, a step before the "
        "danger; along y: the share of episodes by the middle route. "
        f"Exactly, going on has mean {number(mean, 1)} and CVaR {number(cvar, 1)}. Seeds whose critics rank a way "
        f"round first: {listed(parts)}. Of the {total} policies whose goal is the CVaR {agreed} take in most episodes "
        "the route that their critic ranks first."
    )


def gains_of(asked: pd.DataFrame, found: Measured, rows: Sequence[str]) -> dict[str, tuple[Array, Array]]:
    """Return, for each row whose critics know a CVaR, what `figures.critics_and_routes` draws.

    Raises:
        Missing: none was asked.
    """
    points = {}
    for row in rows:
        told = probes.preferred(asked, f"{TASK}|{RARE}|{row}")
        through = found.at(row, TASK, RARE)["through"]
        told = told[told.index.isin(through.index)]
        if len(told):
            points[row] = told["gain"].to_numpy(float), through[told.index].to_numpy(float)
    if not points:
        raise Missing("What critics say before the danger is not stored yet; the command stands under *Get the same*.")
    return points


def lost(found: Measured, rows: Sequence[str]) -> dict[str, float]:
    """Return the share of episodes that reach the goal of each row in which fewer than `ARRIVED` do."""
    shares = {row: found.estimate(row, "reached", TASK, RARE).value for row in rows}
    return {row: share for row, share in shares.items() if share < ARRIVED}


def fresh(found: Measured) -> str:
    """Return what the verdicts are on the seeds that were trained after all settings had been fixed, in a sentence.

    Raises:
        Missing: there are none of them.
    """
    alone = found.of_seeds(FRESH)
    if alone.reports.empty:
        raise Missing("Seeds that were trained after all settings had been fixed are not stored yet.")
    whole, own = (judge(CLAIMS, {"navigation": part}).set_index("sentence")["verdict"] for part in (found, alone))
    said = whole.index[~whole.isin([UNSAID])]
    changed = [
        f"- *{name.rstrip('.')}*: {own[name]} (on all seeds: {whole[name]})"
        for name in said
        if own[name] != whole[name]
    ]
    text = (
        f"**On fresh seeds alone.** Seeds {min(FRESH)} to {max(FRESH)} were trained after all "
        f"settings had been fixed. Judged on them alone, {len(said) - len(changed)} of the {len(said)} sentences that "
        "have a verdict keep it. Half the seeds give wider intervals."
    )
    return "\n".join([text + " These verdicts change:\n" * bool(changed), *changed])


def trending(moving: int, of: int, within: int) -> str:
    """Return how many rows have a trend, and of how many of the others it is shown that they have none."""
    if moving == 0:
        text = f"None of the {of} rows has a trend."
    else:
        text = f"{moving} of {of} rows {'has' if moving == 1 else 'have'} a trend."
    if within:
        text += f" In {within} of the others both intervals lie within these bounds."
    return text + (" That the rest have settled is not shown." if within < of - moving else "")


def findings(found: Measured, rows: Sequence[str]) -> str:
    """Return what the grid says beyond the verdicts, as a list."""
    best = found.best(TASK, RARE)
    lines = []
    if {"radac", NEUTRAL, "bc-diffusion"} <= set(rows):
        gain = found.minus("radac", NEUTRAL, "cvar", TASK, RARE)
        cost = found.minus("radac", NEUTRAL, "mean", TASK, RARE)
        clone = found.minus(NEUTRAL, "bc-diffusion", "mean", TASK, RARE)
        lines.append(f"""
        **Tail against mean.** The CVaR term changes the CVaR by {gain.text(2, signed=True)} and the mean by
        {cost.text(2, signed=True)}, compared with the same actor that maximises the mean; exactly the detour costs
        {best["mean"] - best["cvar"]:.2f}. The neutral actor's mean less its clone's is {clone.text(2, signed=True)}.
        """)
    clones = [row for row in rows if row.startswith("bc-")]
    if clones:
        told = "; ".join(f"{style(row).label} {found.estimate(row, 'through', TASK, RARE).text(2)}" for row in clones)
        off = ", ".join(
            f"{style(row).label} {found.estimate(row, 'off_support', TASK, RARE).value:.2f}" for row in clones
        )
        lines.append(f"""
        **Clones.** A third of the data's episodes go through the middle, of the clones' episodes: {told}. Clones, too,
        act outside the data's support. The share of such actions: {off}.
        """)
    averse = sorted(rows, key=lambda row: -found.estimate(row, "cvar", TASK, RARE).value)
    first = "; ".join(f"{style(row).label} {found.estimate(row, 'cvar', TASK, RARE).text(2)}" for row in averse[:3])
    lines.append(f"""
    **The best tails.** {first}. The best possible is {number(best["cvar"], 2)}.
    """)
    if astray := lost(found, rows):
        told = listed(f"{style(row).label} ({share:.2f})" for row, share in astray.items())
        lines.append(f"""
        **Lost.** Share of episodes that reach the goal: {told}. What led these policies away from the data was
        not measured. Critics' rates are this book's and serve all rows, so that this says little of the methods.
        """)
    still = settled(found, rows, TASK, RARE)["settled"]
    if not still.all():
        moving = listed([style(str(row)).label for row in still.index[~still]])
        lines.append(f"**Not settled.** By the rule these rows have a trend at the end: {moving}.")
    return "\n".join(f"- {paragraph(line)}" for line in lines)


def in_short(found: Measured, rows: Sequence[str]) -> str:
    """Return the summary's line about RADAC.

    Raises:
        Missing: RADAC or its neutral row is not stored.
    """
    best = found.best(TASK, RARE)
    cvar, mean = (found.estimate("radac", column, TASK, RARE) for column in ("cvar", "mean"))
    neutral = found.estimate(NEUTRAL, "cvar", TASK, RARE)
    return (
        f"- RADAC's CVaR is {cvar.text(2)} with a mean of {mean.text(2)}, compared with {neutral.text(2)} of the same "
        f"actor that maximises the mean and {number(best['cvar'], 2)} of the best plan "
        f"({len(found.at('radac', TASK, RARE))} seeds)."
    )
