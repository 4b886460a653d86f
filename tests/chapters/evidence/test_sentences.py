"""The chapter's sentences on made-up campaigns: they follow the numbers and claim no more than the runs bear."""

import pytest
from campaign_tables import TASK, around, episodes, gathered, policies

from ramac_lib.campaign.grid import TABLE_1
from support.evidence.case import LEAST_SEEDS, LEAST_UPDATES
from support.evidence.words import SIGNS

NEUTRAL, CLONE = "radac:risk=neutral", "bc-diffusion"
ANSWER, TABLE, CHOICE, COMMAND, SUMMARY = "e04", "e06", "choosing-5", "e37", "e40"
MEANS, ODDS = "e22", "e22-caption"  # of improvement
HARD = ("paper", "calibrated")


def campaign(*without, step=LEAST_UPDATES, seeds=LEAST_SEEDS, variants=(), hazards=("paper",), **returns):
    """A campaign in which RADAC earns 200, every other row 100 or what is given."""
    rows = [row for row in (*TABLE_1, NEUTRAL, CLONE, *variants) if row not in without]
    means = {"radac": 200} | {name.replace("_", "-"): mean for name, mean in returns.items()}
    tables = [
        episodes(row, around(means.get(row, 100), seeds=seeds, seed=k), step=step, hazard=hazard)
        for k, row in enumerate(rows)
        for hazard in hazards
    ]
    behaviour = [table for hazard in hazards for table in policies(300.0, 100.0, hazard=hazard)]
    return gathered(*tables, behaviour=behaviour)


@pytest.fixture
def answer(sentences):
    """Return a function that returns the answer on a campaign without the count of verdicts."""

    def told(*without, **changes):
        (said,) = sentences(ANSWER, campaign(*without, **changes))
        head, _, counts = said.rpartition(" Of ")
        assert counts.startswith("36 sentences: ")
        return head.removeprefix("Under the hazard *paper*: ")

    return told


def test_the_answer_follows_the_numbers(answer):
    said = answer(oraac=300, bc_diffusion=200)
    assert "10,000 updates: RADAC's CVaR₀.₁ is 1" in said
    assert "**below** the best of the others' (ORAAC" in said
    assert said.endswith("Its CVaR is **above** that of RADAC, neutral and **tied with** that of BC-diffusion.")
    assert answer("radac") == f"*{TASK}*: RADAC is not in the results."


@pytest.mark.parametrize(("absent", "twin"), [(NEUTRAL, "BC-diffusion"), (CLONE, "RADAC, neutral")])
def test_a_missing_twin_is_named_and_the_rest_is_said(answer, absent, twin):
    said = answer(absent)
    assert "RADAC's CVaR₀.₁ is 1" in said
    assert said.count("**above**") == 3
    name = {NEUTRAL: "RADAC, neutral", CLONE: "BC-diffusion"}[absent]
    assert said.endswith(f"Its CVaR is **above** that of {twin}. Not in the results: {name}.")


def test_methods_that_are_not_there_are_named(answer):
    said = answer("flow-ql", "rafmac", NEUTRAL, CLONE)
    assert said.count("**above** the best of the others'") == 2
    assert said.endswith("Not in the results: FlowQL; RAFMAC; RADAC, neutral; BC-diffusion.")
    alone = answer(*[row for row in TABLE_1 if row != "radac"])
    assert "others" not in alone
    assert "Its CVaR is **above** that of RADAC, neutral and **above** that of BC-diffusion." in alone


def test_a_variant_of_a_twin_is_used_and_not_called_missing(answer):
    said = answer(CLONE, variants=["bc-diffusion:hidden=64"])
    assert said.endswith("**above** that of BC-diffusion, hidden=64.")


