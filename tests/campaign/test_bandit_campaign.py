"""The bandit's campaign: its cells, its resumption, its tables."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from ramac_lib.campaign import bandit as campaign_bandit
from ramac_lib.envs.bandit import Bandit
from ramac_lib.methods import METHODS
from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import data_folder


def test_suites_hold_every_method_and_seed_once():
    cells = campaign_bandit.cells(campaign_bandit.SUITES, (), (0, 1, 2, 3, 4), 5000)
    main = [c for c in cells if c.suite == "methods"]
    assert {(c.method, c.seed) for c in main} == {
        (m, s) for m in METHODS.without("neighbours", "safety") for s in range(5)
    }
    assert len(main) == 5 * len(METHODS.without("neighbours", "safety"))
    assert len({c.key for c in cells}) == len(cells)
    assert [c.seed for c in cells if c.suite == "axis"] == [0, 1, 2, 3, 4]


def test_stability_changes_one_thing_at_a_time_on_an_exact_grid():
    base = Bandit()
    for name, constants in campaign_bandit.STABILITY.items():
        bandit = Bandit(**constants)
        assert (bandit.trap_probability * 40) % 1 == pytest.approx(0), name
        gap = (bandit.ring_reward - bandit.centre_reward) / bandit.trap_penalty
        base_gap = (base.ring_reward - base.centre_reward) / base.trap_penalty
        changed = [
            bandit.trap_probability != base.trap_probability,
            bandit.trap_penalty != base.trap_penalty,
            gap != pytest.approx(base_gap),
        ]
        assert sum(changed) == (name != "base"), name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"suites": ("method",)}, "unknown suite 'method': choose one of methods, axis, stability"),
        ({"methods": ("radak",)}, "unknown method 'radak'"),
        ({"seeds": (1, 1)}, "seeds are 1 1; expected at least one, each once"),
        ({"seeds": ()}, "seeds are none"),
        ({"steps": 3}, "steps is 3; expected at least 20 updates"),
    ],
)
def test_bad_input_is_refused(wrong, message):
    good = {"suites": ("methods",), "methods": ("bc-flow",), "seeds": (0,), "steps": 40}
    with pytest.raises(RamacError, match=message):
        campaign_bandit.cells(**{**good, **wrong})


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(campaign_bandit, "COUNTED", 500)
    monkeypatch.setattr(campaign_bandit, "SHOWN", 50)
    return campaign_bandit.cells(("methods",), ("bc-flow", "bc-cvae"), (0, 1), 40)


def test_a_cut_campaign_goes_on_with_what_it_lacks(small, tmp_path):
    for cell in small:
        campaign_bandit.run_cell(cell, tmp_path / "straight")
    for cell in small[:2]:
        campaign_bandit.run_cell(cell, tmp_path / "cut")
    with pytest.raises(RamacError, match="has not been run yet"):
        campaign_bandit.gather(small, tmp_path / "cut", tmp_path / "cut_out")
    assert not (tmp_path / "cut_out.csv").exists()
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "cut").iterdir()}
    for cell in small[2:]:
        campaign_bandit.run_cell(cell, tmp_path / "cut")
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "cut").iterdir()}
    assert {k: after[k] for k in before} == before
    tables = [campaign_bandit.gather(small, tmp_path / n, tmp_path / f"{n}_out") for n in ("straight", "cut")]
    assert tables[0].equals(tables[1])
    assert len(tables[0]) == len(small) * 20


def test_seeds_trained_in_one_stack_are_those_trained_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(campaign_bandit, "COUNTED", 200)
    cells = [campaign_bandit.BanditCell("mine", "bc-flow", "", seed, 40) for seed in (0, 1)]
    campaign_bandit.run_stack(cells, tmp_path / "both", 1)
    campaign_bandit.run_stack(cells[1:], tmp_path / "alone", 1)
    both, alone = (np.load(tmp_path / where / f"{cells[1].key}.npz") for where in ("both", "alone"))
    np.testing.assert_allclose(both["shown"], alone["shown"], atol=2e-3)  # float16, products of other shapes
    (end,), (other,) = (json.loads(str(file["rows"])) for file in (both, alone))
    assert end["step"] == 40
    assert end["cvar"] == pytest.approx(other["cvar"], abs=0.05)
    assert json.loads(str(both["facts"]))["cell"]["seed"] == 1
    table = campaign_bandit.gather(cells, tmp_path / "both", tmp_path / "out")
    assert len(table) == 2
    assert not (tmp_path / "out.npz").exists()
    assert campaign_bandit.load(tmp_path / "out")[2] == {}


def test_tables_hold_what_the_cells_did(small, tmp_path):
    for cell in small:
        campaign_bandit.run_cell(cell, tmp_path)
    campaign_bandit.gather(small, tmp_path, tmp_path / "out0.5")
    assert all((tmp_path / f"out0.5{suffix}").exists() for suffix in (".csv", ".json", ".npz"))
    table, facts, actions = campaign_bandit.load(tmp_path / "out0.5")
    assert list(table.columns[:6]) == ["suite", "method", "variant", "seed", "precision", "step"]
    masses = table[["centre", "gap", "ring", "outside"]].sum(axis=1)
    np.testing.assert_allclose(masses, 1, atol=1e-5)
    assert sorted(actions) == ["bc-cvae", "bc-flow"]
    assert actions["bc-flow"].shape == (2, 50, 2)
    assert set(facts) == set(table["cell"])
    one = facts[small[0].key]
    assert one["settings"]["hidden"] == [128, 128, 128]
    assert one["seconds"] > 0
    json.dumps(facts)


def test_new_settings_leave_the_names_of_stored_cells():
    """A setting that comes later has its earlier value on the bandit: no stored cell has to be run again."""
    stored = json.loads((data_folder() / "results" / "bandit.json").read_text())
    there = {facts["cell"]["method"] for facts in stored.values()}
    stale = {"codac"}  # stored with lr_lagrange 3e-4, now .01
    cells = campaign_bandit.cells(("methods", "axis", "stability"), sorted(there - stale), (0, 1, 2, 3, 4), 5000)
    assert [cell for cell in cells if cell.key not in stored] == []


def test_no_table_says_which_command_makes_it(tmp_path):
    with pytest.raises(RamacError, match="not there; make it with `ramac bandit`"):
        campaign_bandit.load(tmp_path / "nothing")


@pytest.mark.slow
def test_worker_processes_make_the_same_cells(small, tmp_path):
    """Spawned workers see the module's own counts, so only the first actions are compared."""
    campaign_bandit.run_cells(small[:2], tmp_path / "pool", workers=2, progress=False)
    for cell in small[:2]:
        campaign_bandit.run_cell(cell, tmp_path / "here")
        with np.load(tmp_path / "pool" / f"{cell.key}.npz") as a, np.load(tmp_path / "here" / f"{cell.key}.npz") as b:
            assert json.loads(str(a["facts"]))["cell"] == json.loads(str(b["facts"]))["cell"]
            assert a["shown"].shape == (20, 1000, 2)


class Killed(Future):
    """What a pool returns when one of its processes was killed."""

    def __init__(self):
        super().__init__()
        self.set_exception(BrokenProcessPool("a process in the pool was terminated abruptly"))


@pytest.mark.parametrize("early", [False, True])
def test_a_killed_worker_is_one_sentence_that_says_how_to_go_on(small, tmp_path, monkeypatch, early):
    class Pool(ThreadPoolExecutor):
        def submit(self, *_):
            if early:
                raise BrokenProcessPool("seen before all was submitted")
            return Killed()

    monkeypatch.setattr(campaign_bandit, "spawn", Pool)
    with pytest.raises(
        RamacError, match=f"was killed .* with {len(small)} of {len(small)} cells to go; the same command"
    ):
        campaign_bandit.run_cells(small, tmp_path, workers=1, progress=False)


@pytest.mark.parametrize("content", [b"", b"PK not a zip", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_cell_is_named(small, tmp_path, content):
    (tmp_path / f"{small[0].key}.npz").write_bytes(content)
    with pytest.raises(RamacError, match=r"npz: is damaged; delete it"):
        campaign_bandit.gather(small[:1], tmp_path, tmp_path / "out")
