"""A tiny book is executed, built and published; a bad one is refused with its reason, and nothing is published."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock

from ramac_lib.publish import browser, build, chapters, check_pages
from ramac_lib.system.errors import RamacError

ROOT = Path(__file__).parents[2]
PARAMETERS = 'profile = "quick"\nsource = "bundled"\ndevice = "auto"\nseeds = [0]'
FIGURE = "import matplotlib.pyplot as plt\nplt.plot([0, 1])\nplt.show()"
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")


def _write(root: Path, name: str, *cells: str, markdown: str = "", parameters: str | None = PARAMETERS) -> Path:
    made = [nbformat.v4.new_markdown_cell(f"# Chapter {name}\n\n{markdown}")]
    if parameters is not None:
        made.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    made += [nbformat.v4.new_code_cell(cell) for cell in cells]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = root / "book" / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=kernel), path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A book of two chapters with the real book's settings."""
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/first\nchapters:\n  - file: book/second\n")
    _write(tmp_path, "first", "print(profile, seeds)", markdown=r"$x^2$ and [the next](second.ipynb)")
    _write(tmp_path, "second", FIGURE)
    return tmp_path


@pytest.mark.slow
def test_a_book_is_published_and_unchanged_chapters_are_kept(root: Path) -> None:
    before = (root / "book" / "first.ipynb").read_bytes()
    lines: list[str] = []
    first = build.build(root=root, seeds=[3, 4], say=lines.append)
    assert first == root / "_build" / "html" / "book" / "first.html"
    assert "quick [3, 4]" in first.read_text(encoding="utf-8")
    assert "<img" in (first.parent / "second.html").read_text(encoding="utf-8")
    assert (root / "book" / "first.ipynb").read_bytes() == before
    assert not (root / "_build" / "executed" / "quick" / "failed" / "first.ipynb").exists()

    lines.clear()
    _write(root, "second", FIGURE, "print('changed')")
    build.build(root=root, seeds=[3, 4], say=lines.append)
    assert "first: unchanged since it was executed" in lines
    assert any(line.startswith("[1/1] second: executed") for line in lines)


@pytest.mark.slow
def test_failed_chapters_are_named_and_nothing_is_published(root: Path) -> None:
    stale = root / "_build" / "html" / "book" / "second.html"
    stale.parent.mkdir(parents=True)
    stale.write_text("of an earlier build")
    _write(root, "first", "import os\nos._exit(3)")
    _write(root, "second", "a = 1", "# divide\nb = a / 0\nprint(b)")
    with pytest.raises(RamacError) as error:
        build.build(root=root, say=lambda line: None)
    reason = str(error.value)
    assert "chapter second failed: cell 4 (b = a / 0) raised ZeroDivisionError: division by zero" in reason
    assert "chapter first failed: DeadKernelError" in reason
    assert "\n" not in reason
    assert not (root / "_build" / "html").exists()
    assert (root / "_build" / "executed" / "quick" / "failed" / "second.ipynb").is_file()
    assert chapters.executed_key(root / "_build" / "executed" / "quick" / "second.ipynb") is None


