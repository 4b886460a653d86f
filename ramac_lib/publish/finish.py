"""Finish built pages: words for images, lists that are lists, numbers and links, quiet folds, little weight."""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup, NavigableString, Tag
from PIL import Image

from ramac_lib.publish import weight
from ramac_lib.publish.folds import tidy_folds
from ramac_lib.publish.references import Page, connect
from ramac_lib.publish.site import Site, add_files, describe, plain
from ramac_lib.system.errors import RamacError
from ramac_lib.system.minus import minus

_FIGURE = re.compile(r"^(?:Figure|Table)\s+[\w.]+?\.?$")
_SENTENCE = re.compile(r"^.*?[.!?](?=\s|$)", re.DOTALL)
# An icon in the theme's script: name:[width,height,[aliases],"code point","path"], the path perhaps in two parts.
_ICON = re.compile(
    r'(?:"(?P<quoted>[a-z0-9-]+)"|(?P<bare>[a-z0-9$_]+)):'
    r'\[\d+,\d+,\[[^\[\]]*\],"[0-9a-f]+",(?:"[^"]*"|\["[^"]*","[^"]*"\])\],?'
)
_NAMES = re.compile(r"\bfa-([a-z0-9-]+)")
_CODE = ("code", "pre", "kbd", "samp", "script", "style", "textarea")
NOWHERE = Site()
WIDE = 700  # pixels
LEAST_ICONS = 500  # fewer are no set of icons: the theme's script is another one than was known here


