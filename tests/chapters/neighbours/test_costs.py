"""What the neighbours cost, from made-up measurements and as stored."""

import json

import pytest

from support.neighbours import costs

GOES = {"products": 0.4, "optimiser": 0.05, "draws": 0.05, "passes": 0.3, "interpreter": 0.2}


def _row(method, engine="eager", rate=10.0, share=0.5, seeds=1):
    return {
        "method": method, "options": "", "seeds": seeds, "chunk": seeds, "engine": engine, "precision": "float32",
        "updates_per_s": rate, "seed_updates_per_s": rate * seeds, "gflop": 2.0, "share": share,
    }  # fmt: skip


@pytest.fixture
def stored(tmp_path):
    def write(name, rows, **machine):
        (tmp_path / f"{name}.json").write_text(json.dumps({"machine": machine, "rows": rows}))

    write("bench", [_row("radac"), _row("radac", "native", 40.0, 0.9), _row("cql")], goes={"radac": GOES})
    near = [_row("qdq", share=0.3), _row("qdq", seeds=5, share=0.9), _row("cped", share=0.45)]
    write("bench_neighbours", near, goes={"qdq": GOES, "cped": GOES})
    write("acting", [{"method": "radac", "episodes": 50, "ms_per_step": 0.7}])
    return tmp_path


def test_each_method_stands_with_its_fastest_way_of_one_seed(stored):
    rows, goes, acting = costs.load(stored)
    table = costs.table(rows, acting).set_index("method")
    assert table.index.to_list() == ["RADAC", "QDQ", "CPED"]
    assert table.loc["RADAC"].to_list() == ["2.00", "40", "90\N{NO-BREAK SPACE}%", "0.7"]
    assert table.loc["QDQ"].to_list() == ["2.00", "10", "30\N{NO-BREAK SPACE}%", "–"]
    first, second = costs.why_far(rows, goes)
    assert first.startswith("QDQ (30")
    assert "then passes 30" in first
    assert second.startswith("CPED (45")


def test_what_is_stored_has_every_neighbour():
    rows, goes, acting = costs.load()
    assert costs.fastest(rows).index.to_list() == list(costs.METHODS)
    assert set(goes) == set(costs.METHODS)
    assert not costs.table(rows, acting).isin(["–"]).any(axis=None)