@pytest.mark.slow
def test_a_warning_of_sphinx_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "execute", lambda *_, **__: None)
    _write(root, "second", markdown="See {ref}`nowhere`.")
    with pytest.raises(RamacError, match="undefined label: 'nowhere'"):
        build.build(root=root, say=lambda line: None)
    assert not (root / "_build" / "html").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"profile": "huge"}, "unknown profile 'huge': choose one of quick, laptop, gpu, paper"),
        ({"device": "tpu"}, "unknown device 'tpu': choose one of auto, cpu, cuda"),
        ({"only": "7_none"}, "unknown chapter '7_none': choose one of first, second"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(root: Path, arguments: dict, sentence: str) -> None:
    with pytest.raises(RamacError) as error:
        build.build(root=root, **arguments)
    assert str(error.value) == sentence


def test_malformed_chapters_are_refused_before_any_is_executed(root: Path) -> None:
    _write(root, "second", parameters='profile = "quick"\nseeds = []')
    with pytest.raises(RamacError, match=r"second\.ipynb: its cell tagged `parameters` must assign source, device"):
        build.build(root=root)
    (root / "book" / "second.ipynb").write_text('{"cells": [')
    with pytest.raises(RamacError, match=r"second\.ipynb: is not a notebook that can be read"):
        build.build(root=root)
    (root / "book" / "second.ipynb").unlink()
    with pytest.raises(RamacError, match=r"lists book/second, but there is neither"):
        build.build(root=root)
    with pytest.raises(RamacError, match=r"there is no table of contents here"):
        build.build(root=root / "book")


def test_one_chapter_can_be_chosen(root: Path) -> None:
    known = chapters.chapters(root)
    assert [chapter.name for chapter in known] == ["first", "second"]
    assert [chapter.name for chapter in chapters.choose(known, "book/second.ipynb")] == ["second"]
    assert chapters.first_page(root) == "book/first"


def test_the_key_follows_all_that_a_chapter_depends_on(root: Path) -> None:
    chapter = chapters.chapters(root)[0]
    library = chapters.library_hash(root)
    keys = [chapters.chapter_key(chapter, {"profile": "quick"}, library)]
    keys.append(chapters.chapter_key(chapter, {"profile": "gpu"}, library))
    (root / "data").mkdir()
    (root / "data" / "table.csv").write_text("1")
    keys.append(chapters.chapter_key(chapter, {"profile": "quick"}, chapters.library_hash(root)))
    _write(root, "first", "print('changed')")
    keys.append(chapters.chapter_key(chapter, {"profile": "quick"}, library))
    assert len(set(keys)) == 4
    (root / "data" / "cache").mkdir()
    (root / "data" / "cache" / "rollouts.npz").write_text("made again at will")
    (root / "data" / "table.csv").unlink()
    assert chapters.library_hash(root) == library


PAGE = "<html><head>{head}</head><body><p id='here'>text</p>{body}</body></html>"


@pytest.mark.parametrize(
    ("head", "body", "problem"),
    [
        ("", '<a href="#here">a</a> <a href="https://arxiv.org">b</a> <img src="pixel.png">', None),
        ("", '<a href="gone.html">a</a>', "the link gone.html leads nowhere"),
        ("", '<a href="#nowhere">a</a>', "the link #nowhere leads to no place on its page"),
        ("", '<img src="gone.png">', "its img gone.png is missing"),
        ("", '<img src="//example.org/a.png">', "its img //example.org/a.png comes from the network"),
        ('<script src="https://example.org/a.js"></script>', "", "its script https://example.org/a.js comes from the"),
        ('<link rel="stylesheet" href="https://example.org/a.css">', "", "its link https://example.org/a.css comes"),
        ('<link rel="canonical" href="https://example.org/">', "", None),
        ('<script>const u = "https://unpkg.com/x";</script>', "", "names unpkg.com"),
        ("<style>@import 'https://example.org/f.css';</style>", "", "loads https://example.org/f.css from the network"),
        ("<style>p { background: url(gone.svg) }</style>", "", "a style's gone.svg is missing"),
        ("", r"<p>under $\kappa$ = 0.19</p>", r"a formula is not typeset: $\kappa$"),
        ("", "<p>the CVaR$_{0.1}$ of it</p>", "a formula is not typeset: $_{0.1}$"),
        ("", r'<p><code>$\kappa$</code> <span class="math">$x_1$</span> costs $5 or $6, $HOME</p>', None),
    ],
)
def test_pages_are_checked(
    head: str, body: str, problem: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "find", lambda: None)
    (tmp_path / "pixel.png").write_bytes(PIXEL)
    (tmp_path / "page.html").write_text(PAGE.format(head=head, body=body))
    problems = check_pages.check(tmp_path).problems
    if problem is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert problem in problems[0]


def test_scripts_that_name_a_cdn_and_pages_without_their_images_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "find", lambda: None)
    html, source = tmp_path / "html", tmp_path / "source"
    html.mkdir()
    assert check_pages.check(html).problems == [f"{html}: there are no pages"]
    (html / "load.js").write_text('import("https://cdn.jsdelivr.net/npm/x")')
    (html / "page.html").write_text(PAGE.format(head="", body=""))
    source.mkdir()
    output = {"output_type": "display_data", "data": {"image/png": ""}, "metadata": {}}
    cells = [
        {"cell_type": "code", "metadata": {}, "outputs": [output]},
        {"cell_type": "code", "metadata": {"tags": ["remove-output"]}, "outputs": [output]},
    ]
    (source / "page.ipynb").write_text(json.dumps({"cells": cells}))
    assert check_pages.check(html, source).problems == [
        "load.js: names cdn.jsdelivr.net",
        "page.html: shows 0 of the 1 images of its notebook",
    ]


