"""The registry of methods: names, looks, what is refused, other distributions, notebooks and plugins."""

import importlib.metadata
import subprocess
import sys

import pytest
import torch

from ramac_lib.analysis.style import style
from ramac_lib.bench import updates
from ramac_lib.campaign import bandit
from ramac_lib.campaign.launch import run
from ramac_lib.envs import play
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.methods import METHODS, Controller, get_method, register
from ramac_lib.methods.shared.base import Style
from ramac_lib.networks.noise import Noise
from ramac_lib.system import plugins
from ramac_lib.system.errors import RamacError
from ramac_lib.training.engine import Engine

FLOW = get_method("bc-flow")
ENGINES = [Engine(torch.device("cpu"))]


@pytest.fixture
def mine():
    """A method that is forgotten again."""

    @register("mine", label="Mine", colour="#123456")
    class Mine(FLOW):
        """Mine."""

    yield Mine
    METHODS.pop("mine", None)


def test_a_registered_method_has_its_name_and_its_look(mine):
    assert get_method("mine") is mine
    assert get_method(mine) is mine
    assert (mine.name, mine.style, mine.needs) == ("mine", Style("Mine", "#123456"), ())
    assert style("mine") == mine.style
    assert style("mine:hidden=8").label == "Mine, hidden=8"
    assert FLOW.name == "bc-flow"  # a subclass leaves its base as it was
    assert list(METHODS)[:2] == ["radac", "rafmac"]


def test_no_two_methods_look_alike():
    looks = [(kind.style.colour, kind.style.line, kind.style.marker) for kind in METHODS.values()]
    assert len({colour for colour, _, _ in looks}) == len({marker for _, _, marker in looks}) == len(looks)


def test_a_name_is_another_class_s_only_once_but_a_cell_may_run_again(mine):
    with pytest.raises(RamacError, match=r"'mine' is registered twice: by .*Mine and by .*Other"):

        @register("mine")
        class Other(FLOW):
            pass

    with pytest.raises(RamacError, match="'radac' is registered twice"):
        register("radac")(mine)
    again = type("Mine", (FLOW,), {"__module__": mine.__module__, "__qualname__": mine.__qualname__})
    assert register("mine", label="Mine again")(again) is again
    assert get_method("mine").style.label == "Mine again"


def test_a_class_has_one_name(mine):
    with pytest.raises(RamacError, match=r"Mine is the method 'mine'; 'mine-again' needs a class of its"):
        register("mine-again")(mine)
    assert mine.name == "mine"
    assert "mine-again" not in METHODS


def test_a_table_can_leave_a_group_out(mine):
    @register("beside", group="neighbours")
    class Beside(FLOW):
        """Beside."""

    try:
        assert (mine.group, Beside.group, FLOW.group) == ("", "neighbours", "")
        assert {"mine", "radac"} < set(METHODS.without("neighbours")) == set(METHODS) - set(neighbours())
        assert "beside" in METHODS.without("others")
        assert set(METHODS.without("neighbours", "safety")) == set(METHODS.without("neighbours")) - set(safety())
        default, named = (bandit.cells(("methods",), names, (0,), 20) for names in ((), ("beside",)))
        assert not {cell.method for cell in default} & {*neighbours(), *safety()}
        assert [cell.method for cell in named] == ["beside"]
    finally:
        METHODS.pop("beside", None)
    with pytest.raises(RamacError, match="the method's group 'a b': expected letters"):
        register("beside", group="a b")


def neighbours():
    """Return the methods of that group."""
    return [name for name, kind in METHODS.items() if kind.group == "neighbours"]


def safety():
    """Return the methods that keep a limit of cost, and their controls."""
    found = [name for name, kind in METHODS.items() if kind.group == "safety"]
    assert {"iql", "bc-safe", "r2pac", "fisor", "caps"} <= set(found)
    return found


def test_unknown_needs_are_refused():
    with pytest.raises(RamacError, match="unknown column that a method may need 'prices': choose one of costs"):
        register("other", needs=("prices",))


class Point:
    """An entry point of another distribution."""

    def __init__(self, name, load):
        self.name, self.value, self.load = name, f"{name}.module", load


def test_an_entry_point_that_fails_is_named_and_the_rest_works(monkeypatch, caplog):
    def offer():
        @register("offered", label="Offered")
        class Offered(FLOW):
            pass

    def fail():
        raise ImportError("no module named 'jax'\nand more")

    points = [Point("broken", fail), Point("good", offer)]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points if group == plugins.GROUP else [])
    plugins.pending.cache_clear()
    try:
        assert get_method("offered").style.label == "Offered"
        assert "the entry point broken (broken.module)" in caplog.text
        assert "ImportError: no module named 'jax'" in caplog.text
        assert "and more" not in caplog.text
        assert get_method("radac")
    finally:
        METHODS.pop("offered", None)
        plugins.pending.cache_clear()


