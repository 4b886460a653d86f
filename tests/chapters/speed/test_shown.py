"""Tables and sentences about made-up measurements, checked by hand; figures hold what they were given."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from ramac_lib.bench import parts, updates
from ramac_lib.bench.breakdown import KINDS
from ramac_lib.methods import METHODS
from support import page
from support.speed import shown

NBSP = "\N{NO-BREAK SPACE}"
GOES = {
    "radac": {"products": 0.8, "optimiser": 0.02, "draws": 0.03, "passes": 0.1, "interpreter": 0.05},
    "cql": {"products": 0.4, "optimiser": 0.05, "draws": 0.05, "passes": 0.35, "interpreter": 0.15},
}


def rows():
    """RADAC at 64 % of its floor (59 % with five seeds), CQL at 20 %; by the native engine, twice as near."""
    found = []
    for (method, gflop, share), seeds in ((m, n) for m in (("radac", 4.0, 0.64), ("cql", 8.0, 0.2)) for n in (1, 5)):
        for engine, factor in (("eager", 1.0), ("native", 2.0)):
            reached = share * factor - (0.05 if seeds == 5 else 0)
            rate = 100 / gflop * reached
            values = (method, "", seeds, seeds, engine, "float32", rate / seeds, rate, gflop, 0, 0, reached, None)
            found.append(dict(zip(updates.COLUMNS, values, strict=True)))
    return pd.DataFrame(found)


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_the_colours_are_no_methods():
    used = {method.style.colour.lower() for method in METHODS.values()}
    ours = [how.colour for how in shown.HOWS] + [colour for kind, colour in shown.COLOURS.items()]
    assert not used & {to_hex(colour) for colour in ours}
    assert tuple(shown.COLOURS) == KINDS


def test_names():
    assert shown.label("bc-flow") == "BC-flow"
    assert shown.label("radac:risk=neutral") == "RADAC, neutral"


def test_ways_are_those_measured():
    assert shown.ways(rows()) == list(shown.HOWS[:2])


def test_where_it_was_measured():
    machine = {"device": "CPU, 1 threads", "torch": "2", "date": "2026-01-01"}
    assert page.where(machine) == "CPU, one thread, torch 2, 2026-01-01"
    assert page.where(machine | {"device": "CPU, 11 threads"}).startswith("CPU, 11 threads,")


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (1, "one pass"),
        (3, "the fastest of 3 passes"),
        ({"radac": 3, "cql": 1}, "the fastest of 3 passes for RADAC, one for the others"),
        ({"radac": 3, "rafmac": 2, "cql": 1}, "the fastest of 2 to 3 passes for RADAC, RAFMAC, one for the others"),
    ],
)
def test_of_how_many_passes_a_row_is_the_fastest(counts, text):
    assert shown.passes({"passes": counts}) == text


def test_rates_table_by_hand():
    one, five = (shown.rates_table(rows(), seeds) for seeds in (1, 5))
    assert list(one["method"]) == ["RADAC", "CQL"]
    assert list(one["GFLOP"]) == ["4", "8"]
    cells = [part[way].str.replace(NBSP, " ").tolist() for part in (one, five) for way in one.columns[2:4]]
    assert cells[:2] == [["16 · 64 %", "2.5 · 20 %"], ["32 · 128 %", "5 · 40 %"]]
    assert cells[2] == ["14.8 · 59 %", "1.88 · 15 %"]
    assert list(one.columns[2:]) == ["eager, float32", "native, float32", "native : eager"]
    assert list(one["native : eager"]) == ["2.00", "2.00"]


def test_a_method_that_native_does_not_serve_has_no_ratio():
    measured = rows()
    table = shown.rates_table(measured[(measured["method"] == "radac") | (measured["engine"] == "eager")], seeds=1)
    assert list(table["native : eager"]) == ["2.00", "–"]
    assert table["native, float32"][1] == "–"


def test_where_the_time_of_the_slow_goes():
    (sentence,) = shown.far_from_floor(rows(), GOES)
    assert sentence.replace(NBSP, " ") == (
        "CQL (20 % of its floor): products take 40 % of the time, at about 50 % of the best rate; "
        "then passes 35 % and interpreter 15 %."
    )


def test_figures_show_every_share(axes):
    shown.draw_shares(axes, rows(), 1)
    dots = sorted(tuple(point) for cloud in axes.collections for point in cloud.get_offsets().tolist())
    assert dots == [(0.2, 0), (0.4, 0), (0.64, 1), (1.28, 1)]
    assert [handle.get_label() for handle in shown.share_handles(rows())] == ["eager, float32", "native, float32"]


def test_bars_add_up(axes):
    shown.draw_breakdown(axes, GOES)
    ends = {}
    for bar in axes.patches:
        y = round(bar.get_y() + bar.get_height() / 2)
        ends[y] = max(ends.get(y, 0), bar.get_x() + bar.get_width())
    assert ends == pytest.approx({0: 1.0, 1: 1.0})


def test_scaling_has_its_floor(axes):
    table = pd.DataFrame(
        {
            "options": ["batch_size=64", "batch_size=256", "seeds=1"],
            "engine": "eager",
            "precision": "float32",
            "seed_updates_per_s": [40.0, 10.0, 10.0],
            "gflop": [1.0, 4.0, 4.0],
        }
    )
    series = shown.scaling_series(table)
    assert list(series) == ["seeds", "batch_size", "n_fractions"]
    assert shown.growth(series["batch_size"], shown.HOWS[0]) == (0.25, 0.25)
    shown.draw_scaling(axes, series["batch_size"], "batch_size", 100.0)
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert drawn == {"eager, float32": [[64, 40], [256, 10]], "floor": [[64, 100], [256, 25]]}


def test_repeated_rows_are_found():
    table = pd.DataFrame(
        {
            "options": ["seeds=1", "seeds=5", "batch_size=64", "batch_size=256", "n_fractions=32"],
            "seeds": [1, 5, 1, 1, 1],
            "engine": ["eager"] * 4 + ["compile"],
            "precision": "float32",
            "seed_updates_per_s": [10.0, 9.0, 40.0, 11.0, 12.0],
            "gflop": [4.0, 4.0, 1.0, 4.0, 4.0],
        }
    )
    assert shown.repeated(table, shown.HOWS[0]).tolist() == [10, 11]


def test_published_beside_ours():
    theirs = {"source": ["key"], "implementation": ["A"], "method": ["CQL"], "what": ["offline"]}
    published = pd.DataFrame({**theirs, "updates_per_s": [297.6], "device": ["a GPU"], "stated": ["56 min"]})
    table = shown.published_table(published, pd.Series({"cql": 12.34}), "one core")
    assert table.to_dict("list") == {
        "implementation": ["A", "this book"],
        "method": ["CQL", "CQL"],
        "what": ["offline", "offline"],
        "updates/s": ["298", "12.3"],
        "device": ["a GPU", "one core"],
    }


def test_parts_for_the_page():
    made = [
        parts.Part("roll out", print, 20_000, "transitions").row(2.0),
        parts.Part("help", print, 1, "calls").row(4.0),
        parts.Part("relabel", print, 1000, "transitions").row(0.5),
    ]
    table = shown.parts_table(pd.DataFrame(made))
    assert list(table["amount"]) == ["20,000 transitions", "1 calls", "1,000 transitions"]
    assert list(table["a second"]) == ["10,000", "0.25", "2,000"]


def test_what_acting_takes_stands_beside_a_methods_rates():
    acting = pd.DataFrame([{"method": "cql", "episodes": 50, "ms_per_step": 12.345}])
    table = shown.with_acting(shown.rates_table(rows(), 1), acting).set_index("method")
    assert table["acting, ms"].to_dict() == {"RADAC": "–", "CQL": "12.3"}


def test_the_best_share_is_over_every_way():
    best = shown.best_share(rows(), 1)
    assert best.index.to_list() == ["radac", "cql"]
    assert best.to_list() == pytest.approx([1.28, 0.4])
