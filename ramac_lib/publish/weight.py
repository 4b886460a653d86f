"""Make built pages light: images of few colours, no rules for what no page has, no search where nobody searches."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from bs4 import BeautifulSoup
from PIL import Image, UnidentifiedImageError

MOST = 1_500_000  # bytes a page may weigh, beside fonts and what typesets formulas, both of which a reader fetches once
LEAST_SAVED = 20_000  # bytes: smaller images stay as they are
LIKENESS = 38.0  # dB of peak signal to noise: less, and a photograph shows its steps
_SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
_CLASS = re.compile(r"\.(-?[A-Za-z_](?:[\w-]|\\.)*)")
_WORD = re.compile(r"[\w-]+")


def lighten(html: Path) -> None:
    """Shrink the images of a folder of built pages, prune the theme's styles, drop maps of sources, in place."""
    for image in html.rglob("_images/*.png"):
        shrink(image)
    used = words(html)
    for style in html.glob("_static/**/*.css"):
        if "vendor" in style.parts:  # icons' fonts
            continue
        style.write_text(prune(style.read_text(encoding="utf-8"), used), encoding="utf-8")
    for unwanted in html.glob("_static/**/*.map"):
        unwanted.unlink()


def shrink(path: Path) -> None:
    """Give an image file 256 colours of its own where that saves much and cannot be seen."""
    before = path.read_bytes()
    after = fewer_colours(before)
    if len(after) < len(before):
        path.write_bytes(after)


def fewer_colours(data: bytes) -> bytes:
    """Return a PNG with 256 colours of its own, itself if it is small, would look otherwise, or cannot be read."""
    if len(data) < LEAST_SAVED:
        return data
    try:
        with Image.open(io.BytesIO(data)) as opened:
            colours = opened.convert("RGBA")
    except UnidentifiedImageError:
        return data  # what is shown instead of it is the check's to see
    few = colours.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    if likeness(colours, few.convert("RGBA")) < LIKENESS:
        return data
    file = io.BytesIO()
    few.save(file, "PNG", optimize=True)
    return min(data, file.getvalue(), key=len)


def likeness(one: Image.Image, other: Image.Image) -> float:
    """Return the peak signal-to-noise ratio of two images of one size, in dB."""
    error = np.mean((np.asarray(one, float) - np.asarray(other, float)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


# -- styles -----------------------------------------------------------------------------------------------------------


def words(html: Path) -> set[str]:
    """Return all that can be the name of a class: words of pages' class attributes, and every word of the scripts."""
    found: set[str] = set()
    for page in html.rglob("*.html"):
        for names in re.findall(r'class="([^"]*)"', page.read_text(encoding="utf-8", errors="replace")):
            found.update(names.split())
    for script in html.rglob("*.js"):
        if script.name != "searchindex.js":
            found.update(_WORD.findall(script.read_text(encoding="utf-8", errors="replace")))
    return found


def prune(style: str, used: set[str]) -> str:
    """Return a style sheet without the selectors that name a class which is not `used`.

    Comments, conditions (``@media``) and everything else stay; a rule without a selector left, or a condition without
    a rule, goes.
    """
    return "".join(_kept(re.sub(r"/\*(?!!).*?\*/", "", style, flags=re.DOTALL), used))


def _kept(style: str, used: set[str]) -> Iterator[str]:
    for head, body in _blocks(style):
        name = head.strip()
        if body is None:  # a statement, as @charset and @import
            yield head
        elif name.startswith(("@media", "@supports", "@layer", "@container")):
            if inner := "".join(_kept(body, used)):
                yield f"{head}{{{inner}}}"
        elif name.startswith("@"):
            yield f"{head}{{{body}}}"
        elif kept := [one for one in _selectors(head) if _met(one, used)]:
            yield f"{','.join(kept)}{{{body}}}"


def _blocks(style: str) -> Iterator[tuple[str, str | None]]:
    """Yield what stands before each block and what is in it; None for a statement that ends without a block."""
    start = place = 0
    while place < len(style):
        sign = style[place]
        if style.startswith("/*", place):
            place = style.index("*/", place) + 2
            continue
        if sign in "\"'":
            place = _closed(style, place)
            continue
        if sign == ";":
            yield style[start : place + 1], None
            start = place + 1
        elif sign == "{":
            end = _end(style, place)
            yield style[start:place], style[place + 1 : end]
            start = place = end + 1
            continue
        place += 1


def _closed(style: str, place: int) -> int:
    """Return the place after a string that begins at `place`."""
    sign, place = style[place], place + 1
    while style[place] != sign:
        place += 2 if style[place] == "\\" else 1
    return place + 1


def _end(style: str, place: int) -> int:
    """Return the place of the bracket that closes the one at `place`."""
    depth = 0
    while True:
        if style[place] in "\"'":
            place = _closed(style, place)
            continue
        depth += {"{": 1, "}": -1}.get(style[place], 0)
        if not depth:
            return place
        place += 1


def _selectors(head: str) -> list[str]:
    """Split at the commas that stand outside brackets."""
    return re.split(r",(?![^(\[]*[)\]])", head)


def _met(selector: str, used: set[str]) -> bool:
    plain = re.sub(r":(?:not|is|where|has)\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\]|\"[^\"]*\"", "", selector)
    return all(name.replace("\\", "") in used for name in _CLASS.findall(plain))


# -- pages ------------------------------------------------------------------------------------------------------------


def drop_search(soup: BeautifulSoup) -> None:
    """Take from a page the index of words, which only the page that searches needs."""
    for script in soup.find_all("script", src=True):
        if str(script["src"]).partition("?")[0].endswith(_SEARCH):
            script.decompose()


def weight(page: Path) -> int:
    """Return the bytes of all that a page loads, itself included, fonts and MathJax left out."""
    text = page.read_text(encoding="utf-8")
    soup = BeautifulSoup(text, "html.parser")
    named = [str(tag["src"]) for tag in soup.select("script[src], img[src], video[src], source[src]")]
    named += [str(tag["href"]) for tag in soup.select('link[rel="stylesheet"]')]
    files = {(page.parent / unquote(urlsplit(name).path)).resolve() for name in named if not urlsplit(name).scheme}
    return len(text.encode()) + sum(
        file.stat().st_size for file in files if file.is_file() and "mathjax" not in file.parts
    )
