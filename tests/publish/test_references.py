"""Numbers and links: equations by chapter, captions as places, mentions and terms as links, each once."""

import pytest
from bs4 import BeautifulSoup

from ramac_lib.publish.references import Page, connect, terms

FRAME = '<html><body><a href="#">figure 5.1</a><article class="bd-article">{}</article></body></html>'
CHAPTER = """<h1>5. Evidence</h1><p>A hazard strikes; a second hazard. See figures 5.1, 5.2 and 5.9, table 5a.1.</p>
<div class="math">a</div>
<div class="math" id="equation-own"><span class="eqno">(1)<a href="#equation-own">#</a></span>b</div>
<p>By <a class="reference" href="#equation-own">(1)</a>.</p>
<p><strong>Figure 5.1.</strong> Horizons of figure 5.2 and the paper's figure 8.</p>
<p>Not so: <strong>Figure 5.9.</strong></p><p><strong>Figure 5.2.</strong> Tied <code>hazard</code>.</p>
<p><strong>Figure 5.2.</strong> Again, in a row: see figure 5.2b.</p><table><tr><td><p>verdict</p></td></tr></table>"""
OTHER = """<h1>5a. How</h1><p>From <a class="reference" href="5_evidence.html#equation-own">(1)</a> and Figure 5.1:
behaviour
policies, each a hazard.</p><div class="math">c</div><p><strong>Table 5a.1.</strong> Rows, each a row.</p>"""
GLOSSARY = """<h1>Glossary</h1><dl class="glossary"><dt id="term-hazard">hazard<a class="headerlink">#</a></dt>
<dd><p>The rule. More of it.</p></dd><dt id="term-behaviour-policy">behaviour policy</dt><dd><p>Made data.</p></dd>
<dt id="term-row">row</dt><dd><p>A line.</p></dd><dt id="term-horizon">horizon</dt><dd><p>An end.</p></dd>
<dt id="term-verdict">verdict</dt><dd><p>What is said.</p></dd></dl>"""


@pytest.fixture
def pages():
    texts = {"book/5_evidence.html": CHAPTER, "book/5a_how.html": OTHER, "book/words.html": GLOSSARY}
    found = [Page(path, BeautifulSoup(FRAME.format(text), "html.parser")) for path, text in texts.items()]
    connect(found)
    return found


def links(page, kind):
    return [(link.text, link["href"]) for link in page.soup.select(f"a.{kind}")]


def test_equations_are_numbered_by_chapter_wherever_they_are_named(pages):
    first, second, _ = pages
    assert [mark.text for mark in first.soup.select(".eqno")] == ["(5.1)#", "(5.2)#"]
    assert [block["id"] for block in first.soup.select("div.math")] == ["equation-5-1", "equation-own"]
    assert [mark.text for mark in second.soup.select(".eqno")] == ["(5a.1)#"]
    assert [page.soup.select_one("p > a.reference[href*=equation]").text for page in (first, second)] == ["(5.2)"] * 2


def test_mentions_lead_to_the_caption_and_those_of_the_paper_nowhere(pages):
    first, second, _ = pages
    to = "5a_how.html#table-5a-1"
    assert links(first, "caption-link") == [
        ("5.1", "#figure-5-1"), ("5.2", "#figure-5-2a"), ("table 5a.1", to), ("figure 5.2", "#figure-5-2a"),
        ("figure 5.2b", "#figure-5-2b"),
    ]  # fmt: skip
    assert links(second, "caption-link") == [("Figure 5.1", "5_evidence.html#figure-5-1")]
    assert "See figures 5.1, 5.2 and 5.9, table 5a.1." in first.soup.text
    assert [p["id"] for p in first.soup.select("p[id]")] == ["figure-5-1", "figure-5-2a", "figure-5-2b"]
    captions = [strong.text for strong in first.soup.select("p[id] > strong")]
    assert captions == ["Figure 5.1.", "Figure 5.2a.", "Figure 5.2b."]
    assert not first.soup.select("strong a")


def test_a_term_is_linked_where_a_chapter_first_uses_it(pages):
    first, second, glossary = pages
    assert links(first, "term") == [
        ("hazard", "words.html#term-hazard"), ("Horizons", "words.html#term-horizon"), ("row", "words.html#term-row"),
    ]  # fmt: skip
    assert first.soup.select_one("a.term")["title"] == "The rule."
    assert [text for text, _ in links(second, "term")] == ["behaviour\npolicies", "hazard"]
    assert not links(glossary, "term")


def test_words_come_with_their_place_and_first_sentence(pages):
    assert terms(pages[2])["behaviour policy"] == ("book/words.html#term-behaviour-policy", "Made data.")


PLAIN = """<h1>2. Theory</h1><div class="cell_output"><img src="a.png"></div><p><em>A bound.</em> More.</p>
<p><em>Not of anything.</em></p><div class="cell_output"><table><tr><td><p>cell</p></td></tr></table></div>
<p> <em>Rows.</em></p><div class="cell_output"><img src="b.png"></div><p>Text between.</p><p><em>Late.</em></p>
<div class="cell_output"><img src="c.png"></div><div class="cell_output"><img src="d.png"></div>
<p><strong>Two of them.</strong></p><div class="cell_output"><img src="e.png"></div><h2>Next</h2><p><em>Apart.</em></p>
<p>As figure 2.2 shows.</p>"""


def test_captions_without_numbers_are_numbered_by_kind_and_can_be_named():
    page = Page("2.html", BeautifulSoup(FRAME.format(PLAIN), "html.parser"))
    connect([page])
    assert [strong.text for strong in page.soup.select("p > strong:first-child")] == [
        "Figure 2.1.", "Table 2.1.", "Figure 2.2.",
    ]  # fmt: skip
    assert page.soup.select_one("#figure-2-2").text == "Figure 2.2. Two of them."
    assert links(page, "caption-link") == [("figure 2.2", "#figure-2-2")]


def test_a_chapter_that_numbers_captions_itself_is_left_alone(pages):
    assert "Figure 5.3." not in pages[0].soup.text
