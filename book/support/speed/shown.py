"""What chapter 10 shows of measured speeds: tables, sentences by rule, figures."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ramac_lib.analysis.style import VARIANTS, style
from ramac_lib.bench.updates import KINDS, SCALING, SCALING_SEEDS


class How(NamedTuple):
    """A way of executing updates, and how it is drawn: in colours that no method has, hollow in bfloat16."""

    engine: str
    precision: str
    label: str
    colour: str
    marker: str

    @property
    def fill(self) -> str:
        """The colour inside the mark."""
        return self.colour if self.precision == "float32" else "#FFFFFF"


HOWS = (
    How("eager", "float32", "eager, float32", "#004488", "o"),
    How("native", "float32", "native, float32", "#997700", "D"),
    How("compile", "float32", "compiled, float32", "#BB5566", "s"),
    How("eager", "bfloat16", "eager, bfloat16", "#004488", "o"),
    How("compile", "bfloat16", "compiled, bfloat16", "#BB5566", "s"),
)
EAGER, NATIVE = HOWS[:2]
COLOURS = dict(zip(KINDS, ("#77AADD", "#BBCC33", "#FFAABB", "#EE8866", "#DDDDDD"), strict=True))


def label(row: str) -> str:
    """Return the name of a method, or of a campaign's row (``METHOD:option=value``), as the tables have it."""
    method, colon, options = row.partition(":")
    return style(row).label if row in VARIANTS or not colon else f"{style(method).label}, {options}"


def percent(share: float) -> str:
    """Return a share as whole percents, in one piece."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def number(value: float) -> str:
    """Return a positive number with three digits, from a hundred on without decimals."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def passes(machine: Mapping[str, Any]) -> str:
    """Return of how many passes each row is the fastest, as it stands beside the numbers."""
    counts = machine["passes"]
    if isinstance(counts, int):
        return "one pass" if counts == 1 else f"the fastest of {counts} passes"
    several = [method for method, count in counts.items() if count > 1]
    most = {counts[method] for method in several}
    number = f"{min(most)}" if len(most) == 1 else f"{min(most)} to {max(most)}"
    return f"the fastest of {number} passes for {', '.join(map(label, several))}, one for the others"


def select(rows: pd.DataFrame, how: How, seeds: int) -> pd.DataFrame:
    """Return a way's rows for a number of seeds in one stack, by method."""
    found = rows[(rows["engine"] == how.engine) & (rows["precision"] == how.precision)]
    return found[(found["seeds"] == seeds) & (found["chunk"] == seeds)].set_index("method")


def ways(rows: pd.DataFrame) -> list[How]:
    """Return the ways of `HOWS` that were measured."""
    found = set(zip(rows["engine"], rows["precision"], strict=True))
    return [how for how in HOWS if (how.engine, how.precision) in found]


def counted(seeds: int) -> str:
    """Return a number of seeds in words."""
    return "one seed" if seeds == 1 else f"{seeds} seeds"


