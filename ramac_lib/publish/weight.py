"""Make built pages light: images of few colours, no rules for what no page has, no search where nobody searches."""

import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import tinycss2
from bs4 import BeautifulSoup
from PIL import Image, UnidentifiedImageError
from tinycss2.ast import LiteralToken

MOST = 1_500_000  # bytes a page may weigh, beside fonts and what typesets formulas, both of which a reader fetches once
LEAST_SAVED = 20_000  # bytes: smaller images stay as they are
LIKENESS = 38.0  # dB of peak signal to noise: less, and a photograph shows its steps
_SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
CONDITIONS = ("media", "supports", "layer", "container")  # at-rules that hold rules
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

    Conditions (``@media``), comments that say they stay (``/*!``) and everything else stay; a rule without a selector
    left, or a condition without a rule, goes. So does what a browser cannot read either.
    """
    tokens = _uncommented(tinycss2.parse_component_value_list(style))
    return tinycss2.serialize(_kept(tinycss2.parse_stylesheet(tokens), used))


def _uncommented(tokens: Iterable[Any]) -> list[Any]:
    """Return tokens without comments but those to be kept, at every depth."""
    kept = [token for token in tokens if token.type != "comment" or token.value.startswith("!")]
    for token in kept:
        for inside in ("content", "arguments"):
            if isinstance(getattr(token, inside, None), list):
                setattr(token, inside, _uncommented(getattr(token, inside)))
    return kept


def _kept(rules: Iterable[Any], used: set[str]) -> Iterator[Any]:
    for rule in rules:
        if rule.type == "at-rule" and rule.lower_at_keyword in CONDITIONS and rule.content is not None:
            rule.content = list(_kept(tinycss2.parse_rule_list(rule.content), used))
            if any(inside.type.endswith("-rule") for inside in rule.content):
                yield rule
        elif rule.type == "qualified-rule":
            if selectors := [one for one in _selectors(rule.prelude) if _met(one, used)]:
                rule.prelude = list(_joined(selectors))
                yield rule
        elif rule.type != "error":
            yield rule


def _selectors(prelude: Sequence[Any]) -> list[list[Any]]:
    """Split at the commas, of which those within brackets and functions are no part of the list."""
    parts: list[list[Any]] = [[]]
    for token in prelude:
        if token == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _joined(selectors: Sequence[list[Any]]) -> Iterator[Any]:
    for i, selector in enumerate(selectors):
        if i:
            yield LiteralToken(0, 0, ",")
        yield from selector


def _met(selector: Sequence[Any], used: set[str]) -> bool:
    """Return whether all classes that an element must have are used; brackets and functions ask for none."""
    names = (name.value for dot, name in itertools.pairwise(selector) if dot == "." and name.type == "ident")
    return all(name in used for name in names)


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
