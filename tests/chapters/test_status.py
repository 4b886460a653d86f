"""The page on status: machines as the stored results name them, and what of the campaign there is."""

import json

from campaign_tables import TASK, around, episodes, gathered

from ramac_lib.envs.tasks import ROBOTS
from support import status


def test_results_are_told_by_the_machine_that_made_them(tmp_path):
    def made(device, date):
        return {"made": {"device": device, "torch": "2", "date": date}, "other": 1}

    (tmp_path / "a.json").write_text(json.dumps({"x": made("CPU, 1 threads", "2026-01-03")}))
    (tmp_path / "b.json").write_text(json.dumps([made("CPU, 1 threads", "2026-01-01"), made("GPU", "2026-01-02")]))
    (tmp_path / "c.json").write_text(json.dumps({"device": "CPU"}))
    for name in ("a", "a_states", "d"):
        (tmp_path / f"{name}.csv").write_text("1")
    table = status.machines(tmp_path)
    assert list(table.columns) == ["machine", "torch", "from", "to", "results"]
    assert table.to_numpy().tolist() == [
        ["CPU, one thread", "2", "2026-01-01", "2026-01-03", "a, b"],
        ["GPU", "2", "2026-01-02", "2026-01-02", "b"],
        ["not stored", "not stored", "not stored", "not stored", "c, d"],
    ]


def test_the_books_own_results_are_told_with_few_exceptions():
    table = status.machines().set_index("machine")
    assert len(table.drop(index="not stored")) >= 1
    assert table.loc["not stored", "results"] == "flowql_official, oraac_official, push"


def test_what_is_stored_of_the_campaign_is_counted():
    found = gathered(episodes("radac", around(5.0, seeds=3), task=TASK, hazard="paper"))
    table = status.coverage(found)
    assert list(table.index) == list(ROBOTS)
    assert table.loc[TASK, "paper"].startswith("1 rows, 3 seeds, ")
    assert set(table["paper"].drop(index=TASK)) == {"–"}
