"""What is declared, pinned and promised to users agrees."""

import ast
import csv
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PROMISED = {
    "torch", "numpy", "jupyterlab", "jupyter-book", "matplotlib", "pandas", "gymnasium", "d4rl", "mujoco", "papermill",
    "pytest", "nbval",
}  # fmt: skip


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pins = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in found}
    assert len(pins) == len(found), "a package is pinned twice"
    return pins


def _installed_by_make() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    names = ["book", "dev", "minari", "d4rl", "ray"]  # `behaviour` trains policies afresh; no command installs it
    return [
        Requirement(text) for text in [*PROJECT["dependencies"], *(line for name in names for line in extras[name])]
    ]


@pytest.mark.parametrize("requirement", _installed_by_make(), ids=str)
def test_every_dependency_is_pinned_inside_its_range(requirement: Requirement) -> None:
    assert requirement.specifier.contains(_pins()[canonicalize_name(requirement.name)])


def test_pins_are_exact_public_versions_and_name_no_index() -> None:
    pins = _pins()
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pins.values())
    assert pins["torch"] == "2.13.0"
    assert "://" not in (ROOT / "constraints.txt").read_text(encoding="utf-8")


def test_what_is_required_by_what_is_installed_is_pinned_too() -> None:
    """Follow the installed packages' own requirements from ours on: none may float."""
    pins, todo, seen = _pins(), _installed_by_make(), set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        for extra in ["", *requirement.extras]:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                texts = metadata.requires(name) or []
            except metadata.PackageNotFoundError:
                continue  # an extra that is not installed here
            assert name in pins, f"{name} is installed, but not pinned"
            for needed in map(Requirement, texts):
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    todo.append(needed)
    assert len(seen) > 100


def test_environment_names_what_conda_users_were_promised() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    lines = [
        line for entry in environment["dependencies"] for line in (entry["pip"] if isinstance(entry, dict) else [entry])
    ]
    names = {canonicalize_name(match.group()) for line in lines if (match := re.match(r"[\w.-]+", line))}
    assert names >= PROMISED
    assert "--constraint constraints.txt" in lines


def test_changelog_tells_of_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(PROJECT['version'])}\b", text, re.M)


def _make(*arguments: str, folder: Path, path: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "MAKEFLAGS": ""}
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the Makefile and an installed-looking environment."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    return tmp_path


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_a_second_run_installs_nothing_until_the_pins_change(clone: Path) -> None:
    tools = clone / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in ("python", "ramac", "pytest"):
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $@" >> "{clone}/calls"\n')
        (tools / name).chmod(0o755)
    installs = []
    for run in range(3):
        if run == 2:
            later = (clone / ".venv" / ".book").stat().st_mtime + 10
            os.utime(clone / "constraints.txt", (later, later))
        (clone / "calls").write_text("")
        assert _make("book", "TORCH_INDEX=https://example.org/cpu", folder=clone, path=tools).returncode == 0
        installs.append(
            [line for line in (clone / "calls").read_text().splitlines() if "pip " in line and "install" in line]
        )
    assert "--index-url https://example.org/cpu" in installs[0][0]
    assert "torch" in installs[0][0]
    assert "-c constraints.txt" in installs[0][1]
    assert installs[1] == []
    assert len(installs[2]) == len(installs[0])


