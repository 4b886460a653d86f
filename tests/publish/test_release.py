"""A release's files, and several versions' pages side by side."""

import hashlib
import tarfile
import zipfile
from pathlib import Path

import pytest

from ramac_lib.publish.chapters import chapters
from ramac_lib.publish.pdf import NAME
from ramac_lib.publish.release import SUMS, assemble, gather, sums
from ramac_lib.publish.site import read
from ramac_lib.system.errors import RamacError

ROOT = Path(__file__).parents[2]
VERSION = read(ROOT).version


POLICIES = sorted(path.name for path in (ROOT / "data" / "checkpoints").iterdir())


def _built(folder: Path) -> Path:
    (folder / "html" / "book").mkdir(parents=True)
    (folder / "html" / "index.html").write_text("first")
    (folder / "html" / "book" / "a.html").write_text("a")
    executed = folder / "executed" / "quick"
    executed.mkdir(parents=True)
    for chapter in chapters(ROOT):
        (executed / f"{chapter.name}.ipynb").write_text(chapter.name)
    return folder


def test_a_release_has_pages_notebooks_and_the_pdf_if_there_is_one(tmp_path):
    built, out = _built(tmp_path / "built"), tmp_path / "out"
    names = [path.name for path in gather(ROOT, out, built)]
    assert names == [f"pages-{VERSION}.tar.gz", f"notebooks-{VERSION}.zip", *POLICIES]
    (built / "html" / NAME).write_bytes(b"%PDF")
    assert [path.name for path in gather(ROOT, out, built)][2] == NAME
    with zipfile.ZipFile(out / f"notebooks-{VERSION}.zip") as packed:
        assert packed.namelist() == [f"{c.name}.ipynb" for c in chapters(ROOT)]
        assert packed.read("intro.ipynb") == b"intro"
    with tarfile.open(out / f"pages-{VERSION}.tar.gz") as packed:
        assert packed.getnames() == sorted([NAME, "book/a.html", "index.html"], key=Path)


def test_the_same_build_gives_the_same_bytes_and_sums_check(tmp_path):
    built, out = _built(tmp_path / "built"), tmp_path / "out"
    first = [path.read_bytes() for path in gather(ROOT, out, built)]
    assert [path.read_bytes() for path in gather(ROOT, out, built)] == first
    lines = [line.split("  ") for line in sums(out).read_text().splitlines()]
    assert [name for _, name in lines] == sorted(p.name for p in out.iterdir() if p.name != SUMS)
    assert all(digest == hashlib.sha256((out / name).read_bytes()).hexdigest() for digest, name in lines)


def test_what_is_not_built_or_executed_is_named(tmp_path):
    with pytest.raises(RamacError, match="the book is not built"):
        gather(ROOT, tmp_path / "out", tmp_path / "none")
    built = _built(tmp_path / "built")
    (built / "executed" / "quick" / "intro.ipynb").unlink()
    with pytest.raises(RamacError, match="intro not executed there"):
        gather(ROOT, tmp_path / "out", built)


def test_each_release_stands_under_its_number_newest_first(tmp_path):
    built, releases = _built(tmp_path / "built"), tmp_path / "releases"
    made, *_ = gather(ROOT, releases, built)
    for number in ("0.9.0", "0.10.0"):
        (releases / f"pages-{number}.tar.gz").write_bytes(made.read_bytes())
    made.unlink()
    (releases / "other.tar.gz").write_text("no archive")
    assert assemble(built / "html", releases, ROOT) == ["0.10.0", "0.9.0"]
    assert (built / "html" / "0.9.0" / "book" / "a.html").read_text() == "a"
    listed = (built / "html" / "versions.html").read_text()
    assert listed.index("0.10.0/index.html") < listed.index("0.9.0/index.html")


def test_pages_lead_to_the_list_of_versions_once_there_is_one(tmp_path):
    built, releases = _built(tmp_path / "built"), tmp_path / "releases"
    foot = '<div class="extra_footer">\n  Version 0.1.0 of 2026-12-01. Code and text.</div>'
    page = built / "html" / "book" / "reading.html"
    page.write_text(f'<p>Its version.<span id="versions"></span></p>{foot}')
    (built / "html" / "index.html").write_text(foot)
    made, *_ = gather(ROOT, releases, built)
    made.rename(releases / "pages-0.9.0.tar.gz")
    for _ in range(2):  # the second time changes nothing
        assemble(built / "html", releases, ROOT)
        text = page.read_text()
        assert text.count('2026-12-01. <a href="../versions.html">All versions</a>. Code') == 1
        assert text.count('<a href="../versions.html">All published versions</a>') == 1
        assert text.count("versions.html") == 2
    assert '<a href="versions.html">' in (built / "html" / "index.html").read_text()
    assert '<a href="../../versions.html">' in (built / "html" / "0.9.0" / "book" / "reading.html").read_text()
    assert (built / "html" / "book" / "a.html").read_text() == "a"


def test_an_archive_cannot_write_beside_its_folder(tmp_path):
    html, releases = _built(tmp_path / "built") / "html", tmp_path / "releases"
    releases.mkdir()
    with tarfile.open(releases / "pages-1.0.tar.gz", "w:gz") as packed:
        packed.addfile(tarfile.TarInfo("../../escaped"))
    with pytest.raises(RamacError, match="is no archive of pages"):
        assemble(html, releases, ROOT)
    assert not (html.parent / "escaped").exists()
    (releases / "pages-1.0.tar.gz").write_bytes(b"\x1f\x8bno")
    with pytest.raises(RamacError, match="is no archive of pages"):
        assemble(html, releases, ROOT)
    with pytest.raises(RamacError, match="holds no pages"):
        assemble(tmp_path, releases, ROOT)
