"""Tabs: one open, each label with its own panel, everything inside."""

import base64
import io

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from ramac_lib.system.errors import RamacError
from support.tabs import fold, spoken, tabs


def test_each_label_opens_its_own_panel():
    figure, axes = plt.subplots(figsize=(2, 1), dpi=50)
    axes.plot([0, 1])
    table = pd.DataFrame({"mean": [1.25]}).style.format(precision=1)
    soup = BeautifulSoup(tabs("one", [("a < b", ["**bold** <3", figure]), ("second", [table])]).data, "html.parser")
    inputs, labels, panels = (soup.select(kind) for kind in ("input", "label", "div.sd-tab-content"))
    assert [tag.has_attr("checked") for tag in inputs] == [True, False]
    assert {tag["name"] for tag in inputs} == {"one"}
    assert [tag["for"] for tag in labels] == [tag["id"] for tag in inputs] == ["one-0", "one-1"]
    assert [tag.text for tag in labels] == ["a < b", "second"]
    order = [tag.name for tag in soup.select_one("div.sd-tab-set").find_all(recursive=False)]
    assert order == ["input", "label", "div"] * 2  # what the stylesheet counts on
    assert panels[0].select_one("strong").text == "bold"
    assert panels[0].text.strip() == "bold <3"
    image = panels[0].select_one("img")
    assert image["alt"] == "one, a < b"
    assert Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))).width > 50
    assert panels[1].select_one("td").text == "1.2"
    assert not plt.fignum_exists(figure.number)


@pytest.mark.parametrize("panels", [[], [("a", []), ("a", [])]], ids=["none", "twice"])
def test_labels_that_tell_nothing_apart_are_refused(panels):
    with pytest.raises(RamacError, match="expected at least one, each once"):
        tabs("x", panels)


def test_a_fold_is_closed_and_holds_everything():
    table = pd.DataFrame({"mean": [1.25]}).style.format(precision=1)
    details = BeautifulSoup(fold("a < b", ["*one*", table]).data, "html.parser").details
    assert not details.has_attr("open")
    assert details.summary.text == "a < b"
    assert (details.em.text, details.td.text) == ("one", "1.2")


def test_a_pictures_alternative_text_names_its_table_as_the_page_does():
    assert spoken("table-8b-2") == "table 8b.2"
    assert spoken("figure-5-1, hopper, paper") == "figure 5.1, hopper, paper"
    assert spoken("table-7-7-hopper-medium-expert-paper") == "table 7.7, hopper-medium-expert-paper"
    assert spoken("rates") == "rates"
