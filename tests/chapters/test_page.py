"""How a chapter begins, what a wrong parameter is told, and that tables can be read in light and in dark."""

import email
import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import nbformat
import pandas as pd
import papermill
import pytest
import torch
from papermill.exceptions import PapermillExecutionError

from ramac_lib import __version__
from ramac_lib.publish import browser
from ramac_lib.publish.chapters import chapters
from ramac_lib.system.errors import RamacError
from support import page
from support.listing import beside

ROOT = Path(__file__).parents[2]
CHAPTERS = chapters(ROOT)
GIVEN = {"profile": "quick", "source": "bundled", "device": "cpu", "seeds": [0]}


@pytest.fixture(autouse=True)
def unchanged():
    """Give back what a chapter's beginning sets for its whole process."""
    threads = torch.get_num_threads()
    with mpl.rc_context():
        yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("seeds", "taken"), [(1, [1]), ([0, 1], [0, 1]), ((3, 2), [3, 2]), (range(2), [0, 1]), ([7], [7])]
)
def test_a_number_is_one_seed(seeds, taken):
    assert page.begin({**GIVEN, "seeds": seeds}) == ("quick", "bundled", "cpu", taken)


@pytest.mark.parametrize("seeds", ["[1]", "1", 1.5, True, -1, [0, "1"], [0, -1], [1, 1], None, []])
def test_other_seeds_are_told_the_syntax(seeds):
    with pytest.raises(RamacError, match=re.escape(f"seeds is {seeds!r}: expected") + ".*-y 'seeds: \\[0, 1\\]'"):
        page.begin({**GIVEN, "seeds": seeds})


def test_no_seeds_is_right_where_the_chapter_has_its_own():
    assert page.begin({**GIVEN, "seeds": []}, own_seeds=True)[3] == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("profile", "fast", "unknown profile 'fast': choose one of quick, laptop, gpu, paper"),
        ("profile", 3, "unknown profile '3'"),
        ("profile", ["quick"], "unknown profile"),
        ("device", "tpu", "unknown device 'tpu': choose one of auto, cpu, cuda"),
        ("source", "s3", "unknown source 's3': choose one of bundled, d4rl, dsrl, minari"),
        ("source", 3, "unknown source '3'"),
        ("source", "no.hdf5", "source no.hdf5: there is no such file"),
        ("source", "no/folder", "source no/folder: there is no such file"),
    ],
)
def test_an_unknown_value_is_refused(name, value, said):
    with pytest.raises(RamacError, match=re.escape(said)):
        page.begin({**GIVEN, name: value})


@pytest.mark.parametrize("source", ["d4rl", "minari", "minari:mujoco/hopper/expert-v0"])
def test_known_sources_are_taken(source):
    assert page.begin({**GIVEN, "source": source})[1] == source


def test_a_file_is_a_source(tmp_path):
    path = tmp_path / "mine.hdf5"
    path.touch()
    assert page.begin({**GIVEN, "source": str(path)})[1] == str(path)


def test_a_missing_parameter_is_named():
    with pytest.raises(RamacError, match="device is not set: run the cell of the parameters first"):
        page.begin({name: value for name, value in GIVEN.items() if name != "device"})


def test_only_what_papermill_injected_is_held_against_the_parameters():
    """A reader who runs the first cell again has names of his own by then."""
    ran = ["", 'profile = "quick"', "# Parameters\nseeds = 1\n", "from support import page", "profil = 1; rows = []"]
    assert page.begin({**GIVEN, "rows": [], "In": ran})[0] == "quick"
    ran[2] = '# Parameters\nseeds = 1\nprofil = "gpu"\n'
    with pytest.raises(RamacError, match="unknown parameter 'profil': choose one of profile, source, device, seeds"):
        page.begin({**GIVEN, "In": ran})


def test_data_that_are_not_there_are_missed_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("RAMAC_DATA", str(tmp_path / "none"))
    with pytest.raises(RamacError, match=r"none is not there: .*pip install -e \."):
        page.begin(GIVEN)