KNOWN = len(METHODS)
LISTINGS = {
    "list": lambda: "offered" in list(METHODS),
    "dict": lambda: "offered" in dict(METHODS),
    "items": lambda: "offered" in [name for name, _ in METHODS.items()],
    "values": lambda: "Offered" in [kind.style.label for kind in METHODS.values()],
    "length": lambda: len(METHODS) == 1 + KNOWN,
    "in": lambda: "offered" in METHODS,
    "style": lambda: style("offered").label == "Offered",
    "bench": lambda: "offered" in [m.config.method.name for m in updates.measurements((), BANDIT, (1,), (), ENGINES)],
    "bandit": lambda: "offered" in [cell.method for cell in bandit.cells(("methods",), (), (0,), 20)],
}


@pytest.mark.parametrize("listing", LISTINGS)
def test_entry_points_are_in_every_listing(listing, monkeypatch):
    def offer():
        listed.append(list(METHODS))  # a plugin may list the methods itself

        @register("offered", label="Offered")
        class Offered(FLOW):
            pass

    listed = []
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [Point("good", offer)])
    plugins.pending.cache_clear()
    try:
        assert LISTINGS[listing]()
    finally:
        METHODS.pop("offered", None)
        plugins.pending.cache_clear()
    assert len(listed) == 1


def test_a_notebooks_method_runs_in_its_own_process_and_elsewhere_says_why_not(mine, tmp_path):
    grid = {
        "rows": ("mine:hidden=8", "bc-cvae:hidden=8"), "tasks": ("risky-bandit",), "hazards": ("none",), "seeds": (0,),
        "steps": 4, "evaluations": 1, "episodes": 1, "report_episodes": 2, "size": 100,
    }  # fmt: skip
    table, failures = run(tmp_path / "here", None, grid, workers=0, device="cpu", progress=False)
    assert not failures
    assert set(table["method"]) == {"mine", "bc-cvae"}
    table, failures = run(tmp_path / "there", None, grid, workers=1, device="cpu", progress=False)
    assert set(table["method"]) == {"bc-cvae"}
    (reason,) = failures.values()
    assert "unknown method 'mine'" in reason
    assert "workers=0" in reason


def test_plugins_that_cannot_be_loaded_are_named_in_one_sentence(tmp_path):
    cases = {"absent.py": None, "broken.py": "import nowhere_at_all", "twice.py": TWICE}
    words = ("is not a Python file", "ModuleNotFoundError: No module named 'nowhere_at_all'", "registered twice")
    for (name, text), expected in zip(cases.items(), words, strict=True):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(RamacError, match=expected) as error:
            plugins.load([tmp_path / name])
        assert str(tmp_path / name) in str(error.value)
        assert "\n" not in str(error.value)
    assert not plugins.loaded


TWICE = """
from ramac_lib.methods import get_method, register

@register("radac")
class Mine(get_method("bc-flow")):
    pass
"""


def test_the_command_line_lists_a_plugins_method(tmp_path):
    path = tmp_path / "my-method.py"
    path.write_text(TWICE.replace('"radac"', '"mine-too", label="Mine too", needs=("costs",)'))
    command = [sys.executable, "-m", "ramac_lib.cli", "--plugin", str(path), "methods"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(lines) == 1 + KNOWN
    assert lines[-1].startswith("mine-too          Mine too")
    assert lines[-1].endswith("Needs costs.")


def test_a_controller_of_the_wrong_shape_is_refused():
    method = FLOW(FLOW.Config(hidden=(8,)), 1, 2, (0, 1), 10)

    class Flat(Controller):
        def __call__(self, observations):
            return super().__call__(observations).flatten(0, 1)

    expected = r"a controller returned actions of shape \(6, 2\); expected \(2, 3, 2\)"
    with pytest.raises(RamacError, match=expected):
        play.rollouts(Flat(method, Noise((0, 1), "evaluation")), "RiskyBandit-v0", None, 1, (0, 1), 3)


def test_controllers_are_told_of_rewards_and_costs():
    told = []

    class Listening(Controller):
        def observe(self, rewards, costs):
            told.append((rewards.copy(), costs.copy()))

    method = FLOW(FLOW.Config(hidden=(8,)), 1, 2, (0, 1), 10)
    runs = play.rollouts(Listening(method, Noise((0, 1), "evaluation")), "RiskyBandit-v0", None, 1, (0, 1), 3)
    ((rewards, costs),) = told
    assert rewards.shape == costs.shape == (2, 3)
    assert rewards.ravel().tolist() == pytest.approx([r.ret for r in runs])
    assert costs.ravel().tolist() == [r.violations for r in runs]
    assert isinstance(torch.as_tensor(rewards), torch.Tensor)
