"""Check built pages: every internal link and image is there, and nothing has to come from the network.

Usage: ``python -m ramac_lib.publish.check_pages _build/html [_build/source]``. Where a Chromium is found, each page is
also opened in it without a network (`ramac_lib.publish.browser`).
"""

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from ramac_lib.publish import browser as publish_browser
from ramac_lib.publish.weight import MOST, weight

# What a page loads by itself, and the attribute that says from where; links to follow are not among them.
LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "video": "src",
    "audio": "src",
    "source": "src",
    "embed": "src",
}
LINK_LOADED = {"stylesheet", "preload", "modulepreload", "preconnect", "dns-prefetch", "icon", "manifest"}
_CSS_URL = re.compile(r"url\(\s*['\"]?([^'\")]+)['\"]?\s*\)|@import\s+['\"]([^'\"]+)['\"]")
# Hosts that serve scripts, styles and fonts: a script that names one loads from it sooner or later.
# A formula that nothing typesets, as an output's Markdown has it: $\kappa$, CVaR$_{0.1}$.
_BARE = re.compile(r"\$(?:\\[a-zA-Z]|_\{|[a-zA-Z]_|[a-zA-Z]\$)[^$\n]{0,60}\$?")
_CDN = re.compile(r"cdn\.jsdelivr\.net|unpkg\.com|cdnjs\.cloudflare\.com|fonts\.(?:googleapis|gstatic)\.com")


@dataclass
class Report:
    """What was looked at and what is wrong, one sentence a problem."""

    problems: list[str] = field(default_factory=list)
    pages: int = 0
    links: int = 0
    images: int = 0
    heaviest: int = 0
    browser: str = "not opened in a browser, as no Chromium was found"

    @property
    def summary(self) -> str:
        """One line of what was looked at."""
        return (
            f"checked {self.pages} pages (the heaviest {self.heaviest / 1e6:.2f} MB), {self.links} internal links, "
            f"{self.images} images; {self.browser}"
        )


def external(url: str) -> bool:
    """Tell whether a URL needs the network."""
    return url.startswith("//") or urlsplit(url).scheme in ("http", "https", "ftp")


def check(html: Path, source: Path | None = None) -> Report:
    """Check a folder of built pages.

    Args:
        html: the folder.
        source: what Sphinx read, with executed notebooks: their images are then counted on the pages.

    Returns:
        The report; its `problems` are empty where all is well.
    """
    report = Report()
    soups = {
        path.resolve(): BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in sorted(html.rglob("*.html"))
        if "_static" not in path.relative_to(html).parts
    }
    if not soups:
        report.problems.append(f"{html}: there are no pages")
        return report
    anchors = {
        path: {str(tag[name]) for name in ("id", "name") for tag in soup.select(f"[{name}]")}
        for path, soup in soups.items()
    }
    report.pages = len(soups)
    for path, soup in soups.items():
        page = path.relative_to(html.resolve())
        _links(path, page, soup, anchors, report)
        _loads(path, page, soup, report)
        if bare := _untypeset(soup):
            report.problems.append(f"{page}: a formula is not typeset: {bare}")
        bytes_ = weight(path)
        report.heaviest = max(report.heaviest, bytes_)
        if bytes_ > MOST:
            report.problems.append(f"{page}: weighs {bytes_ / 1e6:.2f} MB; expected at most {MOST / 1e6:g} MB")
    for style in html.rglob("*.css"):
        _style(style, style.read_text(encoding="utf-8"), str(style.relative_to(html)), report)
    for script in html.rglob("*.js"):
        if found := _CDN.search(script.read_text(encoding="utf-8", errors="replace")):
            report.problems.append(f"{script.relative_to(html)}: names {found.group()}")
    if source is not None:
        _notebook_images(html.resolve(), source, soups, report)
    if program := publish_browser.find():
        opened = publish_browser.check_pages(program, html, [path.relative_to(html.resolve()) for path in soups])
        report.problems += opened.problems
        report.browser = (
            f"in Chromium without a network, wide and as on a phone: {opened.formulas} formulas typeset, "
            f"{opened.images} images shown; axe in light and dark on {opened.accessible} pages"
        )
    return report