def test_threads_are_limited_only_where_asked_for():
    torch.set_num_threads(2)
    page.begin(GIVEN)
    page.begin({**GIVEN, "profile": "laptop"}, one_thread=True)
    assert torch.get_num_threads() == 2
    page.begin(GIVEN, one_thread=True)
    assert torch.get_num_threads() == 1


def test_the_page_says_where_it_is_from(monkeypatch):
    facts = "Metadata-Version: 2.4\nName: ramac-lib\nProject-URL: Changes, https://x.org/c\n"
    for line, address in (("", ""), ("Project-URL: Repository, https://x.org/r\n", "https://x.org/r")):
        message = email.message_from_string(facts + line)
        monkeypatch.setattr(importlib.metadata, "metadata", lambda name, found=message: found)
        assert page.repository() == address
        assert page.origin().startswith(f"ramac_lib {__version__}")
        assert "pip install -e '.[book]'" in page.origin()
        assert ("git clone https://x.org/r" in page.origin()) == bool(address)

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "metadata", absent)
    assert page.repository() == ""


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_every_chapter_begins_alike_and_finds_its_data_from_anywhere(chapter):
    cells = [cell for cell in nbformat.read(chapter.path, 4).cells if cell.cell_type == "code"]
    assert "parameters" in cells[0].metadata.tags
    assert "-y 'seeds: [0, 1]'" in cells[0].source
    assert re.search(r"^profile, source, device, seeds = \w+\.begin\(globals\(\)", cells[1].source, re.M)
    assert cells[1].source.startswith("try:\n    from support import page")
    assert re.match(r"<small>ramac_lib \d.*`pip install -e '\.\[book\]'`", cells[1].outputs[0].data["text/markdown"])
    assert not [cell.source for cell in cells if "../" in cell.source]


def _beginning(target: Path, count: int) -> Path:
    """Write the first `count` code cells of the introduction to a notebook elsewhere."""
    notebook = nbformat.read(ROOT / "book" / "intro.ipynb", 4)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"][:count]
    nbformat.write(notebook, target)
    return target


@pytest.mark.slow
def test_a_copied_notebook_finds_its_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = papermill.execute_notebook(_beginning(tmp_path / "copy.ipynb", 5), None, {"seeds": 1}, progress_bar=False)
    shown = [output.data.get("text/markdown", "") for cell in made.cells for output in cell.outputs if "data" in output]
    assert "The released code of RADAC computes something else." in "".join(shown)


@pytest.mark.slow
def test_a_notebook_shows_the_sentence_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PapermillExecutionError) as caught:
        papermill.execute_notebook(
            _beginning(tmp_path / "copy.ipynb", 2), tmp_path / "out.ipynb", {"profil": "quick"}, progress_bar=False
        )
    said = "RamacError: unknown parameter 'profil': choose one of profile, source, device, seeds"
    assert str(caught.value).strip().splitlines()[1:] == ['Exception encountered at "In [3]":', said]


@pytest.mark.slow
def test_without_the_package_the_first_cell_says_how_to_get_it(tmp_path, monkeypatch):
    """As in the book's folder with nothing installed: `support` is there, what it imports is not."""
    shutil.copytree(ROOT / "book" / "support", tmp_path / "support")
    (tmp_path / "ramac_lib.py").write_text("raise ModuleNotFoundError(\"No module named 'ramac_lib'\")")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(PapermillExecutionError, match="No module named 'ramac_lib': git clone the book, then pip"):
        papermill.execute_notebook(_beginning(tmp_path / "copy.ipynb", 2), None, progress_bar=False)


_MEASURE = """
addEventListener("load", () => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => channels(colour).slice(0, 3)
    .map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if ((channels(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [...document.querySelectorAll("td, th, td *")]
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((element) => {
      const [dark, bright] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => a - b);
      return [element.closest("section").id, element.closest("tr").rowIndex, (bright + 0.05) / (dark + 0.05)];
    });
  document.body.insertAdjacentHTML("beforeend", `<pre id="found">${JSON.stringify(found)}</pre>`);
});
"""


