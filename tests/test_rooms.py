"""The house stands: rooms import only from below, the picture shows it, nothing outgrows its size."""

import importlib.util
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
LARGEST_FILE = 400  # lines, in the library and the chapters' helpers
LIBRARY = 25_600  # lines in all
ENTRIES = 13  # at the top of the library
FLOORS = 9  # of the library, without the chapters' helpers

_spec = importlib.util.spec_from_file_location("draw_rooms", ROOT / "tools" / "draw_rooms.py")
assert _spec is not None
assert _spec.loader is not None
draw_rooms = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(draw_rooms)
ARROWS = draw_rooms.arrows()


def _layers() -> list[set[str]]:
    """Return the rooms of each layer that the linter is told, the roof first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = (c["layers"] for c in settings["contracts"] if c["type"] == "layers")
    return [set(layer.split(" | ")) for layer in layers]


def test_rooms_import_only_from_lower_layers() -> None:
    layers = _layers()
    depth = {room: i for i, layer in enumerate(layers) for room in layer}
    assert set(depth) == set(ARROWS) - {"support"}
    wrong = [(a, b) for a in depth for b in ARROWS[a] if b == "support" or depth[b] <= depth[a]]
    assert wrong == []


def test_nothing_in_the_library_imports_its_face() -> None:
    """The face imports everything: a room that imports from it imports from above."""
    rooms = set(draw_rooms.folders())
    for room in rooms:
        for path in draw_rooms.modules(draw_rooms.folders()[room]):
            names = {name.split(".")[1] for name in draw_rooms.imported(path) if name.startswith("ramac_lib.")}
            assert names <= rooms, path


def test_the_picture_shows_the_rooms_and_arrows_of_the_code() -> None:
    assert draw_rooms.PICTURE.stat().st_size <= 60_000
    tree = ElementTree.parse(draw_rooms.PICTURE)
    groups = [group for group in tree.iter() if "data-room" in group.attrib]
    order = [room for level in draw_rooms.floors(ARROWS) for room in level]
    assert [group.attrib["data-room"] for group in groups] == order, "run python tools/draw_rooms.py"
    rooms = draw_rooms.folders()
    assert ["".join(list(group)[1].itertext()) for group in groups] == [draw_rooms.purpose(rooms[r]) for r in order]
    drawn = {(e.attrib["data-from"], e.attrib["data-to"]) for e in tree.iter() if "data-from" in e.attrib}
    assert drawn == {(a, b) for a in ARROWS for b in ARROWS[a]}, "run python tools/draw_rooms.py"


def test_each_room_says_what_it_is_for_in_a_line_that_fits_the_picture() -> None:
    for room, folder in draw_rooms.folders().items():
        assert 20 <= len(draw_rooms.purpose(folder)) <= 94, room


def test_floors_and_implied_arrows_of_a_small_house() -> None:
    house = {"roof": {"wall", "ground"}, "wall": {"ground"}, "shed": {"ground"}, "ground": set()}
    assert draw_rooms.floors(house) == [["roof"], ["shed", "wall"], ["ground"]]
    assert draw_rooms.implied(house) == {("roof", "ground")}
    with pytest.raises(ValueError, match="circle of rooms among roof, wall"):
        draw_rooms.floors({**house, "wall": {"roof", "ground"}})


def test_arrows_are_read_from_every_form_of_import(tmp_path: Path) -> None:
    """Also inside functions, of single modules, and from the chapters' helpers."""
    for name in ("ramac_lib/low", "ramac_lib/high/inner", "book/support"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "ramac_lib" / "high" / "__init__.py").touch()
    (tmp_path / "ramac_lib" / "high" / "inner" / "a.py").write_text("def f():\n    from ramac_lib import low\n")
    (tmp_path / "ramac_lib" / "top.py").write_text("import ramac_lib.high.inner.a\nimport numpy\n")
    (tmp_path / "book" / "support" / "b.py").write_text("from ramac_lib.low.x import y\nfrom support import page\n")
    assert draw_rooms.arrows(tmp_path) == {"support": {"low"}, "high": {"low"}, "low": set(), "top": {"high"}}


def test_the_house_keeps_its_size() -> None:
    top = [path for path in (ROOT / "ramac_lib").iterdir() if path.name not in ("__init__.py", "__pycache__")]
    assert len(top) <= ENTRIES
    library = {room: below - {"support"} for room, below in ARROWS.items() if room != "support"}
    assert len(draw_rooms.floors(library)) <= FLOORS
    files = [*(ROOT / "ramac_lib").rglob("*.py"), *(ROOT / "book" / "support").rglob("*.py")]
    native = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "ramac_lib").rglob("*.cpp")}
    assert all(n <= LARGEST_FILE for n in native.values())
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {str(path): n for path, n in lines.items() if n > LARGEST_FILE} == {}
    assert sum(n for path, n in lines.items() if path.is_relative_to(ROOT / "ramac_lib")) <= LIBRARY
