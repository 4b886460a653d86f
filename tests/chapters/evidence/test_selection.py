"""The rule that chooses a swept value."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from campaign_tables import episodes

from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import make_config
from support.evidence.selection import HAZARD, SEEDS, SWEEPS, TASK, Sweep, at_end, load, swept
from support.evidence.shown import show_sweeps

RAFMAC, FLOW_QL, RADAC = SWEEPS


def table(sweep, returns, **changes):
    """Ten episodes a seed and value; `returns` maps a value to (most episodes' return, the worst one's)."""
    rows = []
    for (value, (usual, worst)), seed, episode in itertools.product(returns.items(), SEEDS, range(10)):
        options = "" if value == sweep.values[1] else f"{sweep.setting}={value}"  # a default that once was
        row = {"method": sweep.method, "options": options, "task": TASK, "hazard": HAZARD, "purpose": "report"}
        row |= {"run": f"{sweep.method} {value}"}
        row |= {"seed": seed, "step": 100, "return": usual if episode else worst}
        rows.append(row | changes)
    return pd.DataFrame(rows)


def facts(table):
    """The facts of these runs: the value is the last word of a run's name."""
    name = {sweep.method: sweep.setting for sweep in SWEEPS}
    return {
        run: {"config": {"settings": {name[run.split()[0]]: float(run.split()[1])}}} for run in table["run"].unique()
    }


def chosen_of(table, sweep):
    return swept(table, facts(table), sweep)


RETURNS = {
    RAFMAC: {0.1: (900, -50), 1.0: (500, 300), 10.0: (800, 100)},
    FLOW_QL: {1.0: (900, -50), 10.0: (500, 300), 100.0: (800, 100)},
}


@pytest.mark.parametrize(("sweep", "chosen"), [(RAFMAC, 1.0), (FLOW_QL, 1.0)])
def test_the_tail_decides_for_a_risk_and_the_mean_without_one(sweep, chosen):
    found = chosen_of(table(sweep, RETURNS[sweep]), sweep)
    assert found.loc[found["chosen"], "value"].tolist() == [chosen]
    assert list(found["value"]) == list(sweep.values)
    assert (found["episodes"] == 20).all()
    assert found["cvar"].tolist() == [worst for _, worst in RETURNS[sweep].values()]


def test_of_equal_values_the_nearest_to_the_middle():
    returns = {0.1: (500, 100), 1.0: (400, 0), 10.0: (500, 100)}
    sweep = RAFMAC._replace(values=(0.01, 0.1, 1.0, 10.0))
    found = chosen_of(table(sweep, {0.01: (500, 100), **returns}), sweep)
    assert found.loc[found["chosen"], "value"].item() in (0.1, 10.0)


def test_other_runs_do_not_count():
    sweep = RAFMAC
    lures = [
        table(sweep, {0.1: (9999, 9999)}, **change)
        for change in ({"seed": 0}, {"hazard": "none"}, {"purpose": "training"}, {"options": "eta=0.1;n_cos=8"})
    ]
    found = chosen_of(pd.concat([table(sweep, RETURNS[sweep]), *lures]), sweep)
    assert found.loc[found["chosen"], "value"].item() == 1.0


def test_seeds_of_two_runs_of_a_value_are_pooled():
    whole = table(RAFMAC, RETURNS[RAFMAC])
    whole["return"] += whole["seed"]
    apart = whole.assign(run=whole["run"].where(whole["seed"] == SEEDS[0], whole["run"] + " later"))
    pd.testing.assert_frame_equal(chosen_of(apart, RAFMAC), chosen_of(whole, RAFMAC))


def test_a_sweep_that_is_not_whole_is_refused():
    with pytest.raises(RamacError, match="rafmac: no report with eta 10 on seeds"):
        chosen_of(table(RAFMAC, {0.1: (1, 1), 1.0: (1, 1)}), RAFMAC)
    longer = table(RAFMAC, {10.0: (1, 1)}, step=200)
    with pytest.raises(RamacError, match=r"have \[100, 100, 200\] updates"):
        chosen_of(pd.concat([table(RAFMAC, {0.1: (1, 1), 1.0: (1, 1)}), longer]), RAFMAC)


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda s: s.method)
def test_the_rows_are_runs_with_the_default_among_them(sweep: Sweep):
    assert sweep.default in sweep.values
    given = [{sweep.setting: row.partition("=")[2]} for row in sweep.rows]
    settings = [make_config(sweep.method, TASK, SEEDS, 10, options).settings for options in given]
    values = [getattr(found, sweep.setting) for found in settings]
    assert tuple(values) == sweep.values


def stored(folder, sweep, returns):
    """Write a sweep as `ramac campaign` gathers it; `returns` is one number a value."""
    tables = [episodes(row, np.full((2, 5), value)) for row, value in zip(sweep.rows, returns, strict=True)]
    table = pd.concat(tables, ignore_index=True)
    table["seed"] += SEEDS[0]
    table.to_csv(folder / "sweeps.csv", index=False)
    made = {
        f"{row}|{TASK}|{HAZARD}": {"config": {"settings": {sweep.setting: value}}}
        for row, value in zip(sweep.rows, sweep.values, strict=True)
    }
    (folder / "sweeps.json").write_text(json.dumps(made))


def test_stored_sweeps_are_shown_with_the_value_taken(tmp_path):
    assert load(tmp_path) == {}
    stored(tmp_path, RADAC, (3, 2, 1))
    found = load(tmp_path)
    assert list(found) == [RADAC]
    assert found[RADAC]["chosen"].tolist() == [True, False, False]
    page = show_sweeps(found, "t").to_html()
    assert page.count(">published</td>") == 1
    assert page.index("η = 0.0125") < page.index("η = 0.05") < page.index(">published</td>") < page.index("η = 0.2")
    assert "font-weight: bold" in page


def test_the_defaults_are_the_values_that_the_stored_sweeps_name():
    found = load()
    assert {RAFMAC, FLOW_QL} <= set(found)
    for sweep, table in found.items():
        assert sorted(table["value"]) == sorted(sweep.values)
        if sweep.decides:
            assert table.loc[table["chosen"], "value"].tolist() == [sweep.default]


def test_a_value_at_the_end_of_its_range_is_told():
    assert at_end(chosen_of(table(RAFMAC, RETURNS[RAFMAC] | {10.0: (900, 900)}), RAFMAC))
    assert not at_end(chosen_of(table(RAFMAC, RETURNS[RAFMAC]), RAFMAC))
