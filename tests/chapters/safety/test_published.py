"""R2PAC's printed table, recounted."""

import pytest

from support.safety import published


@pytest.fixture(scope="module")
def table():
    return published.load()


def test_the_table_is_whole(table):
    assert len(table) == 32 * 8
    assert table["task"].nunique() == 32
    assert table["cost"].isna().sum() == 1  # the cost that is lost
    assert table[table["claimed"]]["task"].nunique() == 17


def test_rewards_and_costs_give_the_printed_averages(table):
    found = published.averages(table)
    far = found[(found["printed"] - found["ours"]).abs() > 0.025]
    # Of the whole table one average is not its rows': CAPS's reward on Safety-Gymnasium, .26 and not .23.
    assert far[["suite", "method", "of"]].to_numpy().tolist() == [["Safety-Gymnasium", "CAPS", "reward"]]
    assert far["ours"].iloc[0] == pytest.approx(0.26, abs=0.005)


def test_the_highest_reward_of_safe_methods_is_r2pacs_on_11_of_17_and_13_without_caps(table):
    found = published.recount(table)
    assert found["highest"].to_dict() == {"17 tasks, as printed": 11, "17 tasks, without CAPS": 13, "all tasks": 24}
    assert found["tasks"].tolist() == [17, 17, 32]
    assert found["safe"].tolist() == [17, 17, 32]


def test_the_tasks_that_it_does_not_lead(table):
    lost = published.lost(table).set_index("task")["best safe method"].to_dict()
    assert lost == {
        "AntVel": "CDT", "HalfCheetahVel": "CDT", "BallRun": "CDT", "SwimmerVel": "CAPS", "CarRun": "CAPS",
        "CarGoal1": "FISOR",
    }  # fmt: skip
