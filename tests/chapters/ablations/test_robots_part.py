"""The robots' rows: what each rule switched off leaves of a run, and tables of stored or missing campaigns."""

import json
from pathlib import Path

import pytest
from campaign_tables import around, episodes, gathered
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from ramac_lib.analysis.evidence import Missing
from ramac_lib.campaign.grid import Grid, parse_row
from ramac_lib.methods.shared import short_runs
from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import make_config
from support import page
from support.ablations import robots, tables
from support.evidence import places

BOOK = Path(__file__).parents[3] / "book"
TASK = robots.HOPPER


def run(row, steps=10_000):
    """Critic's rate, targets' rate, η at the end, the share of the run before the risk term."""
    method, options = parse_row(row)
    config = make_config(method, TASK, (0,), steps, options)
    made = config.method(config.settings, 3, 2, (0,), steps)
    made.step.fill_(steps)
    start = config.settings.eta_warmup
    start = short_runs.warmup(start, steps) if config.settings.short_run_rate else start
    return [made.critic_rate, made.target_rate, float(made.eta()), start]


def test_each_row_switches_one_rule_off_and_leaves_the_others():
    ruled = [1e-3, 0.05, 0.005, 0.25]
    source = [1e-5, 0.005, 0.05, 0.15]
    assert run("radac") == pytest.approx(ruled)
    for k, (rule, row) in enumerate(list(robots.rules_off().items())[:4]):
        expected = [source[i] if i == k else value for i, value in enumerate(ruled)]
        assert run(row) == pytest.approx(expected), rule
    assert run(robots.rules_off()["all four"]) == pytest.approx(source)


def test_there_are_no_rules_to_switch_off_in_a_whole_run():
    with pytest.raises(RamacError, match="2,000,000 updates: the rules hold in runs shorter than 2,000,000"):
        robots.rules_off(2_000_000)


def test_rows_make_a_campaign():
    rows = ("radac", *robots.rules_off().values())
    Grid((TASK,), rows, ("paper",), robots.SEEDS, robots.STEPS)
    Grid(robots.REPLAYS, tuple(robots.measure_rows()), ("paper",), robots.SEEDS, robots.STEPS)
    text = robots.command("ablations", (TASK,), rows)
    assert "--methods radac 'radac:lr_critic_cap" in text or "--methods radac radac:lr_critic_cap" in text
    assert text.endswith("ramac campaign --out runs/ablations --export data/results/ablations")


def test_rows_beside_the_methods_own_settings():
    found = gathered(episodes("radac", around(300)), episodes("radac:eta=0.2", around(200, seed=1)))
    table = robots.beside_own(found, {"η = 0.2": "radac:eta=0.2", "η = 9": "radac:eta=9"})
    assert list(table[""]) == ["its own settings", "η = 0.2"]
    assert table["mean [95 %]"].iloc[1].startswith("200 [")
    assert table["mean: difference"].iloc[1].startswith("−100 [")
    assert table["mean: difference"].iloc[0] == ""
    with pytest.raises(Missing, match="have none of η = 9"):
        robots.beside_own(found, {"η = 9": "radac:eta=9"})
    with pytest.raises(Missing, match="no RADAC with its own settings"):
        robots.beside_own(gathered(episodes("radac:eta=0.2", around(200))), {"η = 0.2": "radac:eta=0.2"})


def test_what_is_not_stored_is_said_in_a_sentence(tmp_path):
    with pytest.raises(Missing, match="There is no data/results/distortions yet"):
        robots.load("distortions", tmp_path)
    with pytest.raises(Missing, match="There is no data/results/lengths_5000 yet"):
        robots.lengths(lambda name: robots.load(name, tmp_path))


def test_what_is_not_stored_is_undecided_and_one_length_is_enough(tmp_path):
    assert robots.undecided(tmp_path) == list(robots.QUESTIONS.values())
    for name in (robots.ABLATIONS, "lengths_20000"):
        (tmp_path / name).mkdir()
    assert robots.undecided(tmp_path) == [robots.QUESTIONS[(robots.DISTORTIONS,)]]
    assert robots.is_stored("lengths_20000", tmp_path)
    assert not robots.is_stored("lengths_5000", tmp_path)


@pytest.fixture
def page_cells():
    cells = json.loads((BOOK / "6_ablations.ipynb").read_text(encoding="utf8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in cells}


def test_the_page_says_that_nothing_was_run_on_robots_while_nothing_is(page_cells):
    headings = [text for text in page_cells.values() if text.startswith("## On robots")]
    assert headings == ["## On robots: not run" if len(robots.undecided()) == len(robots.QUESTIONS) else "## On robots"]


def test_what_is_stored_has_its_table_with_its_number(page_cells, monkeypatch):
    made = {
        robots.ABLATIONS: gathered(episodes("radac", around(300)), episodes("radac:eta=0.2", around(200, seed=1))),
        "lengths_20000": gathered(episodes("radac", around(300), step=20_000)),
    }

    def load(name):
        if name not in made:
            raise Missing("no")
        return made[name]

    seen = []
    monkeypatch.setattr(places, "display", seen.append)
    monkeypatch.setattr(robots, "load", load)
    monkeypatch.setattr(robots, "lengths", lambda read=robots.lengths: read(load))
    monkeypatch.setattr(robots, "is_stored", lambda name: name in made)
    names = {"robots": robots, "tables": tables, "page": page, "beside": places.beside}
    code = next(text for text in page_cells.values() if text.startswith("settings_runs, "))
    exec(code, names | {"hopper": ["radac", "radac:eta=0.2"], "off": {"warm-up": "radac:eta=7"}})
    told = " ".join(thing.data for thing in seen if isinstance(thing, Markdown))
    assert "Table 6.9." in told
    assert "none of warm-up" in told  # its campaign is there, its rows are not
    assert "Figure 6.6." not in told
    assert "Table 6.11." in told
    assert len([thing for thing in seen if isinstance(thing, Styler)]) == 2


def test_lengths_are_listed_by_method_then_by_length_with_those_that_are_stored():
    made = {
        "lengths_5000": gathered(episodes("radac", around(100), step=5000), episodes("bc-diffusion", around(50))),
        "lengths_80000": gathered(episodes("radac", around(300), step=80_000)),
    }

    def load_one(name):
        if name not in made:
            raise Missing("no")
        return made[name]

    table = robots.lengths(load_one)
    assert list(zip(table[""], table["updates"], strict=True)) == [
        ("RADAC", "5,000"), ("RADAC", "80,000"), ("BC-diffusion", "5,000"),
    ]  # fmt: skip
    assert table["mean [95 %]"].iloc[1].startswith("300 [")


def test_cases_of_measures_are_those_that_are_stored():
    found = gathered(episodes("radac", around(1), task=robots.REPLAYS[1]))
    assert list(robots.measure_cases(found)) == [f"{m}, {robots.REPLAYS[1]}" for m in ("RADAC", "RAFMAC")]
