"""The book as one document: anchors that cannot clash, links that stay inside, and a PDF of it."""

import signal
import sys

import pikepdf
import pytest
from bs4 import BeautifulSoup

from ramac_lib.publish import browser, pdf
from ramac_lib.system.errors import RamacError

PAGE = """<html><head><link rel="stylesheet" href="../_static/a.css"><script>window.MathJax = {{}}</script>
<script src="../_static/theme.js"></script></head><body><article class="bd-article"><section id="top"><h1>{title}</h1>
{body}</section></article><div class="footer-item"><div class="extra_footer">Licence.</div></div></body></html>"""
FIRST = """<h2>Part</h2><a href="b.html#top">over</a><a href="#top">up</a><a href="b.html">whole</a>
<a href="https://x.org">out</a><a href="../_sources/a.ipynb">file</a><img src="../_images/p.png" loading="lazy">
<details class="hide"><summary>code</summary>x</details><details class="solution"><summary>S</summary>y</details>
<noscript><img src="still.png"></noscript><script>draw()</script><a href="data:text/csv;base64,YQ==">save</a>"""


@pytest.fixture
def html(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "a.html").write_text(PAGE.format(title="A", body=FIRST))
    (tmp_path / "book" / "b.html").write_text(PAGE.format(title="B", body="<p>text</p>"))
    return tmp_path


def test_pages_become_one_whose_links_stay_inside(html):
    whole = BeautifulSoup(pdf.join(html, ["book/a.html", "book/b.html"], "T", "E"), "html.parser")
    anchors = [tag["id"] for tag in whole.select("[id]")]
    assert anchors == ["book-a", "book-a--top", "book-b", "book-b--top"]
    found = {link.text: link.get("href") for link in whole.select("section.page a")}
    inside = {"over": "#book-b--top", "up": "#book-a--top", "whole": "#book-b"}
    assert found == {**inside, "out": "https://x.org", "file": None}
    assert [link["href"] for link in whole.select("nav a")] == ["#book-a--top", "#book-a--top", "#book-b--top"]
    assert [image["src"] for image in whole.select("img")] == ["_images/p.png", "book/still.png"]
    assert not whole.select("img[loading], details.hide")
    assert whole.select_one("details.solution").has_attr("open")
    assert [tag.get("href") for tag in whole.select("link")] == ["_static/a.css"]
    assert [script.text for script in whole.select("script")] == ["window.MathJax = {}"]


def test_every_page_links_the_pdf(html):
    pdf.link(html)
    soup = BeautifulSoup((html / "book" / "a.html").read_text(), "html.parser")
    assert soup.select_one(".extra_footer a")["href"] == f"../{pdf.NAME}"


def test_what_is_no_page_is_named(html):
    (html / "book" / "b.html").write_text("<p>nothing</p>")
    with pytest.raises(RamacError, match=r"book/b\.html is no page of the book"):
        pdf.join(html, ["book/b.html"], "T", "E")


def test_without_a_browser_there_is_none(html, monkeypatch):
    monkeypatch.setattr(browser, "find", lambda: None)
    with pytest.raises(RamacError, match="a PDF is printed by Chromium, and none was found"):
        pdf.print_book(html, ["book/a.html"], "T", "E")


@pytest.mark.skipif(browser.find() is None, reason="needs a Chromium")
@pytest.mark.slow
def test_a_book_is_printed(html):
    long = "Chapter " + "of many words " * 12 + "at its end"
    (html / "book" / "b.html").write_text(PAGE.format(title=long, body="<p>text</p>"))
    made = pdf.print_book(html, ["book/a.html", "book/b.html"], "T", "E")
    with pikepdf.open(made) as book:
        assert len(book.pages) == 4  # cover, contents, two pages
        with book.open_outline() as outline:
            assert [one.title for one in outline.root] == [
                "Contents",
                "A",
                long,
            ]  # Chromium: "ofmany" where a line ends
    assert not (html / "whole-book.html").exists()
    assert "as PDF" in (html / "book" / "b.html").read_text()


@pytest.mark.skipif(browser.find() is None, reason="needs a Chromium")
@pytest.mark.slow
def test_a_pdf_that_is_too_large_is_refused(html, monkeypatch):
    monkeypatch.setattr(pdf, "MOST", 100)
    with pytest.raises(RamacError, match="expected at most 0"):
        pdf.print_book(html, ["book/a.html"], "T", "E")


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel")
def test_the_program_that_prints_ends_with_who_started_it(tmp_path):
    """PR_GET_PDEATHSIG of <sys/prctl.h> is 2; the program writes the signal that the kernel has for it."""
    program = tmp_path / "chromium"
    program.write_text(
        f"#!{sys.executable}\nimport ctypes, sys\nfound = ctypes.c_int()\n"
        "ctypes.CDLL(None).prctl(2, ctypes.byref(found))\n"
        "(path,) = (a.partition('=')[2] for a in sys.argv if a.startswith('--print-to-pdf='))\n"
        "open(path, 'w').write(str(found.value))\n"
    )
    program.chmod(0o755)
    pdf._print(str(program), tmp_path / "page.html", tmp_path / "book.pdf")
    assert (tmp_path / "book.pdf").read_text() == str(int(signal.SIGKILL))


def test_small_objects_are_packed(html, monkeypatch):
    def printed(program, page, target):
        with pikepdf.new() as book:
            book.Root.Many = book.make_indirect(pikepdf.Array([book.make_indirect({"/K": k}) for k in range(3000)]))
            book.save(target, object_stream_mode=pikepdf.ObjectStreamMode.disable)
        sizes.append(target.stat().st_size)

    sizes: list[int] = []
    monkeypatch.setattr(browser, "find", lambda: "chromium")
    monkeypatch.setattr(pdf, "_print", printed)
    made = pdf.print_book(html, ["book/a.html"], "T", "E")
    assert made.stat().st_size < 0.3 * sizes[0]
    with pikepdf.open(made) as book:
        assert [int(one.K) for one in book.Root.Many] == list(range(3000))