@pytest.mark.parametrize(
    ("changes", "scale"),
    [
        ({"step": LEAST_UPDATES - 1}, "9,999 updates and 3 seeds"),
        ({"seeds": LEAST_SEEDS - 1}, "10,000 updates and 2 seeds"),
        ({"seeds": 1, "step": 400}, "400 updates and 1 seed"),
    ],
)
def test_short_runs_give_numbers_and_no_comparison(answer, changes, scale):
    said = answer(**changes)
    assert not [word for sign, word in SIGNS.items() if sign is not None and word.strip("*") in said]
    assert said.startswith(f"*{TASK}*, {changes.get('step', LEAST_UPDATES):,} updates: RADAC's CVaR₀.₁ is 1")
    assert said.count("[") == 6  # two of RADAC, two of the best others, two twins
    assert said.endswith(f"Runs of {scale} are too short to say more.")


def test_each_hazard_has_its_answer(sentences):
    (said,) = sentences(ANSWER, campaign(hazards=HARD))
    assert said.count(f"*{TASK}*, 10,000 updates") == 2
    assert [line.split(":")[0] for line in said.split("\n\n")] == [f"Under the hazard *{name}*" for name in HARD]


def test_two_tasks_together_are_ten_sentences_and_one_task_is_none(sentences):
    rows = {"radac": 200, "oraac": 100, "cql": 50, "codac": 20, NEUTRAL: 200, CLONE: 100}
    tables = []
    for task in (TASK, "walker2d-medium-replay"):
        own = [episodes(row, around(mean, seed=k), task=task) for k, (row, mean) in enumerate(rows.items())]
        tables += [table.assign(completed=1) for table in own]
    played = [table for task in (TASK, "walker2d-medium-replay") for table in policies(400.0, 100.0, task=task)]
    said = sentences("together-5", gathered(*tables, behaviour=played))[-1].splitlines()
    assert [line.partition(".")[0] for line in said] == [str(k) for k in range(1, 11)]
    assert said[0].startswith("1. 2 tasks, 10,000 updates (0.5 % of the paper's), 3 seeds or more, 20 report episodes")
    assert "policy's: below on 2 of 2 tasks; mean difference −0.50 [" in said[1]
    assert "above on 2 of 2 tasks" in said[4]
    assert "neutral twin's: tied on 2 of 2 tasks" in said[5]
    assert f"{TASK} RADAC 100 %, BC-diffusion 100 %" in said[8]
    assert "is 1.00 to 1.00, by task" in said[9]
    assert sentences("together-5", campaign()) == []


def test_table_1_says_how_large_it_is_and_what_it_lacks(sentences):
    caption, what = sentences(TABLE, campaign())[0], "Mean return and CVaR₀.₁ with 95 % intervals"
    size = "10,000 updates (0.5 % of the paper's), 3 seeds, 20 episodes a seed of at most 500 steps, last checkpoint; "
    assert caption.startswith(
        f"**Figure 5.1.** {what} on {TASK}, hazard paper (the numbers are folded above): {size}bundled data; "
    )
    assert "Not in the results" not in caption
    assert "RADAC's published row was 131 / −167 (mean / CVaR) in an earlier version and became 1,278 / 801," in caption
    alone = sentences(TABLE, campaign("cql", hazards=["calibrated"], seeds=1))[0]
    assert "updates (0.5 % of the paper's), 1 seed, 20 episodes a seed of at most 500 steps, last checkpoint" in alone
    assert " 2026-01-01. Shaded: the best" in alone
    assert alone.endswith("Not in the results: CQL.")


def test_few_runs_name_no_row_and_say_why(sentences):
    (means,), (said,) = sentences(MEANS, campaign()), sentences(ODDS, campaign())
    assert "more likely" not in said
    assert f"over {TASK} under paper (3 seeds)." in means
    assert "The middle half of 3 runs is all of them, so these are plain means." in means
    assert "With 3 runs a row none is named better or worse: with fewer than 10 the interval" in said


def test_enough_runs_name_rows(sentences):
    found = campaign(seeds=5, hazards=HARD, oraac=300)
    (means,), (said,) = sentences(MEANS, found), sentences(ODDS, found)
    assert "better than CQL; CODAC; " in said
    assert ", and worse than ORAAC (the interval leaves out ½)." in said
    assert "inconclusive" not in said
    assert "plain means" not in means
    assert "none" not in said


