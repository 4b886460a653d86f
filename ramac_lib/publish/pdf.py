"""The whole book as one PDF: its built pages one after the other, printed by a headless Chromium."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from posixpath import normpath
from urllib.parse import quote, unquote, urlsplit

import pikepdf
from bs4 import BeautifulSoup, Tag

from ramac_lib.publish import browser
from ramac_lib.system.errors import RamacError
from ramac_lib.system.processes import set_death_signal

NAME = "ramac-reproduced.pdf"
MOST = 15_000_000  # bytes
_STYLE = """
@page { size: A4; margin: 18mm 16mm 20mm; @bottom-center { content: counter(page); font: 9pt sans-serif; } }
@page :first { @bottom-center { content: ""; } } body { font-size: 10pt; background: #fff; color: #000; padding: 0; }
.cover { height: 200mm; display: flex; flex-direction: column; justify-content: center; }
.contents ul { list-style: none; padding-left: 1.2em; } .contents > ul > li { margin-top: .5em; font-weight: 600; }
.contents li li { font-weight: 400; margin: 0; } section.page, nav.contents { break-before: page; }
h1, h2, h3 { break-after: avoid; } h1 { display: block !important; }   /* the theme prints the title elsewhere */
nav.contents { background: none !important; } img, tr, div.math, dt { break-inside: avoid; }
img { max-width: 100% !important; height: auto; }
pre { white-space: pre-wrap !important; overflow-wrap: anywhere; font-size: 7.5pt !important; }
table { font-size: 7.5pt !important; max-width: 100%; }
td, th { white-space: normal !important; padding: .15rem .3rem !important; }
.cell_output, .book-tabs > .sd-tab-content { overflow: visible !important; } .book-tabs { display: block !important; }
.book-tabs > input, a.headerlink, .sd-tab-set > input { display: none !important; }
.sd-tab-set > label.sd-tab-label { display: block; font-weight: 600; break-after: avoid; }
.sd-tab-set > .sd-tab-content { display: block !important; border: 0 !important; } a { color: #2f4b7c; }
"""


def print_book(html: Path, order: Sequence[str], title: str, edition: str) -> Path:
    """Print the built pages as one PDF, and link it in their footers.

    Args:
        html: the folder of pages.
        order: the pages' paths in it, in reading order.
        title: the book's.
        edition: what stands below it on the cover.

    Returns:
        The path of the PDF, in `html`.

    Raises:
        RamacError: there is no Chromium, it does not print, or the PDF is larger than 15 MB.
    """
    program = browser.find()
    if program is None:
        raise RamacError("a PDF is printed by Chromium, and none was found")
    made = html / NAME
    whole = html / "whole-book.html"
    text = join(html, order, title, edition)
    whole.write_text(text, encoding="utf-8")
    headings = [tag.get_text().removesuffix("#") for tag in BeautifulSoup(text, "html.parser").select("h1, h2, h3, h4")]
    try:
        _print(program, whole, made)
    finally:
        whole.unlink()
    with pikepdf.open(made, allow_overwriting_input=True) as book:  # Chromium packs none of its 57,000 small objects
        with book.open_outline() as outline:
            _respace(outline.root, {"".join(name.split()): name for name in headings})
        book.save(made, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    if made.stat().st_size > MOST:
        raise RamacError(f"{made} has {made.stat().st_size / 1e6:.1f} MB; expected at most {MOST / 1e6:g}")
    link(html)
    return made


def _respace(bookmarks: Iterable[pikepdf.OutlineItem], names: Mapping[str, str]) -> None:
    """Give bookmarks the spaces that Chromium leaves out where a heading's lines end."""
    for one in bookmarks:
        one.title = " ".join(names.get("".join(one.title.split()), one.title).split())
        _respace(one.children, names)


def _print(program: str, page: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="print-") as profile:
        arguments = [*browser.ARGUMENTS, "--virtual-time-budget=600000", f"--user-data-dir={profile}"]
        arguments += ["--no-pdf-header-footer", "--generate-pdf-document-outline", f"--print-to-pdf={target}"]
        command = [program, *arguments, page.resolve().as_uri()]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1200,
                preexec_fn=set_death_signal,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise RamacError("Chromium did not print the book in twenty minutes") from None
    if done.returncode or not target.is_file():
        reason = done.stderr.strip().splitlines() or ["no message"]
        raise RamacError(f"Chromium printed no book: {reason[-1]}")


def join(html: Path, order: Sequence[str], title: str, edition: str) -> str:
    """Return one page of all: cover, contents with links, then each page's article.

    Anchors carry their page's name, links between the book's pages lead to places in the same document, folded code is
    left out, and files to save; solutions are open, and what stands in tabs stands one below the other.
    """
    soups = {path: BeautifulSoup(html.joinpath(path).read_text(encoding="utf-8"), "html.parser") for path in order}
    bodies, contents = [], []
    for path, soup in soups.items():
        article = soup.select_one("article.bd-article")
        if article is None:
            raise RamacError(f"{path} is no page of the book: it has no article")
        _open(article)
        _point(article, path, soups)
        contents.append(_contents(article, path))
        bodies.append(f'<section class="page" id="{_name(path)}">{article.decode_contents()}</section>')
    first = soups[order[0]]
    head = "".join(
        str(_moved(tag, order[0]))
        for tag in first.select('head link[rel="stylesheet"], head script')
        if "MathJax" in tag.get_text() or "mathjax" in str(tag.get("src", "")) or tag.name == "link"
    )
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">'
        f"<title>{title}</title>{head}<style>{_STYLE}</style></head>"
        f'<body class="tex2jax_process mathjax_process"><div class="bd-main"><div class="bd-content">'
        f'<article class="bd-article"><div class="cover"><p style="font-size: 30pt">{title}</p><p>{edition}</p></div>'
        f'<nav class="contents"><h1>Contents</h1><ul>{"".join(contents)}</ul></nav>{"".join(bodies)}'
        f"</article></div></div></body></html>"
    )


def _name(path: str, anchor: str = "") -> str:
    return re.sub(r"\W", "-", path.removesuffix(".html")) + (f"--{anchor}" if anchor else "")


def _open(article: Tag) -> None:
    for fold in article.select("details"):
        fold["open"] = ""
    for picture in article.select("noscript"):
        picture.unwrap()
    for image in article.select("img[loading]"):
        del image["loading"]
    unwanted = "script:not([type='application/json']), button, .prev-next-footer, a[href^='data:'], details.hide"
    for part in article.select(unwanted):
        part.decompose()


def _point(article: Tag, path: str, pages: dict[str, BeautifulSoup]) -> None:
    """Make a page's anchors, links and images right for a document in the folder's root."""
    for tag in article.select("[id]"):
        tag["id"] = _name(path, str(tag["id"]))
    for tag in article.select("label[for]"):
        tag["for"] = _name(path, str(tag["for"]))
    for tag in article.select("a[href]"):
        url = urlsplit(str(tag["href"]))
        if url.scheme or url.netloc:
            continue
        target = normpath(os.path.join(os.path.dirname(path), unquote(url.path))) if url.path else path
        if target in pages:
            tag["href"] = "#" + _name(target, unquote(url.fragment))
        else:
            del tag["href"]
    for tag in article.select("[src]"):
        _moved(tag, path)


def _moved(tag: Tag, path: str) -> Tag:
    for name in ("src", "href"):
        url = urlsplit(str(tag.get(name, "")))
        if url.path and not url.scheme:
            tag[name] = quote(normpath(os.path.join(os.path.dirname(path), unquote(url.path))))
    return tag


def _contents(article: Tag, path: str) -> str:
    def entry(heading: Tag) -> str:
        text = heading.get_text().removesuffix("#").strip()
        holder = heading.find_parent("section")
        place = heading.get("id") or (holder.get("id") if holder else None) or _name(path)
        return f'<a href="#{place}">{text}</a>'

    title, parts = article.find("h1"), article.find_all("h2")
    inside = "".join(f"<li>{entry(part)}</li>" for part in parts)
    return f"<li>{entry(title) if title else path}<ul>{inside}</ul></li>"


def link(html: Path) -> None:
    """Link the PDF in the footer of every page."""
    for path in html.rglob("*.html"):
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        footer = soup.select_one(".footer-item .extra_footer")
        if footer is None:
            continue
        where = os.path.relpath(html / NAME, path.parent).replace(os.sep, "/")
        footer.extend([" ", soup.new_tag("a", attrs={"href": where}, string="The whole book as PDF.")])
        path.write_text(str(soup), encoding="utf-8")