@pytest.mark.skipif(browser.find() is None, reason="needs a Chromium")
@pytest.mark.slow
def test_a_browser_sees_what_a_reader_would(tmp_path: Path) -> None:
    program = browser.find()
    assert program is not None
    (tmp_path / "pixel.png").write_bytes(PIXEL)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    body = '<img src="pixel.png"><img src="broken.png"><span class="math">\\(x^2\\)</span>'
    body += '<span class="math"><mjx-container><mjx-merror>y_</mjx-merror></mjx-container></span>'
    body += '<script>nothing()</script><script>fetch("http://example.org/a")</script>'
    body += '<p style="color: #777; background: #666">grey on grey</p>'
    body += '<main><p style="width: 450px">wider than a phone</p><div class="cell_output" style="overflow-x: auto">'
    body += '<table style="width: 1500px"><tr><td>wider than a column</td></tr></table></div>'
    body += '<div class="cell_output"><pre style="overflow-x: auto">' + "printed too wide " * 20 + "</pre></div>"
    body += '<div class="math"><mjx-container style="display: block; overflow-x: auto"><p style="width: 2000px">a+b</p>'
    body += "</mjx-container></div></main>"
    (tmp_path / "bad.html").write_text(PAGE.format(head="", body=body))
    good = '<main><h1>Good</h1><img src="pixel.png" alt="a pixel"><div style="overflow-x: auto" tabindex="0">'
    good += '<table style="width: 700px"><tr><td>scrolls in its box</td></tr></table></div></main>'
    (tmp_path / "good.html").write_text(
        PAGE.format(head="<title>Good</title>", body=good).replace("<html>", '<html lang="en">')
    )
    opened = browser.check_pages(program, tmp_path, [Path("bad.html"), Path("good.html")])
    assert (opened.formulas, opened.images, opened.accessible) == (3, 3, 2 if browser.find_axe() else 0)
    assert not [problem for problem in opened.problems if problem.startswith("good")]
    told = "\n".join(opened.problems)
    for what in ("broken.png' is an image that shows nothing", "x^2\\\\)' is a formula that was not typeset"):
        assert what in told
    assert "'y_' is a formula with an error" in told
    assert "pixels (P wider than a phone)' is the page's width on a phone of 390" in told
    assert "'wider than a column' is wider than its column in a window of 1,400 pixels" in told
    assert "printed too wide printed t' is wider than its column" in told
    assert "'a+b' is wider than its column" in told
    assert "nothing is not defined' could not be loaded or run" in told
    assert "'http://example.org/a' was asked of the network" in told
    if browser.find_axe():
        for rule in ("color-contrast, light", "color-contrast, dark", "image-alt, light", "html-has-lang, light"):
            assert f"(axe {rule})" in told
    assert not list(tmp_path.glob("*.dom"))
    assert "ramac-report" not in (tmp_path / "bad.html").read_text()


@pytest.mark.slow
def test_ctrl_c_ends_every_chapter_and_begins_no_other(root: Path) -> None:
    toc = (root / "_toc.yml").read_text()
    (root / "_toc.yml").write_text(toc + "  - file: book/third\n  - file: book/fourth\n")
    for name in ("first", "second", "third", "fourth"):
        _write(root, name, f"open('{name}.begun', 'w').close()\nimport time; time.sleep(600)")
    program = f"from ramac_lib.publish import build; build.build(root={str(root)!r}, jobs=2)"
    running = subprocess.Popen(
        [sys.executable, "-c", f"import signal; signal.signal(2, signal.default_int_handler); {program}"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(list((root / "book").glob("*.begun"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)
    _, told = running.communicate(timeout=30)
    assert told.strip().splitlines()[-1] == "KeyboardInterrupt"
    time.sleep(2)
    assert {path.stem for path in (root / "book").glob("*.begun")} == {"third", "fourth"}
    assert not list((root / "_build" / "executed" / "quick").glob("*.ipynb"))


def test_two_builds_in_one_folder_do_not_mix(root: Path) -> None:
    (root / "_build" / "html").mkdir(parents=True)
    with FileLock(root / "_build" / ".lock"), pytest.raises(RamacError, match="another build of the book is under way"):
        build.build(root=root, say=lambda line: None)
    assert (root / "_build" / "html").is_dir()  # the other one's


@pytest.mark.slow
def test_a_killed_worker_is_one_sentence_that_names_what_is_missing(root: Path) -> None:
    _write(root, "first", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)")
    with pytest.raises(RamacError, match=r"a process that executed chapters was killed .* before .*first.* was done"):
        build.build(root=root, say=lambda line: None, jobs=1)


@pytest.mark.slow
@pytest.mark.parametrize(("answers", "tries"), [(["respond"], 2), (["respond", "died"], 2), (["cell"], 1)])
def test_a_kernel_that_does_not_answer_is_started_once_more(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[str], tries: int
) -> None:
    import papermill

    said = {
        "respond": "Kernel didn't respond in 60 seconds",
        "died": "Kernel died before replying to kernel_info",
        "cell": "Kernel died",
    }
    left, seen = list(answers), []

    def execute(source: str, target: str, parameters: dict, **options: object) -> nbformat.NotebookNode:
        seen.append(options["start_timeout"])
        if left:
            raise RuntimeError(said[left.pop(0)])
        return nbformat.read(source, 4)

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    source = chapters.chapters(root)[0].path
    if len(answers) < tries:
        assert chapters._run(source, tmp_path / "out.ipynb", {}).cells
    else:
        with pytest.raises(RuntimeError, match=said[answers[-1]]):
            chapters._run(source, tmp_path / "out.ipynb", {})
    assert seen == [60, 180][:tries]


def test_a_kernel_ends_with_the_build_that_is_killed(root: Path) -> None:
    _write(root, "first", f"import os, time\nopen({str(root / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")
    program = (
        "import sys\nfrom ramac_lib.publish.build import build\nif __name__ == '__main__':\n    build(root=sys.argv[1])"
    )
    (root / "main.py").write_text(program)
    main = subprocess.Popen([sys.executable, str(root / "main.py"), str(root)], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not ((root / "pid").exists() and (root / "pid").read_text()) and time.monotonic() < until:
        time.sleep(0.1)
    kernel = Path("/proc", (root / "pid").read_text())
    assert kernel.exists()
    os.kill(main.pid, signal.SIGKILL)
    main.wait()
    until = time.monotonic() + 20
    while kernel.exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not kernel.exists()