def _static(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "theme" / package / "static" / "styles"


def test_a_stacked_table_names_every_cell_on_a_phone_but_its_title():
    table = pd.DataFrame({"": ["1"], "where": ["5"], "finding": ["a"], "size": ["-1 [-2, 0]"]})
    html = page.stacked(table, "one", "finding", "size", ["where"]).data
    narrow, _, whole = html.partition("</style>")
    assert narrow.startswith("<style>\n@media (max-width: 600px) {")
    named = re.findall(r'(\.col\d)::before \{ content: "(.*?): "', narrow)
    assert named == [(".col2", "where"), (".col3", "size")]
    assert re.findall(r"(\.col\d) \{ font-weight: 600; float", narrow) == [".col0"]
    assert re.findall(r"(\.col\d) \{ display: inline", narrow) == [".col2"]
    assert set(re.findall(r"^(\S+)", narrow.split("{", 1)[1], re.MULTILINE)) == {"#T_one", "#T_one,", "}"}
    assert re.findall(r"<td.*?>(.*?)</td>", whole) == ["1", "a", "5", "-1 [-2, 0]"]  # the title comes first
    with pytest.raises(RamacError, match="unknown column 'name'"):
        page.stacked(table, "two", "name")


@pytest.mark.skipif(browser.find() is None, reason="needs a Chromium")
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_row_of_every_table_can_be_read(mode, tmp_path):
    """WCAG's 4.5:1, for the four ways in which chapters make tables; rows are striped, so odd and even ones differ."""
    numbers = pd.DataFrame({"a": [1.0, 2.0, 3.0], "words": ["x", "y", "z"]}, index=["one", "two", "three"])
    tables = {
        "styled": page.wrapped(numbers, "numbers", ["words"]).to_html(),
        "plain": numbers.to_html(),
        "stacked": page.stacked(numbers.astype(str), "stacked", "words", "a").data,
        "listing": beside([(f"sentence {k}", f"if x < {k}:  # why\n    return 'text'") for k in range(3)]),
    }
    sections = "".join(
        f'<section id="{name}"><div class="cell docutils container"><div class="cell_output docutils container">'
        f'<div class="output text_html">{table}</div></div></div></section>'
        for name, table in tables.items()
    )
    book, theme = _static("sphinx_book_theme"), _static("pydata_sphinx_theme")
    sheets = [*sorted(theme.glob("*.css"), reverse=True), *book.glob("*.css"), ROOT / "book" / "_static" / "book.css"]
    links = "".join(f'<link rel="stylesheet" href="{sheet.as_uri()}">' for sheet in sheets)
    path = tmp_path / "page.html"
    path.write_text(
        f'<!DOCTYPE html><html data-theme="{mode}" data-mode="{mode}"><head>{links}<script>{_MEASURE}</script></head>'
        f'<body><div class="bd-main"><div class="bd-content">{sections}</div></div></body></html>'
    )
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    program = browser.find()
    assert program is not None
    done = subprocess.run([program, *arguments, path.as_uri()], capture_output=True, text=True, timeout=120)
    found = json.loads(
        re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)[-1]
    )  # the first is the script's own
    assert {(name, row) for name, row, _ in found} == {(name, row) for name in tables for row in range(4)}
    assert [(name, row, round(ratio, 2)) for name, row, ratio in found if ratio < 4.5] == []


@pytest.mark.parametrize("chapter", [c for c in CHAPTERS if c.name[0].isdigit()], ids=lambda c: c.name)
def test_a_chapters_title_begins_with_its_files_number(chapter):
    cells = json.loads(chapter.path.read_text(encoding="utf-8"))["cells"]
    first = "".join(cells[0]["source"]).splitlines()[0]
    assert first.startswith(f"# {chapter.name.partition('_')[0]}. ")


# -- what a page does not show ----------------------------------------------------------------------------------------

FOLDED = {"hide-input", "remove-input", "hide-cell", "remove-cell"}


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_a_page_begins_with_words_and_not_with_its_imports(chapter):
    """The parameters, the set-up and cells that only define helpers are folded; marks for tests are no code."""
    for cell in nbformat.read(chapter.path, 4).cells:
        if cell.cell_type == "code":
            tags = set(cell.metadata.get("tags", []))
            assert "NBVAL" not in cell.source, cell.source.splitlines()[0]
            if "parameters" in tags or cell.source.startswith("try:\n    from support import page"):
                assert tags & FOLDED


