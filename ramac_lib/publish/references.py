"""Numbers and links on built pages: equations by chapter, captions as places, mentions and terms as links to them."""

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import relpath

from bs4 import BeautifulSoup, NavigableString, Tag

_CHAPTER = re.compile(r"^(\d+[a-z]?)\.\s")
_CAPTION = re.compile(r"^(Figure|Table)\s+(\d+[a-z]?\.\d+[a-z]?)\.?$")
_NUMBER = r"\d+[a-z]?\.\d+(?:[a-z]\b)?"
_MENTION = re.compile(rf"\b(figures?|tables?)\s+{_NUMBER}(?:(?:,\s+|\s+(?:and|to|or)\s+){_NUMBER})*", re.IGNORECASE)
# No link inside these: other links, code, headings, formulas, what is not the page's own text.
_CLOSED = {
    "a", "code", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "script", "style", "summary", "label", "dt", "button",
}  # fmt: skip
_SHUT = {"math", "toctree-wrapper", "headerlink"}
# Words of the glossary that prose also uses in their everyday sense; the chapters whose first use is the glossary's.
EVERYDAY = {
    "campaign": ("3b", "5", "6"),
    "cell": ("6",),
    "control": ("5", "8b"),
    "evaluation": ("5", "9"),
    "floor": ("10",),
    "fraction": ("1", "3", "9"),
    "report": ("5", "7"),
    "row": ("3b", "5", "6", "8"),
    "seed": ("5",),
    "support": ("1", "2", "3", "7"),
    "update": ("5", "10"),
    "violation": ("3b", "4", "5", "7", "8b", "9", "11"),
}


@dataclass
class Page:
    """A built page: its path from the folder of pages, and its content."""

    path: str
    soup: BeautifulSoup

    @property
    def article(self) -> Tag | None:
        """The text of the page without its frame."""
        return self.soup.select_one("article.bd-article")

    @property
    def chapter(self) -> str | None:
        """The chapter's number as its title has it; None for pages that are no chapter."""
        title = self.article and self.article.find("h1")
        found = _CHAPTER.match(title.get_text()) if title else None
        return found[1] if found else None

    def link(self, target: str) -> str:
        """Return how this page calls a place, `path#anchor`."""
        path, _, anchor = target.partition("#")
        return f"#{anchor}" if path == self.path else relpath(path, str(Path(self.path).parent)) + f"#{anchor}"


def connect(pages: list[Page]) -> None:
    """Number equations and captions, and link what names them, and first uses of the glossary's words."""
    number_equations(pages)
    for page in pages:
        number_captions(page)
    places = place_captions(pages)
    glossary = next((page for page in pages if page.soup.select_one("dl.glossary")), None)
    words = {} if glossary is None else terms(glossary)
    for page in pages:
        if page.article is None or page.path.startswith("_modules/"):
            continue
        link_mentions(page, places)
        if page.chapter is not None:
            link_terms(page, words)


# -- equations --------------------------------------------------------------------------------------------------------


def number_equations(pages: list[Page]) -> None:
    """Number each displayed equation of a chapter, ``(3.2)``; references to labelled ones say the same number.

    A page without a number, as the first one, keeps Sphinx's.
    """
    numbers: dict[str, str] = {}
    for page in pages:
        if page.article is None or page.chapter is None:
            continue
        for k, block in enumerate(page.article.select("div.math"), start=1):
            number = f"({page.chapter}.{k})"
            if not block.get("id"):
                block["id"] = f"equation-{page.chapter}-{k}"
            mark = block.find("span", class_="eqno")
            if isinstance(mark, Tag):
                mark.contents[0].replace_with(number)
            else:
                mark = page.soup.new_tag("span", attrs={"class": "eqno"})
                mark.string = number
                place = {"class": "headerlink", "href": f"#{block['id']}", "title": "Link to this equation"}
                mark.append(page.soup.new_tag("a", attrs=place, string="#"))
                block.insert(0, mark)
            numbers[f"{page.path}#{block['id']}"] = number
    for page in pages:
        for link in page.soup.select('a.reference[href*="#equation-"]'):
            path, _, anchor = str(link["href"]).partition("#")
            own = path and str((Path("/") / Path(page.path).parent / path).resolve())[1:]
            if told := numbers.get(f"{own or page.path}#{anchor}"):
                link.string = told


# -- figures and tables -----------------------------------------------------------------------------------------------


def number_captions(page: Page) -> None:
    """Number the captions of a chapter that numbers none itself: what begins in italics or bold after what it is of.

    Figures and tables are counted apart, in the order of the page; what no such paragraph follows has no number.
    """
    article, counts = page.article, Counter[str]()
    if article is None or page.chapter is None or any(map(_names_a_caption, article.find_all("strong"))):
        return
    kind = ""
    for element in article.find_all(["img", "table", "p", "h2", "h3"]):
        if element.name in ("img", "table"):
            if element.find_parent(class_="cell_output") and not element.find_parent("table"):
                kind = "Table" if element.name == "table" else "Figure"
        elif not element.find_parent(["table", "summary"]):
            first = next((part for part in element.children if str(part).strip()), None)
            if kind and element.name == "p" and isinstance(first, Tag) and first.name in ("em", "strong"):
                counts[kind] += 1
                number = page.soup.new_tag("strong", string=f"{kind} {page.chapter}.{counts[kind]}.")
                element.insert(0, " ")
                element.insert(0, number)
            kind = ""


