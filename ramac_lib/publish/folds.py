"""Folded code on built pages: one quiet fold where several stood, named by what it shows."""

from bs4 import BeautifulSoup, Tag


def tidy_folds(soup: BeautifulSoup) -> None:
    """Join folded cells that show nothing with the folded cell after them, and let every fold be named by its words.

    A chapter's set-up is several cells, and a helper stands in a cell before the one that uses it: for a reader they
    are one piece of code behind one picture.
    """
    for cell in soup.select("div.cell"):
        fold = _fold(cell)
        following = cell.find_next_sibling()
        if fold is None or len(cell.find_all(True, recursive=False)) > 1 or not isinstance(following, Tag):
            continue
        target = _fold(following)
        if target is None:
            continue
        summary = target.find("summary")
        assert isinstance(summary, Tag)
        for code in reversed(fold.select("div.cell_input")):
            summary.insert_after(code.extract())
        cell.decompose()
    for summary in soup.select("details.hide > summary[aria-label]"):
        del summary["aria-label"]


def _fold(cell: Tag) -> Tag | None:
    """Return the fold that hides a cell's code, None where it has none."""
    if cell.name != "div" or "cell" not in cell.get_attribute_list("class"):
        return None
    return cell.find("details", class_="above-input", recursive=False)  # type: ignore[return-value]
