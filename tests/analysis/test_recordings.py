import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure
from probe_helpers import make_run

from ramac_lib.analysis import recordings
from ramac_lib.analysis.rows import Row
from ramac_lib.analysis.style import style
from ramac_lib.datasets.relabel import rates
from ramac_lib.envs.hazards import Interval, get_hazard
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.system.errors import RamacError
from ramac_lib.training import evaluators, stored
from support.networks import density

TASK = "hopper-medium-expert"


@pytest.fixture(scope="module")
def recorded(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("signals") / "signals"
    return out, recordings.record_runs(runs, out, episodes=5, poses=1, device="cpu", progress=False)


def test_a_recording_is_of_the_deployed_policy(recorded, runs):
    _, kept = recorded
    config, stacks, facts, _ = stored.load_run(runs[1], "cpu", to_act=True)
    hazard = get_hazard("paper", TASK)
    (rollout, _) = evaluators.evaluate(
        stacks[1], facts["env_id"], hazard, 500, 2, keys=(recordings.RECORDING,), record=True
    )
    clip = kept.clip(1, 1, 0)
    np.testing.assert_array_equal(clip.monitored, np.float32(rollout.monitored))
    np.testing.assert_array_equal(clip.violation, rollout.violated)
    table = kept.episodes
    assert table.groupby("run")["seed"].value_counts().tolist() == [2] * 4  # 5 episodes shared by two seeds
    assert table["posed"].tolist() == (table["episode"] == 0).tolist()
    assert kept.facts["runs"][1]["run"] == config.hash


def test_flags_and_sums_agree_with_the_signal(recorded, hopper):
    _, kept = recorded
    np.testing.assert_array_equal(kept.violation, kept.hazard(0).outside(kept.monitored))
    assert not (kept.struck & ~kept.violation).any()
    assert kept.struck.any()
    assert kept.episodes["violations"].sum() == kept.violation.sum()
    assert kept.episodes["penalties"].sum() == kept.struck.sum()
    about = kept.facts["behaviour"][TASK]
    assert about["outside"]["paper"] == rates(hopper, kept.hazard(0))
    data = kept.behaviour[TASK]
    expected = np.quantile(hopper.next_observations[:, 1], [0.1, 0.5, 0.9])
    np.testing.assert_allclose(np.quantile(data, [0.1, 0.5, 0.9]), expected, atol=1e-3)


def test_poses_are_those_of_the_signal(recorded):
    _, kept = recorded
    for index in (0, 1):
        for seed in (0, 1):
            clip = kept.clip(index, seed, 0)
            np.testing.assert_allclose(clip.qpos[:, 2], clip.monitored, atol=1e-6)  # Hopper's pitch
            assert clip.step_seconds == pytest.approx(0.008)
            assert len(kept.clip(index, seed, 1).qpos) == 0
    with pytest.raises(RamacError, match="episode 7 of seed 0 was not recorded"):
        kept.clip(0, 0, 7)


def test_policies_meet_the_same_starts_and_bytes_repeat(runs, tmp_path, monkeypatch):
    from ramac_lib.methods import Method

    monkeypatch.setattr(Method, "act", lambda self, seen, noise: torch.zeros(*seen.shape[:2], 3))
    first, second = (
        recordings.record_runs(runs, tmp_path / name, episodes=4, behaviour=False, device="cpu", progress=False)
        for name in ("a", "b")
    )
    for seed in (0, 1):
        one, two = first.clip(0, seed, 1), first.clip(1, seed, 1)
        np.testing.assert_array_equal(one.monitored, two.monitored)
    assert not np.array_equal(first.clip(0, 0, 0).qpos[0], first.clip(0, 1, 0).qpos[0])
    assert not second.behaviour
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_small_copies_that_a_campaign_hands_on_are_enough(runs, tmp_path):
    for name in ("config.json", "policy.pt"):
        (tmp_path / name).write_bytes((runs[0] / name).read_bytes())
    options = {"episodes": 2, "behaviour": False, "device": "cpu", "progress": False}
    copy = recordings.record_runs([tmp_path], tmp_path / "out", **options)
    whole = recordings.record_runs(runs[:1], tmp_path / "whole", **options)
    # In float16 the actions differ in the fourth digit, so the first steps agree and later ones drift apart.
    np.testing.assert_allclose(copy.clip(0, 1, 0).monitored[:5], whole.clip(0, 1, 0).monitored[:5], atol=1e-3)


def test_the_bandit_has_signals_but_no_poses(tmp_path):
    run = make_run(tmp_path / "run", "bc-flow", "bundled", task=BANDIT, seeds=(0,), hazard="none")
    kept = recordings.record_runs([run], tmp_path / "out", episodes=9, poses=3, device="cpu", progress=False)
    assert kept.episodes["length"].tolist() == [1] * 9
    assert kept.poses.size == 0
    assert (kept.monitored >= 0).all()


def test_bad_input_is_refused_before_anything_is_written(runs, tmp_path):
    cases = [
        ({"runs": [runs[0], runs[0]]}, "given twice"),
        ({"runs": runs, "episodes": 1}, "1 episodes for 2 seeds"),
        ({"runs": runs, "poses": -1}, "poses is -1"),
        ({"runs": []}, "no runs were given"),
        ({"runs": [tmp_path / "nowhere"]}, "holds no run"),
    ]
    for options, words in cases:
        with pytest.raises(RamacError, match=words):
            recordings.record_runs(out=tmp_path / "out", device="cpu", progress=False, **options)
    assert not list(tmp_path.iterdir())
    with pytest.raises(RamacError, match="ramac analyse record"):
        recordings.load(tmp_path / "out")


def test_files_that_do_not_belong_together_are_refused(recorded, tmp_path):
    out, _ = recorded
    facts = json.loads(out.with_suffix(".json").read_text())
    (tmp_path / "x.npz").write_bytes(out.with_suffix(".npz").read_bytes())
    for change, words in (({"steps": facts["steps"] + 1}, "record them anew"), ({"format": 99}, "newer version")):
        (tmp_path / "x.json").write_text(json.dumps(facts | change))
        with pytest.raises(RamacError, match=words):
            recordings.load(tmp_path / "x")


def test_runs_are_selected_by_task_hazard_and_method(recorded):
    _, kept = recorded
    assert kept.select(TASK, "paper") == [0, 1]
    assert kept.select(TASK, "paper", ["diffusion-ql", "radac"]) == [1, 0]
    assert kept.select(TASK, "paper", ["cql"]) == []
    assert kept.select(TASK, "calibrated") == []
    assert kept.rows[0].label.startswith("RADAC, ")
    assert kept.select(TASK, "paper", plain=True) == []  # the narrow networks are a variant


def test_variants_have_a_look_of_their_own():
    rows = [
        Row("radac", TASK, "paper", "cvar", 0.1, ""),
        Row("radac", TASK, "paper", "neutral", 0.1, ""),
        Row("radac", TASK, "paper", "cvar", 0.1, "quantile_axis=target;td_clip=None"),
        Row("oraac", TASK, "paper", "cvar", 0.05, ""),
    ]
    drawn = [row.style for row in rows]
    assert [look.label for look in drawn] == [
        "RADAC", "RADAC, neutral", "RADAC, released axis, no TD clip", "ORAAC, alpha=0.05",
    ]  # fmt: skip
    assert len({look.colour for look in drawn}) == len({(look.line, look.colour) for look in drawn}) == 4
    assert drawn[0] == style("radac")


# -- the density ----------------------------------------------------------------------------------------------------

BOUNDS = st.sampled_from([(-0.17, 0.04), (-0.12, np.inf), (-np.inf, 0.1), (-np.inf, np.inf)])


@given(arrays(np.float32, st.integers(2, 60), elements=st.floats(-1, 1, width=32)), BOUNDS)
def test_bins_begin_at_the_bounds_so_that_the_area_beyond_is_the_share_outside(values, bounds):
    hazard = Interval(1, *bounds, -1.0, 0.1)
    edges = density.bin_edges(values, hazard)
    assert edges[0] <= values.min()
    assert edges[-1] >= values.max()
    np.testing.assert_allclose(np.diff(edges), np.diff(edges)[0], rtol=1e-3)
    counts = np.histogram(values, edges)[0]
    assert counts.sum() == len(values)
    inside = (edges[:-1] >= np.float32(hazard.low)) & (edges[1:] <= np.float32(hazard.high))
    on_bound = (values == np.float32(hazard.high)).sum()  # a bin holds its left edge, and so does the range both
    outside = hazard.outside(values).sum()
    assert counts[~inside].sum() == outside + on_bound * (edges[-1] > np.float32(hazard.high))


def test_shares_outside_and_their_intervals(recorded):
    _, kept = recorded
    table = recordings.outside(kept, [0, 1])
    for index, row in table.iterrows():
        mine = kept.violation[kept.steps(index)]
        assert row["outside"] == pytest.approx(mine.mean())
        assert row["below"] + row["above"] == pytest.approx(row["outside"])
        assert row["low"] <= row["outside"] <= row["high"]
        signal = kept.monitored[kept.steps(index)]
        assert (signal < row["median"]).mean() == pytest.approx(0.5, abs=0.02)
        middle = np.sort(signal)[round(0.05 * len(signal)) : round(0.95 * len(signal))]
        assert row["width"] == pytest.approx(np.ptp(middle), rel=0.05)
        assert (row["seeds"], row["episodes"], row["steps"]) == (2, 4, len(mine))


def test_sentences_compare_shares_by_their_intervals():
    table = pd.DataFrame(
        {"label": ["A", "B", "C"], "outside": [0.1, 0.3, 0.32], "low": [0.05, 0.2, 0.28], "high": [0.15, 0.4, 0.36]}
    )
    first, *pairs = density.sentences(table, data=0.25)
    first = first.replace("\N{NO-BREAK SPACE}", " ")
    assert "B 30.0 % [20.0 %, 40.0 %]" in first
    assert first.endswith("the data 25.0 %.")
    assert pairs == [
        "A spends less of its time outside than B.",
        "A spends less of its time outside than C.",
        "Whether B or C spends more is inconclusive.",
    ]


def test_reports_shares_are_of_the_same_runs_and_of_all_their_steps(recorded):
    _, kept = recorded
    first, second = (run["run"] for run in kept.facts["runs"][:2])
    report = pd.DataFrame(
        {"run": [first, first, second, "another"], "violations": [1, 3, 5, 7], "length": [10, 30, 10, 10]}
    )
    said = density.reported(report, kept, [0, 1])
    labels = [kept.rows[k].label for k in (0, 1)]
    assert said is not None
    assert said.replace("\N{NO-BREAK SPACE}", " ") == (
        f"Over the 1 to 2 other episodes of each run's report (table 5.3): {labels[0]} 10.0 %, {labels[1]} 50.0 %."
    )
    assert density.reported(report[report["run"] != second], kept, [0, 1]) is None


def test_densities_have_area_one(recorded):
    _, kept = recorded
    axes = Figure().subplots()
    density.draw_density(axes, kept, [0, 1], published=(-0.1, 0.1))
    drawn = [patch.get_data() for patch in axes.patches if hasattr(patch, "get_data")]
    assert len(drawn) == 3  # the data, two policies
    for values, edges, _ in drawn:
        assert (values * np.diff(edges)).sum() == pytest.approx(1)
    assert "range in the paper's figure" in axes.get_legend_handles_labels()[1]