def rates_table(rows: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """Return each method's GFLOP and, for each way that was measured, "seed-updates/s · share of the floor".

    Where the native engine was measured, a last column has the ratio of its rate to eager's.
    """
    methods = list(dict.fromkeys(rows["method"]))
    gflop = rows.groupby("method")["gflop"].first()
    table = {"method": [label(method) for method in methods], "GFLOP": [f"{gflop[method]:.2g}" for method in methods]}
    for how in ways(rows):
        part = select(rows, how, seeds)
        table[how.label] = [_cell(part, method) for method in methods]
    if NATIVE in ways(rows):
        gain = speedup(rows, seeds)
        table["native : eager"] = [f"{gain[method]:.2f}" if method in gain else "–" for method in methods]
    return pd.DataFrame(table)


def with_acting(table: pd.DataFrame, acting: pd.DataFrame) -> pd.DataFrame:
    """Return a table of methods by label with what a step of acting takes, in ms; a dash where it was not measured."""
    spent = {label(row["method"]): f"{row['ms_per_step']:.3g}" for _, row in acting.iterrows()}
    return table.assign(**{"acting, ms": [spent.get(name, "–") for name in table["method"]]})


def best_share(rows: pd.DataFrame, seeds: int) -> pd.Series:
    """Return the largest share of its floor that each method reaches, over the ways that were measured, sorted."""
    shares = pd.DataFrame({how.label: select(rows, how, seeds)["share"] for how in ways(rows)})
    return shares.max(axis=1).sort_values(ascending=False)


def speedup(rows: pd.DataFrame, seeds: int, how: How = NATIVE) -> pd.Series:
    """Return the ratio of a way's rate to eager's in float32, for each method measured in both."""
    return (select(rows, how, seeds)["seed_updates_per_s"] / select(rows, EAGER, seeds)["seed_updates_per_s"]).dropna()


def _cell(part: pd.DataFrame, method: str) -> str:
    if method not in part.index:
        return "–"
    rate, share = (float(part[column][method]) for column in ("seed_updates_per_s", "share"))
    return f"{number(rate)} · {percent(share)}"


def far_from_floor(rows: pd.DataFrame, goes: Mapping[str, Mapping[str, float]], bound: float = 0.4) -> list[str]:
    """Return what takes the time of each method that, eager with one seed, stays under `bound` of its floor.

    Products that take a share g of the time and would alone need a share f at the best rate run at f/g of it.
    """
    share = select(rows, EAGER, 1)["share"]
    sentences = []
    for method in share.index[share < bound]:
        spent = dict(goes[method])
        products = spent.pop("products")
        first, second = sorted(spent, key=lambda kind: -spent[kind])[:2]
        pace = min(share[method] / products, 1.0)
        sentences.append(
            f"{label(method)} ({percent(share[method])} of its floor): products take {percent(products)} of the time, "
            f"at about {percent(pace)} of the best rate; then {first} {percent(spent[first])} and {second} "
            f"{percent(spent[second])}."
        )
    return sentences


# -- figures --------------------------------------------------------------------------------------------------------


def draw_shares(axes: Axes, rows: pd.DataFrame, count: int) -> None:
    """Draw each method's share of its floor as a dot for each way that was measured."""
    methods = list(dict.fromkeys(rows["method"]))[::-1]
    for how in ways(rows):
        share = select(rows, how, count)["share"]
        at = [methods.index(method) for method in share.index]
        axes.scatter(share, at, s=34, c=how.fill, edgecolors=how.colour, marker=how.marker, zorder=2)
    axes.set_yticks(range(len(methods)), [label(method) for method in methods])
    axes.set(xlabel="share of the floor", title=counted(count))
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter("{x:.0%}")


def share_handles(rows: pd.DataFrame) -> list[Line2D]:
    """Return the legend's entries of `draw_shares`."""
    marks = [{"color": h.colour, "marker": h.marker, "markerfacecolor": h.fill, "label": h.label} for h in ways(rows)]
    return [Line2D([], [], linestyle="", **mark) for mark in marks]  # type: ignore[arg-type]


def draw_breakdown(axes: Axes, goes: Mapping[str, Mapping[str, float]]) -> None:
    """Draw where each method's update spends its time: one bar a method, its kinds side by side."""
    methods = list(goes)[::-1]
    left = np.zeros(len(methods))
    for kind in KINDS:
        width = np.array([goes[method][kind] for method in methods])
        axes.barh(range(len(methods)), width, left=left, color=COLOURS[kind], label=kind, edgecolor="white")
        for y, (start, size) in enumerate(zip(left, width, strict=True)):
            if size >= 0.06:
                axes.text(start + size / 2, y, f"{100 * size:.0f}", ha="center", va="center", fontsize=8)
        left += width
    axes.set_yticks(range(len(methods)), [label(method) for method in methods])
    axes.set(xlim=(0, 1), xlabel="share of an update's time")
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.grid(False)


def scaling_series(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return a table for each size that is changed: rows of `ramac bench --scaling` with its value as ``value``."""
    pairs = rows["options"].str.split("=", expand=True)
    named = rows.assign(name=pairs[0], value=pairs[1].astype(float))
    return {name: named[named["name"] == name].sort_values("value") for name in ("seeds", *SCALING)}


TITLES = {"seeds": "seeds in one stack", "batch_size": "batch size", "n_fractions": "fractions N"}


def draw_scaling(axes: Axes, part: pd.DataFrame, name: str, gflop_per_s: float, hows: Sequence[How] = HOWS) -> None:
    """Draw seed-updates a second against one size, for each way that was measured, and the floor's rate as a line."""
    for how in hows:
        one = part[(part["engine"] == how.engine) & (part["precision"] == how.precision)]
        if len(one):
            values, rates = one["value"], one["seed_updates_per_s"]
            mark = {"color": how.colour, "marker": how.marker, "markerfacecolor": how.fill}
            axes.plot(values, rates, label=how.label, **mark)  # type: ignore[arg-type]
    sizes = part.drop_duplicates("value")
    axes.plot(sizes["value"], gflop_per_s / sizes["gflop"], color="#000000", linestyle="--", linewidth=1, label="floor")
    axes.set(xscale="log", yscale="log", xlabel=TITLES[name])
    ticks = SCALING_SEEDS if name == "seeds" else SCALING[name]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()


def growth(part: pd.DataFrame, how: How) -> tuple[float, float]:
    """Return by which factors a way's rate, and the floor's, change from a size's least value to its largest."""
    ordered = part[(part["engine"] == how.engine) & (part["precision"] == how.precision)].sort_values("value")
    first, last = ordered.iloc[0], ordered.iloc[-1]
    return float(last["seed_updates_per_s"] / first["seed_updates_per_s"]), float(first["gflop"] / last["gflop"])


def repeated(stored: pd.DataFrame, how: How) -> np.ndarray:
    """Return a way's rates of one and the same row, RADAC with one seed at its own sizes.

    `ramac bench --scaling` measures it once for each size that it changes: their spread is the measurement's.
    """
    own = stored.loc[stored["options"] == "seeds=1", "gflop"].iloc[0]
    same = stored[(stored["gflop"] == own) & (stored["seeds"] == 1)]
    return same[(same["engine"] == how.engine) & (same["precision"] == how.precision)]["seed_updates_per_s"].to_numpy()


# -- other tables ---------------------------------------------------------------------------------------------------


def published_table(published: pd.DataFrame, rates: pd.Series, device: str) -> pd.DataFrame:
    """Return published rates and, beneath, our best rate of each method in `rates`."""
    theirs = published[["implementation", "method", "what", "updates_per_s", "device"]]
    ours = [("this book", label(str(method)), "offline", rate, device) for method, rate in rates.items()]
    table = pd.concat([theirs, pd.DataFrame(ours, columns=theirs.columns)], ignore_index=True)
    table["updates_per_s"] = table["updates_per_s"].map(number)
    return table.rename(columns={"updates_per_s": "updates/s"})


def parts_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `ramac bench --parts` for the page: amounts, times and rates."""
    amounts = [f"{amount:,} {unit}" for amount, unit in zip(rows["amount"], rows["unit"], strict=True)]
    table = {"part": rows["part"], "amount": amounts, "seconds": rows["seconds"].map("{:.3g}".format)}
    return pd.DataFrame(table | {"a second": rows["rate"].map(number)})