def finish(html: Path, place: Site = NOWHERE, first: str = "index.html", title: str = "") -> None:
    """Finish a folder of built pages, in place.

    Images among outputs get the first sentence of their caption as alternative text, or their section's title; all get
    width and height, and are loaded when they come into sight. Equations are numbered by chapter; mentions of figures
    and tables, and first uses of the glossary's words, become links. Negative numbers in what is read, but not
    those of code and of files to save, have minus signs. What is marked up as a list and is none, which
    those who listen to a page stumble over, is no more. Folded code that belongs together stands in one fold. The
    theme's script keeps the icons that pages name, its styles the rules, and images have few colours where that is not
    seen. Each page says what it is about to those who find it elsewhere.

    Args:
        html: the folder.
        place: where it will be published.
        first: the path of the first page in it.
        title: the book's.

    Raises:
        RamacError: an image file cannot be read.
    """
    pages = [
        Page(path.relative_to(html).as_posix(), BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser"))
        for path in sorted(html.rglob("*.html"))
        if "_static" not in path.relative_to(html).parts
    ]
    connect(pages)
    for page in pages:
        for image in page.soup.find_all("img"):
            _describe(image)
            _measure(image, html / page.path)
        _write_numbers(page.soup)
        _mend_lists(page.soup)
        tidy_folds(page.soup)
        describe(page.soup, page.path, place, title)
        if page.path != "search.html":
            weight.drop_search(page.soup)
        html.joinpath(page.path).write_text(str(page.soup), encoding="utf-8")
    for script in html.rglob("fontawesome.js"):
        keep_icons(script, used_icons(html, script))
    for script in html.glob("_static/searchtools.js"):
        clean_excerpts(script)
    weight.lighten(html)
    add_files(html, place, first, title)


def caption(image: Tag) -> tuple[str, bool]:
    """Return the first sentence of the caption after an image and True, or else its section's title and False.

    A caption is a paragraph that begins with "Figure" or "Table" and its number in bold; further images may stand
    between.
    """
    for element in image.find_all_next(("p", "h1", "h2", "h3")):
        if element.name != "p":
            break
        first = element.find(True)
        if isinstance(first, Tag) and first.name == "strong" and _FIGURE.match(first.get_text().strip()):
            rest = " ".join(element.get_text().split()).removeprefix(" ".join(first.get_text().split())).strip()
            found = _SENTENCE.match(rest := plain(rest))
            return (found.group() if found else rest) or first.get_text().strip(), True
    heading = image.find_previous(("h1", "h2", "h3"))
    return "" if heading is None else heading.get_text().strip().removesuffix("#"), False


def _describe(image: Tag) -> None:
    told, (found, numbered) = str(image.get("alt") or ""), caption(image)
    path = "/" in told or told.endswith((".png", ".svg"))
    if path or (image.find_parent(class_="cell_output") and (numbered or not told)):
        image["alt"] = found
    image["loading"] = "lazy"


def _measure(image: Tag, page: Path) -> None:
    """Give an image its size, and the class ``wide`` to one that a phone could only show too small to be read."""
    source = str(image.get("src", "")).partition("?")[0]
    inside = source.startswith("data:image/png;base64,")
    if image.has_attr("width") or not (inside or source.endswith(".png")):
        return
    try:
        data = base64.b64decode(source.partition(",")[2]) if inside else (page.parent / source).read_bytes()
        with Image.open(io.BytesIO(data)) as opened:
            width, height = opened.size
    except (OSError, ValueError) as error:
        raise RamacError(f"{page.name}: its image {source[:80]} cannot be read: {error}") from None
    if inside:
        image["src"] = f"data:image/png;base64,{base64.b64encode(weight.fewer_colours(data)).decode()}"
    image["width"], image["height"] = str(width), str(height)
    if width >= WIDE and image.find_parent("picture") is None:  # that has another one for a phone
        image["class"] = " ".join([*(str(name) for name in image.get_attribute_list("class") if name), "wide"])
        box = image.parent
        if (
            box is not None
            and "cell_output" in box.get_attribute_list("class")
            and len(box.find_all(True, recursive=False)) > 1
        ):
            image.wrap(Tag(name="div", attrs={"class": "output"}))  # else its caption would scroll away with it


def _write_numbers(soup: BeautifulSoup) -> None:
    """Give negative numbers a minus sign, but where a hyphen hangs on what is before it, and keep "5 %" together."""
    article = soup.select_one("article.bd-article")
    for text in [] if article is None else article.find_all(string=True):
        if type(text) is not NavigableString or not set("-%") & set(text) or any(map(_keeps_hyphens, text.parents)):
            continue
        before = text.previous_sibling
        hangs = text.startswith("-") and isinstance(before, Tag) and before.name != "br"
        text.replace_with(text[:hangs] + re.sub(r"(?<=\d) (?=%)", "\N{NO-BREAK SPACE}", minus(text[hangs:])))


def _keeps_hyphens(tag: Tag) -> bool:
    return tag.name in _CODE or bool({"math", "sig"} & set(tag.get_attribute_list("class")))


def _mend_lists(soup: BeautifulSoup) -> None:
    """Take away roles and names of lists from what has no items: the bibliography, signatures over several lines.

    A list that stands directly in another, as modules of a package do in Sphinx's list of sources, becomes part of the
    item before it.
    """
    for inner in soup.select("ul > ul"):
        item = inner.find_previous_sibling("li")
        if item is not None:
            item.append(inner.extract())
    for block in soup.select("div.citation-list[role=list]"):
        del block["role"]
    for block in soup.select("dt.sig dl"):
        lines = block.find_all("dd", recursive=False)
        if len(lines) == len(block.find_all(True, recursive=False)):
            block.name, block["class"] = "span", "signature-lines"
            for line in lines:
                line.name = "span"


# -- excerpts of the search -------------------------------------------------------------------------------------------

_DROPPED = '[".headerlink", "script", "style"]'
_FRAME = (
    ".prev-next-footer", ".bd-header-article", ".bd-sidebar-secondary", "#jb-print-docs-body", "details.hide", "footer",
)  # fmt: skip


def clean_excerpts(script: Path) -> None:
    """Let the search show a page's own words: neither its buttons and contents, nor folded code.

    Sphinx's script lists what it drops of a page before it cuts an excerpt; one that lists it otherwise stays.
    """
    text = script.read_text(encoding="utf-8")
    more = ", ".join(f'"{name}"' for name in _FRAME)
    script.write_text(text.replace(_DROPPED, f"{_DROPPED[:-1]}, {more}]"), encoding="utf-8")


# -- icons ------------------------------------------------------------------------------------------------------------


def used_icons(html: Path, script: Path) -> set[str]:
    """Return the names of icons that pages, styles and the other scripts speak of."""
    found: set[str] = set()
    for path in _texts(html):
        if path != script and "vendor" not in path.parts:
            found |= set(_NAMES.findall(path.read_text(encoding="utf-8", errors="replace")))
    return found


def _texts(html: Path) -> Iterator[Path]:
    for kind in ("*.html", "*.js"):
        yield from html.rglob(kind)


def keep_icons(script: Path, names: set[str]) -> None:
    """Leave in the theme's script the icons of these names alone; a script of another form stays as it is."""
    text = script.read_text(encoding="utf-8")
    if len(_ICON.findall(text)) >= LEAST_ICONS:
        kept = _ICON.sub(lambda icon: icon.group() if (icon["quoted"] or icon["bare"]) in names else "", text)
        script.write_text(kept, encoding="utf-8")
