"""Episodes that do not say what they are of are refused, not grouped."""

import pandas as pd
import pytest
from cli_helpers import run

from ramac_lib.analysis.summary import GROUP, summary
from ramac_lib.system.errors import RamacError

EPISODE = {
    "method": "bc-flow", "task": "risky-bandit", "hazard": "none", "risk": "", "options": "", "step": 2, "horizon": 1,
    "seed": 0, "return": 1.0, "violations": 0, "length": 1,
}  # fmt: skip


@pytest.mark.parametrize("column", GROUP)
def test_a_column_that_tells_groups_apart_is_asked_for(column):
    assert summary(pd.DataFrame([EPISODE])).loc[0, "mean"] == 1.0
    with pytest.raises(RamacError, match=f"the episodes have no {column}; expected the columns"):
        summary(pd.DataFrame([EPISODE]).drop(columns=column))


def test_gather_says_so_of_a_run_whose_table_has_lost_them(tmp_path, capsys):
    small = ("--size", "200", "--steps", "2", "--episodes", "1", "--device", "cpu", "--engine", "eager")
    run(capsys, "train", "--method", "bc-flow", "--task", "risky-bandit", *small, "--out", str(tmp_path / "run"))
    (tmp_path / "run" / "evaluations.csv").write_text("seed,step,purpose,horizon,hazard\n,,,,\n")
    code, _, err = run(capsys, "gather", str(tmp_path / "run"), "--out", str(tmp_path / "table"))
    assert code == 1
    assert err.strip().endswith("expected the columns that `ramac evaluate` writes")