def _links(path: Path, page: Path, soup: BeautifulSoup, anchors: dict[Path, set[str]], report: Report) -> None:
    for tag in soup.find_all("a", href=True):
        url = str(tag["href"])
        if external(url) or urlsplit(url).scheme:
            continue
        report.links += 1
        parts = urlsplit(url)
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target = target / "index.html"
        if not target.is_file():
            report.problems.append(f"{page}: the link {url} leads nowhere")
        elif parts.fragment and target in anchors and unquote(parts.fragment) not in anchors[target]:
            report.problems.append(f"{page}: the link {url} leads to no place on its page")


def _untypeset(soup: BeautifulSoup) -> str:
    """Return a page's first formula that is still in its source, empty where there is none; code is let be."""
    for text in soup.find_all(string=_BARE):
        if not text.find_parents(["script", "style", "pre", "code"]) and not text.find_parents(class_="math"):
            found = _BARE.search(str(text))
            return found.group() if found else ""
    return ""


def _loads(path: Path, page: Path, soup: BeautifulSoup, report: Report) -> None:
    urls = [
        (tag.name, str(tag[name])) for kind, name in LOADED.items() for tag in soup.find_all(kind, attrs={name: True})
    ]
    for tag in soup.find_all("link", href=True):
        if LINK_LOADED & set(tag.get_attribute_list("rel")):
            urls.append(("link", str(tag["href"])))
    for kind, url in urls:
        report.images += kind == "img"
        if external(url):
            report.problems.append(f"{page}: its {kind} {url} comes from the network")
        elif not urlsplit(url).scheme:
            target = path.parent / unquote(urlsplit(url).path)
            if not target.is_file() or not target.stat().st_size:
                report.problems.append(f"{page}: its {kind} {url} is missing")
    for tag in soup.find_all("script", src=False):
        if found := _CDN.search(tag.get_text()):
            report.problems.append(f"{page}: an inline script names {found.group()}")
    for tag in soup.find_all("style"):
        _style(path, tag.get_text(), str(page), report)


def _style(path: Path, text: str, name: str, report: Report) -> None:
    for match in _CSS_URL.finditer(text):
        url = match.group(1) or match.group(2)
        if external(url):
            report.problems.append(f"{name}: a style loads {url} from the network")
        elif urlsplit(url).scheme or url.startswith("#"):
            continue
        elif not (path.parent / unquote(urlsplit(url).path)).is_file():
            report.problems.append(f"{name}: a style's {url} is missing")


def _notebook_images(html: Path, source: Path, soups: dict[Path, BeautifulSoup], report: Report) -> None:
    """Compare the images among a notebook's outputs with those on its page."""
    for notebook in sorted(source.rglob("*.ipynb")):
        page = html / notebook.relative_to(source).with_suffix(".html")
        if page.resolve() not in soups:
            continue
        expected = 0
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            if not {"remove-cell", "remove-output"} & set(cell.get("metadata", {}).get("tags", [])):
                kinds = (kind for output in cell.get("outputs", []) for kind in output.get("data", {}))
                expected += sum(kind.startswith("image/") for kind in kinds)
        shown = [
            tag for tag in soups[page.resolve()].select(".cell_output img, .cell_output svg") if isinstance(tag, Tag)
        ]
        if len(shown) < expected:
            report.problems.append(
                f"{page.relative_to(html)}: shows {len(shown)} of the {expected} images of its notebook"
            )


def main() -> int:
    """Check the folder named on the command line; print each problem, then a summary."""
    report = check(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    for problem in report.problems:
        print(problem, file=sys.stderr)
    print(report.summary)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
