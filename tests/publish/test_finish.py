"""Finished pages: what an image says to those who do not see it, its size, and the icons that are left."""

import base64
import io
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from PIL import Image

from ramac_lib.publish.finish import LEAST_ICONS, finish, used_icons
from ramac_lib.system.errors import RamacError


def png(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


PAGE = f"""<html><body><h1>Title</h1>
<div class="cell_output"><img alt="../_images/a.png" src="a.png"></div>
<div class="cell_output"><img src="a.png"></div>
<p>Between.</p>
<p><strong>Figure 5.1.</strong> Returns of .5 of the
rows while training. More of it.</p>
<h2>Section<a class="headerlink">#</a></h2>
<div class="cell_output"><img alt="own words" src="a.png" width="5"></div>
<div class="cell_output"><img alt="b.svg" src="data:image/png;base64,{png(900, 4)}"></div>
<p><strong>Bold</strong> but no caption.</p><h3>Next</h3><p><strong>Figure 6.</strong> Another's.</p>
<i class="fa-solid fa-sun"></i><div class="citation-list" role="list"><div>A</div></div>
<dl class="py"><dt class="sig">f(<dl><dd>a,</dd><dd>b</dd></dl>)</dt><dd>What it does.</dd></dl></body></html>"""


@pytest.fixture
def html(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "page.html").write_text(PAGE)
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    return tmp_path


def images(html):
    return BeautifulSoup((html / "page.html").read_text(), "html.parser").select("img")


def test_images_say_what_their_caption_says_and_know_their_size(html):
    finish(html)
    first, second, third, fourth = images(html)
    assert first["alt"] == second["alt"] == "Returns of .5 of the rows while training."
    assert (first["width"], first["height"], first["loading"]) == ("30", "20", "lazy")
    assert (third["alt"], third["width"]) == ("own words", "5")
    assert fourth["alt"] == "Section"
    assert (fourth["width"], fourth["class"]) == ("900", ["wide"])
    assert not first.has_attr("class")


def test_a_numbered_caption_says_more_than_an_images_own_words(tmp_path):
    (tmp_path / "_static").mkdir()
    drawn = f'<div class="cell_output"><img alt="dots" src="data:image/png;base64,{png(9, 4)}">'
    folded = "<details><summary>Numbers</summary><p>1</p></details></div>"
    page = f"{drawn}{folded}<p><strong>Figure 8.3.</strong> Means of ten seeds. More.</p><h2>Next</h2>{drawn}</div>"
    (tmp_path / "page.html").write_text(f"<html><body>{page}</body></html>")
    finish(tmp_path)
    assert [image["alt"] for image in images(tmp_path)] == ["Means of ten seeds.", "dots"]


def test_what_is_no_list_is_not_marked_up_as_one(html):
    finish(html)
    soup = BeautifulSoup((html / "page.html").read_text(), "html.parser")
    assert not soup.select("[role=list]")
    assert len(soup.select("dl")) == 1
    assert [line.text for line in soup.select("dt.sig > span.signature-lines > span")] == ["a,", "b"]
    assert soup.select_one("dl.py > dd").text == "What it does."


def test_an_image_that_cannot_be_read_is_named(html):
    (html / "a.png").write_text("no picture")
    with pytest.raises(RamacError, match=r"page.html: its image a.png cannot be read"):
        finish(html)


def icon(name):
    return f'{name}:[512,512,["x"],"f0{len(name):02d}","M1 2{"0" * 40}z"],'


def test_icons_that_no_page_names_go(html):
    many = "".join(icon(f"i{k}") for k in range(LEAST_ICONS))
    duo = '"half-moon":[5,5,[],"f1","M1z"],"two-parts":[5,5,[],"f2",["M1z","M2z"]]'
    script = html / "_static" / "fontawesome.js"
    script.write_text("var icons={" + icon("sun") + many + duo + "};run();")
    (html / "_static" / "theme.js").write_text('add("fa-two-parts")')
    finish(html)
    assert used_icons(html, script) == {"solid", "sun", "two-parts"}
    assert script.read_text() == "var icons={" + icon("sun") + '"two-parts":[5,5,[],"f2",["M1z","M2z"]]};run();'


def test_a_script_of_another_form_stays(html):
    script = html / "_static" / "fontawesome.js"
    script.write_text("var icons={" + icon("moon") + "};")
    finish(html)
    assert "moon" in script.read_text()


def test_the_search_shows_a_pages_own_words(html):
    script = html / "_static" / "searchtools.js"
    script.write_text('for (const q of [".headerlink", "script", "style"]) { drop(q); }')
    finish(html)
    assert script.read_text().startswith('for (const q of [".headerlink", "script", "style", ".prev-next-footer", ')
    assert '"details.hide"' in script.read_text()


def test_sphinx_still_lists_what_its_search_drops():
    """Else its excerpts would hold buttons again."""
    sphinx = pytest.importorskip("sphinx")
    script = Path(sphinx.__file__).parent / "themes" / "basic" / "static" / "searchtools.js"
    assert '[".headerlink", "script", "style"]' in script.read_text(encoding="utf-8")


def test_a_wide_image_scrolls_apart_from_its_caption(tmp_path):
    (tmp_path / "_static").mkdir()
    wide = f'<img src="data:image/png;base64,{png(900, 4)}">'
    (tmp_path / "page.html").write_text(
        f'<html><body><div class="cell_output">{wide}</div>'
        f'<div class="cell_output">{wide}<p>Said.</p></div></body></html>'
    )
    finish(tmp_path)
    alone, said = images(tmp_path)
    assert alone.parent["class"] == ["cell_output"]
    assert (said.parent["class"], said.parent.find_next_sibling().get_text()) == (["output"], "Said.")


def test_a_formula_of_a_caption_is_read_out(tmp_path):
    (tmp_path / "_static").mkdir()
    said = r"At <i>\(\kappa = 3\)</i>, CVaR<i>\(_{0.1}\)</i> and <i>\(\mathrm{CVaR}_\alpha(Z)\)</i>."
    page = f'<div class="cell_output"><img src="a.png"></div><p><strong>Figure 1.1.</strong> {said}</p>'
    (tmp_path / "page.html").write_text(f"<html><body>{page}</body></html>")
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    finish(tmp_path)
    assert images(tmp_path)[0]["alt"] == "At κ = 3, CVaR_0.1 and CVaR_α(Z)."


def test_a_list_in_a_list_belongs_to_the_item_before_it(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "page.html").write_text("<html><body><ul><li>a</li><ul><li>a.b</li></ul><li>c</li></ul></body></html>")
    finish(tmp_path)
    soup = BeautifulSoup((tmp_path / "page.html").read_text(), "html.parser")
    assert str(soup.ul) == "<ul><li>a<ul><li>a.b</li></ul></li><li>c</li></ul>"


def test_numbers_have_minus_signs_and_keep_their_percent_but_not_in_code_or_files(tmp_path):
    (tmp_path / "_static").mkdir()
    data = '<a href="data:text/csv;base64,LTE=" download="a-1.csv">Save as a-1.csv</a>'
    said = "<p>It is -3.2 [-4, -1] from 0-1, <em>n</em>-1, <code>--x -1</code>, 5 % of 9 %.</p>"
    table = "<table><tr><td>-.5</td><td>-36 / -324</td></tr></table><pre>-1</pre><div class='math'>x = -1</div>"
    table += '<dl class="py"><dt class="sig">f(x=<span>-2.0</span>)</dt></dl>'
    (tmp_path / "page.html").write_text(
        f"<html><body><p>-1</p><article class='bd-article'>{said}{table}{data}</article></body></html>"
    )
    finish(tmp_path)
    soup = BeautifulSoup((tmp_path / "page.html").read_text(), "html.parser")
    assert (
        soup.select_one("article p").get_text()
        == "It is −3.2 [−4, −1] from 0-1, n-1, --x -1, 5\N{NO-BREAK SPACE}% of 9\N{NO-BREAK SPACE}%."
    )
    assert [cell.get_text() for cell in soup.select("td")] == ["−.5", "−36 / −324"]
    kept = [soup.select_one(name).get_text() for name in ("pre", ".math", "dt.sig")]
    assert kept == ["-1", "x = -1", "f(x=-2.0)"]  # Python, as one copies it
    assert soup.select_one("article a")["href"] == "data:text/csv;base64,LTE="
    assert soup.select_one("article a").get_text() == "Save as a-1.csv"
