"""The table of findings: every size is computed, and what is not stored says so."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from campaign_tables import episodes, gathered

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate
from support.audit import anchor, deadpath, findings, others
from support.audit.shown import number, ranges, rich, rich_stacked, sized

BOOK = Path(__file__).parents[3] / "book"


def test_numbers_have_a_true_minus_and_an_interval():
    assert number(-1234.5) == "−1,234"
    assert number(-0.001, 2) == "0.00"
    assert sized(Estimate(-1.0, -2.0, 3.0)) == "−1 [−2, +3]"
    table = pd.DataFrame({"x": [0.5], "x_low": [0.25], "x_high": [1.0]})
    assert ranges(table, "x", times=100) == ["50 [25, 100]"]


def test_cells_have_code_and_links_and_no_html_of_their_own():
    assert rich("`a<b`, [chapter 1](1.html) < 2") == '<code>a&lt;b</code>, <a href="1.html">chapter 1</a> &lt; 2'
    page = rich_stacked(pd.DataFrame({"a": ["x", "`y`"]}), "name", "a").data
    assert re.findall(r"<td.*?>(.*?)</td>", page) == ["x", "<code>y</code>"]


def test_what_is_not_stored_is_said_in_its_place(monkeypatch):
    def nothing():
        raise Missing("There is no such file yet.")

    monkeypatch.setattr(anchor, "residuals", nothing)
    measured = findings.Measured(gathered(episodes("radac", np.zeros((1, 1)))), {}, {})
    own = next(finding for finding in findings.FINDINGS if finding.effect is findings._anchor)
    monkeypatch.setattr(findings, "FINDINGS", (own,))
    found = findings.table(measured)
    assert found["size"].tolist() == ["not stored: There is no such file yet."]
    with pytest.raises(Missing):
        _ = measured.residuals  # asked again: still missing


def test_sizes_follow_what_was_measured(monkeypatch):
    measured = findings.Measured(gathered(episodes("radac", np.zeros((1, 1)))), {}, {})
    measured.made["reach"] = {"released": deadpath.Reach(0.25, 0.5), "written": deadpath.Reach(0.75, 1.0)}
    assert findings._dead(measured) == (
        "norm of its gradient over the cloning loss's: 0.25 (as written 0.750); "
        "largest change of a parameter by η = 1000: 0.5"
    )
    measured.made["coin"] = {"mean": 12.4, "cvar": 99.6}
    assert findings._coin(measured).endswith("s.d. 12 of the mean, 100 of CVaR₀.₁")
    assert findings._alphas(measured) == "α = .125, .0625, .0938 instead of .1 at N = 8, 16, 32"


def test_every_number_leads_to_a_section_of_the_page():
    cells = json.loads((BOOK / "9_audit.ipynb").read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    headings = dict(re.findall(r"^\(finding-(\d+)\)=\n## (.*)$", text, re.MULTILINE))
    for k, finding in enumerate(findings.FINDINGS, start=1):
        section = k if finding.section is None else finding.section
        if section:
            numbers = re.findall(r"\d+", headings[str(section)].partition(". ")[0])
            assert str(k) in numbers, finding.name
        else:
            assert re.search(r"\]\(\w+\.html\)", finding.where), finding.name


def test_no_size_is_typed():
    for finding in findings.FINDINGS:
        assert callable(finding.effect)
        typed = re.sub(r"\(.*?\)|CVaR₀\.₁|best of 40|table \d|Hopper|RA\w+", "", finding.name)
        assert not re.search(r"\d", typed), finding.name


def test_the_residual_is_what_it_adds_to_the_prior():
    table = anchor.residuals()
    for statistic in ("mean", "cvar"):
        own = table[table["method"] == "oraac"].iloc[0]
        gap = anchor.gap(table, "oraac", statistic)
        assert gap.value == pytest.approx(own[f"{statistic}_with"] - own[f"{statistic}_without"])
        assert gap.low < gap.value < gap.high
    with pytest.raises(Missing, match="CQL"):
        anchor.gap(table, "cql", "mean")


def test_nothing_is_stored_in_an_empty_folder(tmp_path):
    for read in (anchor.residuals, anchor.official):
        with pytest.raises(Missing):
            read(tmp_path)


def test_known_answers_of_other_chapters():
    assert others.effective_alphas() == {8: 0.125, 16: 0.0625, 32: 0.09375}
    assert others.tail_constant() == pytest.approx(2 * 0.1 * np.sqrt(0.9 / 0.1))  # √(2(1 − α)/α) · α√2
    greedy, best = others.time_consistency()
    assert (greedy, best) == pytest.approx((-4.925, -4.15))
    drawn, grid = (others.fractions(16)[name] for name in ("drawn", "grid"))
    assert abs(drawn["bias"]) < 4 * drawn["bias_se"]
    assert (grid["sd"], drawn["sd"] > 0.05) == (0.0, True)
    assert 0 < others.huber_bias(64) < 0.3
