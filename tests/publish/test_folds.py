"""Folds of code: those that show nothing join the next, in the order in which they run."""

from bs4 import BeautifulSoup

from ramac_lib.publish.folds import tidy_folds

FOLD = '<details class="admonition hide above-input"><summary aria-label="Toggle"><p>Show</p></summary>{}</details>'


def cell(code, output="", fold=True):
    inside = f'<div class="cell_input">{code}</div>'
    return f'<div class="cell">{FOLD.format(inside) if fold else inside}{output}</div>'


def test_folds_before_one_that_shows_something_join_it():
    page = cell("one") + cell("two") + cell("three", '<div class="cell_output">shown</div>') + "<p>text</p>"
    page += cell("alone") + "<p>text</p>" + cell("open", fold=False) + cell("last")
    soup = BeautifulSoup(page, "html.parser")
    tidy_folds(soup)
    folds = [[part.text for part in fold.select(".cell_input")] for fold in soup.select("details")]
    assert folds == [["one", "two", "three"], ["alone"], ["last"]]
    assert len(soup.select(".cell")) == 4
    assert soup.select_one(".cell_output").text == "shown"
    assert not soup.select("[aria-label]")
