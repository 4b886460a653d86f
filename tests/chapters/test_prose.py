"""The chapters' prose: no misspelling that codespell knows, none of the words that this book says otherwise."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
# CONTRIBUTING.md, "Prose": the field's word instead.
AVOIDED = {
    r"(?<!Amdahl's )\blaws?\b": "distribution",
    r"\bset beside\b|\bstands? beside\b": "compared with",
    r"\bundecided\b|\bnot told apart\b": "inconclusive",
    r"\btold apart\b": "differs",
    r"\bforetells?\b": "predicts",
    r"\bput down to\b": "attributed to",
    r"\bWhere (this|it) says nothing\b": "What this does not say",
}


def prose(path):
    """Return a page's Markdown, less inline code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return re.sub(r"`[^`\n]*`", "``", text)


def spoken(path):
    """Return what a page's own sentences say when it is made, from its stored outputs."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = [o.get("data", {}).get("text/markdown", "") for c in cells for o in c.get("outputs", [])]
    return "\n".join(text if isinstance(text, str) else "".join(text) for text in texts if text)


# proselint's rules that contradict this book's conventions (straight quotes, "resume" for runs), or read a heading and
# the sentence after it, or `--methods radac radac:…`, as one phrase.
UNFIT = ("typography", "lexical_illusions", "dates_times", "spelling")
PAGES = sorted([*BOOK.glob("*.ipynb"), *BOOK.glob("*.md")])


def test_words_are_spelt_right(tmp_path):
    for page in PAGES:
        (tmp_path / f"{page.name}.md").write_text(prose(page), encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "codespell_lib", str(tmp_path)], capture_output=True, text=True)
    assert done.stdout == ""


def plain(text):
    """Return Markdown without formulas, blocks of code and roles, which are no prose."""
    for marked in (r"```.*?```", r"\$\$.*?\$\$", r"\$[^$]*\$", r"\{[\w:]+\}`[^`]*`"):
        text = re.sub(marked, "N", text, flags=re.DOTALL)
    return text


def test_proselint_finds_nothing(tmp_path):
    for page in PAGES:
        text = prose(page) + (spoken(page) if page.suffix == ".ipynb" else "")
        (tmp_path / f"{page.name}.md").write_text(plain(text), encoding="utf-8")
    (tmp_path / "wrong.md").write_text("It was a very unique bare-faced lie.", encoding="utf-8")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"checks": dict.fromkeys(UNFIT, False)}))
    command = [sys.executable, "-m", "proselint", "check", "--config", str(config), str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    assert [line for line in found if "wrong.md" not in line] == []
    assert any("wrong.md" in line for line in found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_fields_words_are_used(page):
    text = prose(page) + (re.sub(r"`[^`]*`", "``", spoken(page)) if page.suffix == ".ipynb" else "")
    found = {word: instead for word, instead in AVOIDED.items() if re.search(word, text, re.IGNORECASE)}
    assert found == {}
