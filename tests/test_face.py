"""`import ramac_lib`: every name resolves, is documented, stands on the book's page, and costs nothing until used."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ramac_lib

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
ENTRY = r"^\.\. auto(?:function|class|data|exception):: ([\w.]+)(?:\(.*\))?$(?:\n   :(members):(.*)$)?"
# For each entry its members that are shown; none named means all, None that there are none to show.
MEMBERS = {path: re.findall(r"\w+", names) if option else None for path, option, names in re.findall(ENTRY, PAGE, re.M)}
LISTED = list(MEMBERS)
# What a parameter of that name is counted in must be said.
UNITS = {"steps": "updates", "budget": "seconds", "horizon": "steps", "size": "transitions", "episodes": "seed"}


def _resolve(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _place(name: str) -> str:
    return "ramac_lib." + ramac_lib._FACE[name].replace(":", ".")


def _shown(path: str, member: str) -> bool:
    """Return whether the page shows a class's member: all of them where none is named."""
    members = MEMBERS[path]
    return members is not None and (not members or member in members)


def _functions(path: str) -> Iterator[tuple[str, str, ast.FunctionDef]]:
    """Yield name, docstring and code of a listed function, or of a listed class's public methods and constructor."""
    found = _resolve(path)
    if not callable(found):
        return
    node = ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]
    if isinstance(node, ast.FunctionDef):
        yield path, ast.get_docstring(node) or "", node
    elif isinstance(node, ast.ClassDef):
        for child in node.body:
            if isinstance(child, ast.FunctionDef) and child.name in ("__init__", "__post_init__"):
                yield f"{path}.{child.name}", ast.get_docstring(node) or "", child
            elif isinstance(child, ast.FunctionDef) and not child.name.startswith("_") and _shown(path, child.name):
                yield f"{path}.{child.name}", ast.get_docstring(child) or "", child


def _raised(function: ast.FunctionDef) -> set[str]:
    """Return what the function's own body raises, without functions defined in it."""
    names, todo = set(), list(ast.iter_child_nodes(function))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            names.add("RamacError" if ast.unparse(made).endswith("unknown") else ast.unparse(made))
        todo += ast.iter_child_nodes(node)
    return names


def test_importing_the_library_loads_no_other_package() -> None:
    program = (
        "import sys; before = set(sys.modules); import ramac_lib\n"
        "heavy = {m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)\n"
        "assert heavy == {'ramac_lib'}, heavy\n"
        "assert [m for m in sys.modules if m.startswith('ramac_lib')] == ['ramac_lib']\n"
        "from ramac_lib import RamacError; import ramac_lib.system.errors\n"
        "assert RamacError is ramac_lib.system.errors.RamacError and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_table_the_list_and_the_imports_for_type_checkers_agree() -> None:
    tree = ast.parse(Path(ramac_lib.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == {name: _place(name) for name in ramac_lib._FACE}
    assert sorted(ramac_lib.__all__) == sorted(ramac_lib._FACE)
    assert set(ramac_lib.__all__) <= set(dir(ramac_lib))


def test_no_name_hides_a_room_and_unknown_names_are_refused() -> None:
    rooms = {path.stem for path in (ROOT / "ramac_lib").iterdir()}
    assert not rooms & set(ramac_lib.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        ramac_lib.trian  # noqa: B018


@pytest.mark.parametrize("name", ramac_lib.__all__)
def test_each_name_is_what_the_table_says_and_stands_on_the_page(name: str) -> None:
    assert getattr(ramac_lib, name) is _resolve(_place(name))
    assert len(re.findall(rf":: {re.escape(_place(name))}[\n(]", PAGE)) == 1
    assert re.search(rf"`{name} <{re.escape(_place(name))}>`", PAGE), "not in the page's table"


@pytest.mark.parametrize("room", ["campaign", "datasets", "methods", "risk"])
def test_what_a_room_offers_stands_on_the_page(room: str) -> None:
    module = importlib.import_module(f"ramac_lib.{room}")
    listed = [_resolve(path) for path in LISTED]
    assert [name for name in module.__all__ if not any(getattr(module, name) is found for found in listed)] == []


@pytest.mark.parametrize(("path", "signature"), re.findall(r"^\.\. autoclass:: ([\w.]+)\((.*)\)$", PAGE, re.M))
def test_signatures_written_by_hand_are_those_of_the_code(path: str, signature: str) -> None:
    """Sphinx cannot read one with a default that is made for each object."""
    function = ast.parse(f"def f({signature}): ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    assert [argument.arg for argument in function.args.args] == list(inspect.signature(_resolve(path)).parameters)


@pytest.mark.parametrize("path", LISTED)
def test_what_is_listed_is_documented_with_shapes_units_and_errors(path: str) -> None:
    found = _resolve(path)
    if not callable(found):  # a constant: Sphinx reads the string below it
        module = importlib.import_module(path.rpartition(".")[0])
        source = Path(module.__file__ or "").read_text(encoding="utf-8")
        assert re.search(rf'^{path.rpartition(".")[2]}\b.*?^(?:[}})].*)?\n?"""\w', source, re.M | re.S)
        return
    assert inspect.getdoc(found)
    for name, text, function in _functions(path):
        assert text, f"{name} has no docstring"
        if "RamacError" in _raised(function):
            assert re.search(r"^Raises:\n    RamacError: ", text, re.M), f"{name} does not say when it raises"
        for argument in (*function.args.args, *function.args.kwonlyargs):
            note = ast.unparse(argument.annotation) if argument.annotation else ""
            bare = re.sub(r"(?:Float|Float32|Bool|Int|Shaped)\[(?:Tensor|Array|np\.ndarray), '[^']*'\]", "", note)
            # Dicts of parameters and functions of arrays have no one shape, nor has a Gymnasium wrapper's action.
            if re.search(r"^(?!.*(Callable|dict)).*\b(Tensor|Array|ndarray)\b", bare) and name[-4:] != "step":
                raise AssertionError(f"{name}: {argument.arg} is an array without a shape: {note}")
            if argument.arg in UNITS and argument.annotation is not None:
                assert UNITS[argument.arg] in text, f"{name}: {argument.arg} is in {UNITS[argument.arg]}; say so"
