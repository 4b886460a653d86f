"""The chapters' prose: no misspelling that codespell knows, none of the words that this book says otherwise."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
# CONTRIBUTING.md, "Prose": the field's word instead.
AVOIDED = {r"\blaws? of returns?\b": "distribution of returns", r"\bset beside\b": "compared with"}


def prose(path):
    """Return a page's Markdown."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return "\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")


PAGES = sorted([*BOOK.glob("*.ipynb"), *BOOK.glob("*.md")])


def test_words_are_spelt_right(tmp_path):
    for page in PAGES:
        (tmp_path / f"{page.name}.md").write_text(prose(page), encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "codespell_lib", str(tmp_path)], capture_output=True, text=True)
    assert done.stdout == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_fields_words_are_used(page):
    text = prose(page)
    found = {word: instead for word, instead in AVOIDED.items() if re.search(word, text, re.IGNORECASE)}
    assert found == {}
