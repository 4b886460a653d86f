"""Chapter 5's own tables, by hand."""

import pandas as pd
import pytest
from campaign_tables import TASK, around, episodes, gathered

from ramac_lib.analysis.evidence import Missing
from support.evidence import own_tables, shown

PAPER = (TASK, "paper")


def test_the_best_of_evaluations_is_chosen_for_each_seed():
    first = episodes("radac", [[1.0, 3.0], [10.0, 10.0]], step=1, purpose="training")
    second = episodes("radac", [[5.0, 5.0], [0.0, 0.0]], step=2, purpose="training")
    found = gathered(first, second, episodes("radac", [[4.0, 4.0], [0.0, 0.0]], step=2))
    line = own_tables.best_of_evaluations(found, *PAPER).iloc[0]
    assert (line["mean"], line["best_mean"], line["best_cvar"]) == (2.0, 7.5, 5.0)
    assert (line["evaluations"], line["each"]) == (2, 2)
    assert "+6" in shown.show_best(pd.DataFrame([line]), "t").to_html()  # 5.5, rounded to even


def test_methods_that_look_untrained_in_the_paper_stand_with_their_variants():
    rows = ("radac", "cql", "diffusion-ql", "diffusion-ql:candidates=1", "bc-diffusion")
    found = gathered(*(episodes(row, around(100 + 50 * k)) for k, row in enumerate(rows)))
    table = own_tables.untrained(found, TASK, "paper").set_index("row")
    assert list(table.index) == ["cql", "diffusion-ql", "diffusion-ql:candidates=1"]
    assert table["paper_mean"].tolist() == [-25.87, -279.97, -279.97]
    assert table["share"].to_dict() == pytest.approx({"cql": 0.5, "diffusion-ql": 2 / 3, rows[3]: 5 / 6})
    with pytest.raises(Missing, match="looks untrained"):
        own_tables.untrained(gathered(episodes("radac", around(100))), TASK, "paper")