def place_captions(pages: list[Page]) -> dict[str, str]:
    """Give each numbered caption an anchor, several of one number in tabs a letter each; return where each is.

    A number without a letter is the first one's place.
    """
    places: dict[str, str] = {}
    for page in pages:
        several: dict[str, list[tuple[Tag, Tag]]] = {}
        for strong in page.soup.select("article.bd-article p > strong:first-child"):
            found, caption = _CAPTION.match(" ".join(strong.get_text().split())), strong.parent
            if not found or caption is None or any(str(before).strip() for before in strong.previous_siblings):
                continue
            several.setdefault(f"{found[1].lower()} {found[2]}", []).append((strong, caption))
        for key, captions in several.items():
            if key in places:
                continue
            letters = string.ascii_lowercase[: len(captions)] if len(captions) > 1 else [""]
            for letter, (strong, caption) in zip(letters, captions, strict=True):
                if letter:
                    end = "." if strong.get_text().rstrip().endswith(".") else ""
                    strong.string = strong.get_text().rstrip().removesuffix(".") + letter + end
                caption["id"] = caption.get("id") or f"{key}{letter}".replace(" ", "-").replace(".", "-")
                caption["class"] = " ".join([*_classes(caption), "caption-text"])
                places[f"{key}{letter}"] = f"{page.path}#{caption['id']}"
            places[key] = places[f"{key}{letters[0]}"]
    return places


def link_mentions(page: Page, places: Mapping[str, str]) -> None:
    """Make links of "figure 5.1" and "tables 5.1 to 5.3" where there is such a caption; the paper's have no dot."""

    def pieces(text: str) -> list[str | Tag]:
        out: list[str | Tag] = []
        start = 0
        for mention in _MENTION.finditer(text):
            kind = mention[1].lower().removesuffix("s")
            several = mention[1].lower().endswith("s")
            for k, number in enumerate(re.finditer(_NUMBER, mention[0])):
                begin = mention.start() + (0 if k == 0 and not several else number.start())
                end = mention.start() + number.end()
                if target := places.get(f"{kind} {number[0]}"):
                    out += [text[start:begin], _link(page, target, text[begin:end], "caption-link")]
                    start = end
        return [*out, text[start:]] if out else []

    _rewrite(page, pieces, lambda around: not any(map(_names_a_caption, around)))


# -- glossary ---------------------------------------------------------------------------------------------------------


def terms(glossary: Page) -> dict[str, tuple[str, str]]:
    """Return each of the glossary's words with its place and its first sentence."""
    found = {}
    for term in glossary.soup.select("dl.glossary > dt[id]"):
        words = "".join(str(text) for text in term.find_all(string=True, recursive=False)).strip()
        meaning = term.find_next_sibling("dd")
        text = " ".join(meaning.get_text().split()) if meaning else ""
        found[words] = (f"{glossary.path}#{term['id']}", re.split(r"(?<=[.:])\s", text)[0])
    return found


def link_terms(page: Page, words: Mapping[str, tuple[str, str]]) -> None:
    """Link the first use of each of the glossary's words in a chapter's paragraphs, everyday ones only where meant."""
    meant = [term for term in words if term not in EVERYDAY or page.chapter in EVERYDAY[term]]
    left = {form: term for term in meant for form in _forms(term)}

    def pieces(text: str) -> list[str | Tag]:
        out: list[str | Tag] = []
        start = 0
        while left:
            some = "|".join(re.escape(form).replace(r"\ ", r"\s+") for form in sorted(left, key=len, reverse=True))
            found = re.compile(rf"(?<![\w-])(?:{some})(?![\w-])").search(text, start)
            if found is None:
                break
            term = left[" ".join(found[0].split())]
            target, meaning = words[term]
            out += [text[start : found.start()], _link(page, target, found[0], "term", meaning)]
            start = found.end()
            for form in _forms(term):
                left.pop(form, None)
        return [*out, text[start:]] if out else []

    prose, boxes = {"p", "li"}, {"table", "figcaption"}
    _rewrite(page, pieces, lambda around: bool(prose & (names := {tag.name for tag in around})) and not boxes & names)


def _forms(word: str) -> list[str]:
    """Return a word and its plural, also as they begin a sentence."""
    plural = word[:-1] + "ies" if word.endswith("y") else word + "s"
    return [form for one in (word, plural) for form in dict.fromkeys((one, one[0].upper() + one[1:]))]


# -- text -------------------------------------------------------------------------------------------------------------


def _link(page: Page, target: str, text: str, kind: str, title: str = "") -> Tag:
    attributes = {"class": f"reference internal {kind}", "href": page.link(target)} | (
        {"title": title} if title else {}
    )
    return page.soup.new_tag("a", attrs=attributes, string=text)


def _rewrite(page: Page, pieces: Callable[[str], list[str | Tag]], where: Callable[[Sequence[Tag]], bool]) -> None:
    """Replace texts of a page's article, in reading order, by what `pieces` makes of each; nothing leaves it alone."""
    article = page.article
    if article is None:
        return
    for text in list(article.find_all(string=True)):
        parents = list(text.parents)
        around = parents[: parents.index(article)]
        if type(text) is not NavigableString or any(map(_shut, around)) or not where(around):
            continue
        if new := pieces(str(text)):
            text.replace_with(*[piece for piece in new if piece != ""])


def _shut(tag: Tag) -> bool:
    return tag.name in _CLOSED or bool(_SHUT & set(_classes(tag)))


def _names_a_caption(tag: Tag) -> bool:
    return tag.name == "strong" and _CAPTION.match(" ".join(tag.get_text().split())) is not None


def _classes(tag: Tag) -> list[str]:
    return [name for part in tag.get_attribute_list("class") if part for name in str(part).split()]