def test_rows_with_too_few_runs_are_told_from_the_others(sentences):
    rows = [episodes(row, around(mean, 1.0, seeds=10)) for row, mean in (("radac", 50), ("cql", 20))]
    found = gathered(*rows, episodes(CLONE, around(50, 1.0, seeds=4)), behaviour=policies(100.0, 50.0))
    (said,) = sentences(ODDS, found)
    assert "to be better than CQL (the interval leaves out ½)." in said
    assert "With 4 runs a row none of BC-diffusion is named better or worse" in said


def test_what_the_aggregates_leave_out_is_named(sentences):
    cells = [("radac", name, 3) for name in HARD] + [("cql", name, 3) for name in HARD]
    cells += [("codac", "calibrated", 3), (NEUTRAL, "calibrated", 1), (CLONE, "paper", 3)]
    tables = [episodes(row, around(50, seeds=count), hazard=hazard) for row, hazard, count in cells]
    found = gathered(*tables, behaviour=[*policies(100.0, 50.0), *policies(100.0, 50.0, hazard="calibrated")])
    (means,), (said,) = sentences(MEANS, found), sentences(ODDS, found)
    assert f"mean), over {TASK} under calibrated (3 seeds)." in means
    assert f"Left out: {TASK} under paper, where not every method" in means
    assert "Left out: BC-diffusion and “RADAC, neutral”, which are not there with all these seeds." in means
    assert f"Runs: {TASK} under paper and {TASK} under calibrated." in said
    assert f"CODAC: {TASK} under calibrated alone. BC-diffusion: {TASK} under paper alone." in said
    assert "Left out: “RADAC, neutral” (without two seeds on a task where RADAC has two)." in said


def test_one_aggregate_has_its_caption_without_the_other(sentences):
    (alone,) = sentences(MEANS, campaign("radac", NEUTRAL))
    assert alone.startswith("**Figure 5.4.** Interquartile means")
    assert sentences(ODDS, campaign("radac", NEUTRAL)) == []
    assert sentences(MEANS, campaign(seeds=1)) == sentences(ODDS, campaign(seeds=1)) == []


def test_a_caption_tells_of_the_tables_that_are_there(sentences):
    curve = episodes("radac", around(100, count=4), step=1000, purpose="training")
    (said,) = sentences("e09", gathered(episodes("radac", around(100)), curve))
    assert said.startswith(f"**Table 5.1.** Best of 1 evaluations of 4 episodes a seed on {TASK}, hazard paper, ")
    (said,) = sentences("e09", gathered(episodes("radac", around(100))))
    assert said.startswith("*")  # no evaluations: the reason, and no caption
    assert "Table 5.1" not in said


def test_the_choice_among_candidates_needs_both_rows(sentences):
    (said,) = sentences(CHOICE, campaign(variants=["diffusion-ql:candidates=1"], **{"diffusion-ql:candidates=1": 300}))
    assert "mean 300 [" in said
    assert "(−200 [" in said
    (lacking,) = sentences(CHOICE, campaign())
    assert lacking == "*DiffusionQL and the row diffusion-ql:candidates=1 are not both in the results.*"


def test_rows_that_the_command_makes_beyond_what_is_stored_are_named(sentences):
    whole = [episodes(row, around(100), hazard=hazard) for hazard in ("paper", "none") for row in ("radac", NEUTRAL)]
    (said,) = sentences(COMMAND, gathered(*whole))
    assert said.endswith("```\n")
    (said,) = sentences(COMMAND, gathered(*whole[:3]))
    assert said.endswith(f"makes rows that the stored results lack:\n\n- {TASK}, none: “RADAC, neutral”")


def test_the_summary_names_who_leads(sentences):
    (said,) = sentences(SUMMARY, campaign(oraac=300, bc_diffusion=900))
    assert said.splitlines() == [
        f"- {TASK}, paper: ORAAC has the highest mean, ORAAC the highest CVaR₀.₁.",
        "- All this after 10,000 updates: these runs do not say what 2 million would do.",
    ]
