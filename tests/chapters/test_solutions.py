"""Every exercise of every chapter has a solution, folded, that the exercise links to, and whose numbers are checked."""

import json
import re
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
CHAPTERS = sorted(path for path in BOOK.glob("*.ipynb") if path.name[0].isdigit())


def cells(path):
    """Return (kind, id, source, tags) of a notebook's cells."""
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [(c["cell_type"], c["id"], "".join(c["source"]), c["metadata"].get("tags", [])) for c in found]


def exercises(path):
    """Return the place of the exercises' cell, and its numbered items."""
    places = [k for k, (_, _, text, _) in enumerate(cells(path)) if text.startswith("## Exercises\n")]
    assert len(places) == 1, f"{path.name} has {len(places)} cells that begin with '## Exercises'"
    text = cells(path)[places[0]][2]
    items = re.split(r"^(?=\d+\. )", text, flags=re.M)[1:]
    assert [int(item.partition(".")[0]) for item in items] == list(range(1, len(items) + 1))
    return places[0], items


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_every_exercise_links_to_its_solution_and_back(path):
    chapter = path.name.partition("_")[0]
    place, items = exercises(path)
    assert items
    texts = [text for kind, _, text, _ in cells(path)[place + 1 :] if kind == "markdown"]
    for number, item in enumerate(items, 1):
        name = f"{chapter}-{number}"
        assert f'<span id="exercise-{name}"></span>' in item
        assert f'<a href="#solution-{name}">solution</a>' in item
        (text,) = [text for text in texts if f'<span id="solution-{name}"></span>' in text]
        assert text.startswith(f'<details class="solution">\n<summary>Solution {chapter}.{number}</summary>\n')
        assert f'<a href="#exercise-{name}">' in text
        assert text.rstrip().endswith("</details>")
        assert len(text) > 300


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_solutions_follow_the_exercises_in_their_order_and_check_what_they_compute(path):
    place, items = exercises(path)
    chapter = path.name.partition("_")[0]
    after = cells(path)[place + 1 :]
    assert [name for kind, name, _, _ in after if kind == "markdown"] == [
        f"solution-{chapter}-{number}" for number in range(1, len(items) + 1)
    ]
    for before, (kind, name, text, tags) in zip([None, *after], after, strict=False):
        if kind == "code":
            assert before is not None
            assert name == f"{before[1]}-check"
            assert "hide-cell" in tags
            assert "assert " in text or "nbval-check-output" in tags


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_a_solution_without_numbers_of_its_own_says_so_where_it_needs_a_long_run(path):
    """A solution that asks for a command of hours or for other data is marked as not run."""
    place, _ = exercises(path)
    for kind, name, text, _ in cells(path)[place + 1 :]:
        if kind == "markdown" and re.search(r"^(ramac|python -m) ", text, re.M):
            assert "not run" in text, name