CHECKED = """
import nbformat, sys
from nbformat.v4 import new_code_cell, new_notebook, new_output
stored = new_output("stream", name="stdout", text=sys.argv[2] + "\\n")
cell = new_code_cell("print('computed')", execution_count=1, outputs=[stored])
if sys.argv[3:]:
    cell.metadata["tags"] = sys.argv[3:]
nbformat.write(new_notebook(cells=[cell]), sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stored", "tags", "passes"),
    [("computed", ["nbval-check-output"], True), ("else", ["nbval-check-output"], False), ("else", [], True)],
    ids=["same", "other", "other, not tagged"],
)
def test_a_tagged_cell_is_held_to_its_output(stored, tags, passes, tmp_path):
    path = tmp_path / "one.ipynb"
    subprocess.run([sys.executable, "-c", CHECKED, str(path), stored, *tags], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", str(path)],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode == 0) == passes, done.stdout


def test_some_outputs_of_most_chapters_are_checked():
    tagged = {
        chapter.name: sum(
            "nbval-check-output" in cell.metadata.get("tags", []) for cell in nbformat.read(chapter.path, 4).cells
        )
        for chapter in CHAPTERS
    }
    assert sum(tagged.values()) >= 32
    assert len([name for name, count in tagged.items() if count]) >= 8


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_a_cell_with_outputs_says_that_it_was_run(chapter):
    """Nbval refuses to run a cell that has outputs and no number."""
    cells = [cell for cell in nbformat.read(chapter.path, 4).cells if cell.cell_type == "code"]
    assert not [cell.id for cell in cells if cell.outputs and cell.execution_count is None]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_a_committed_chapter_has_no_warnings_of_the_machine_that_ran_it(chapter):
    cells = [cell for cell in nbformat.read(chapter.path, 4).cells if cell.cell_type == "code"]
    streams = [(cell.id, output.name) for cell in cells for output in cell.outputs if output.output_type == "stream"]
    assert not [where for where, name in streams if name == "stderr"]
    assert not re.search(r'"[^"\s]*/site-packages/', chapter.path.read_text(encoding="utf-8"))


def test_a_headed_table_has_one_row_of_heads_and_its_index():
    table = pd.DataFrame({"robot": ["a", "a"], "policy": ["x", "y"], "return": [1, 2]})
    indexed = table.set_index(["robot", "policy"])
    two = page.headed(indexed)
    assert indexed.index.names == ["robot", "policy"]
    head, _, body = two.to_html().partition("<tbody>")
    assert head.count("<tr") == 1
    assert re.findall(r"<th[^>]*>([^<]*)</th>", head) == ["", "policy", "return"]
    assert re.findall(r">(a|x|y)</th>", body) == ["a", "x", "y"]
    assert two._repr_html_().count('<th style="text-align: left">') == 2  # as their columns
    one = page.headed(table[["policy", "return"]].set_index("policy")).to_html().partition("<tbody>")[0]
    assert (one.count("<tr"), re.findall(r"<th[^>]*>([^<]*)</th>", one)) == (1, ["policy", "return"])


def test_numbers_in_tables_have_minus_signs():
    table = pd.DataFrame({"a": [-1.234, float("nan")], "b": [-2, 3], "words": ["m-1", "-1"]})
    html = page.wrapped(table, "numbers", ["words"]).to_html()
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", html)
    assert cells == ["−1.23", "−2", "m-1", "nan", "3", "-1"]


def test_a_power_of_ten_is_raised():
    told = [page.power(value, digits) for value, digits in ((4.2e-16, 0), (9.24e-6, 1), (1e-5, 0), (-3e12, 0), (0, 0))]
    assert told == ["4·10⁻¹⁶", "9.2·10⁻⁶", "10⁻⁵", "−3·10¹²", "0"]