@pytest.mark.parametrize(
    ("lacks", "says"),
    [("3.10", "3.11 or newer is needed"), ("venv", "no venv module"), ("pip", "neither ensurepip nor pip")],
)
def test_a_python_that_cannot_is_told_in_one_sentence(lacks: str, says: str, tmp_path: Path) -> None:
    """Run the script with this interpreter, made to look like one that lacks something."""
    hide = {"venv": ["venv"], "pip": ["pip", "ensurepip"]}.get(lacks, [])
    program = (
        f"import sys, runpy; sys.version_info = {(3, 10, 0) if lacks == '3.10' else tuple(sys.version_info[:3])!r}\n"
        f"import subprocess as s; real = s.run\n"
        f"class No: returncode = 1\n"
        f"s.run = lambda c, **k: No if c[-1].removeprefix('import ') in {hide!r} else real(c, **k)\n"
        f"sys.argv = ['make_venv.py', {str(tmp_path / 'env')!r}]\n"
        f"runpy.run_path({str(ROOT / 'tools' / 'make_venv.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "env").exists()


def test_an_environment_that_a_kill_left_without_pip_is_made_anew_and_a_whole_one_is_left(tmp_path: Path) -> None:
    """The killed `make` had come as far as an interpreter; what is made aside moves with the names in its scripts."""
    folder = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (tmp_path / "env.part").mkdir()
    make = [sys.executable, str(ROOT / "tools" / "make_venv.py"), str(folder)]
    subprocess.run(make, check=True)
    for pip in ([str(folder / "bin" / "python"), "-m", "pip"], [str(folder / "bin" / "pip")]):
        told = subprocess.run([*pip, "--version"], check=True, capture_output=True, text=True).stdout
        assert f"from {folder}/" in told
    assert [path.name for path in tmp_path.iterdir()] == ["env"]
    assert not [p for p in (folder / "bin").iterdir() if p.is_file() and "env.part" in p.read_text(errors="replace")]
    before = (folder / "pyvenv.cfg").stat().st_mtime_ns
    subprocess.run(make, check=True)
    assert (folder / "pyvenv.cfg").stat().st_mtime_ns == before


def test_two_installers_wait_for_each_other(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = (
        f"import time; f = open({str(log)!r}, 'a', 1); print('begins', file=f); time.sleep(0.3); print('ends', file=f)"
    )
    command = [sys.executable, str(ROOT / "tools" / "alone.py"), str(tmp_path / "lock"), sys.executable, "-c", program]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [one.wait(60) for one in running] == [0, 0, 0]
    assert log.read_text().split() == ["begins", "ends"] * 3


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_everything_that_installs_holds_the_lock_and_distclean_removes_it(clone: Path) -> None:
    plan = _make("-n", "book", "test", folder=clone, path=Path(sys.executable).parent).stdout
    installing = [line for line in plan.splitlines() if ("pip " in line and "install" in line) or "make_venv" in line]
    assert len(installing) >= 4
    assert all("tools/alone.py .venv.lock" in line for line in installing)
    (clone / ".venv").mkdir()
    (clone / "runs").mkdir()
    assert _make("distclean", folder=clone, path=Path(sys.executable).parent).returncode == 0
    assert not (clone / ".venv").exists()
    assert (clone / "runs").exists()


def _imported(folder: Path) -> set[str]:
    """Return the top-level names that the modules of a folder import, from anywhere in them."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"ramac_lib"}


def test_every_import_of_the_library_is_declared() -> None:
    """Installed by chance as something else's need is not enough: a fresh environment may lack it."""
    providers = metadata.packages_distributions()
    optional = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *(line for lines in optional.values() for line in lines)]
    declared = {canonicalize_name(Requirement(text).name) for text in texts}
    # jupyter-book's own reader of _toc.yml; what `make bullet` installs without its needs, which no extra can say
    brought = {"sphinx-external-toc", "bullet-safety-gym"}
    names_of = {"bullet_safety_gym": ["bullet-safety-gym"]}
    for name in _imported(ROOT / "ramac_lib"):
        names = {canonicalize_name(n) for n in providers.get(name, names_of.get(name, [name]))}
        assert names & (declared | brought), f"{name} is imported but not declared in pyproject.toml"


def test_no_name_is_undefined() -> None:
    """The shape strings of jaxtyping keep ruff's and mypy's own rules off: names inside of strings are let alone."""
    folders = [str(ROOT / name) for name in ("ramac_lib", "book/support", "tests", "tools")]
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", "--output-format", "json"]
    found = []
    for entry in json.loads(subprocess.run([*command, *folders], capture_output=True, text=True).stdout):
        row, column = entry["location"]["row"], entry["location"]["column"]
        line = Path(entry["filename"]).read_text(encoding="utf-8").splitlines()[row - 1]
        if line[: column - 1].count('"') % 2 == 0:
            found.append(f"{entry['filename']}:{row}: {entry['message']}")
    assert found == []


_spec = importlib.util.spec_from_file_location("supply", ROOT / "tools" / "supply.py")
assert _spec is not None
assert _spec.loader is not None
supply = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(supply)


def test_every_pin_has_the_hashes_of_its_files() -> None:
    """`make hashes` after a pin was changed; a hash is of that version alone."""
    hashes = supply.known((ROOT / "hashes.txt").read_text(encoding="utf-8"))
    pins = supply.pinned((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert set(hashes) == set(pins.items())
    assert all(re.fullmatch(r"[0-9a-f]{64}", one) for found in hashes.values() for one in found)
    assert all(hashes.values())


def test_hashes_of_several_platforms_are_kept_and_those_of_old_pins_go() -> None:
    there = {("a-b", "1.0"): {"0" * 64}, ("c", "1"): {"1" * 64}}
    report = {
        "install": [
            {"metadata": {"name": name, "version": "1.0"}, "download_info": {"archive_info": {"hashes": {"sha256": h}}}}
            for name, h in (("A_b", "2" * 64), ("d", "3" * 64))
        ]
    }
    text = supply.written({"a-b": "1.0", "d": "1.0"}, there, supply.reported(report))
    assert supply.known(text) == {("a-b", "1.0"): {"0" * 64, "2" * 64}, ("d", "1.0"): {"3" * 64}}
    assert supply.written({"a-b": "1.0", "d": "1.0"}, supply.known(text)) == text
    with pytest.raises(SystemExit, match="c==2 has no hash"):
        supply.written({"c": "2"}, there)


def test_a_file_of_another_hash_is_not_installed(tmp_path: Path) -> None:
    """By pip's own check, of a wheel made here."""
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    for known, works in ((digest, True), ("0" * 64, False)):
        (tmp_path / "hashes.txt").write_text(supply.written({"tiny": "1.0"}, {("tiny", "1.0"): {known}}))
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--isolated", "--no-index", "--find-links", tmp_path, "--dry-run",
             "--require-hashes", "--no-deps", "-r", tmp_path / "hashes.txt"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode == 0) == works, done.stderr


def test_the_bill_of_materials_names_every_pinned_package_with_its_licence(tmp_path: Path) -> None:
    supply.sbom(tmp_path)
    bill = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    found = {one["name"]: one for one in bill["components"]}
    assert found["numpy"]["purl"] == f"pkg:pypi/numpy@{metadata.version('numpy')}"
    assert {"torch", "filelock", "h5py"} <= set(found)
    with open(tmp_path / "licences.csv", encoding="utf-8") as file:
        licences = {row["package"]: row["licence"] for row in csv.DictReader(file)}
    assert set(licences) == set(found)
    assert licences["ramac-lib"] == "MIT"
    assert all(licences[name] for name in ("torch", "numpy", "filelock"))


def test_workflows_name_their_actions_by_commit() -> None:
    used = re.findall(r"uses: (\S+)", "".join(p.read_text() for p in (ROOT / ".github" / "workflows").iterdir()))
    assert len(used) >= 7
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", one) for one in used)


def test_no_two_test_modules_have_one_name():
    """Pytest imports a test module by its name alone: of two with one name the second is not collected."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(name for name in names if names.count(name) > 1) == []
