"""The frame around the pages: where the book is published, footer, descriptions, sitemap, the page of lost links.

One setting, `[project.urls]` of `pyproject.toml`, says where: `Repository` for the code (launch buttons, "edit this
page"), `Documentation` for the pages (sitemap, links of descriptions). Without them there are none of these.
"""

import datetime
import html as escaping
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from bs4 import BeautifulSoup

from ramac_lib.system.errors import RamacError

CARD = "_static/card.png"
LEAST, LONGEST = 80, 200  # characters of a page's description
_FORMULA = re.compile(r"\\\((.*?)\\\)")
_NAMED = "alpha beta gamma delta epsilon eta theta kappa lambda mu nu pi rho sigma tau phi varphi chi psi omega Phi pm"
_LETTERS = dict(zip(_NAMED.split(), "αβγδεηθκλμνπρστφφχψωΦ±", strict=True))
_LOST = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Not found · {title}</title><meta name="robots" content="noindex">
<style>:root {{ color-scheme: light dark }}
body {{ font: 1.1rem/1.6 sans-serif; max-width: 34rem; margin: 15vh auto; padding: 0 1rem }}</style>
</head><body><main><h1>There is no such page</h1>
<p>A chapter may have moved. <a href="{first}">The first page</a> lists all of them, and
<a href="{search}">the search</a> looks through their words.</p></main></body></html>
"""


@dataclass(frozen=True)
class Site:
    """Where a book is, and which version of it this is.

    Attributes:
        repository: address of the code, empty where there is none.
        pages: address of the published pages without a slash at its end, empty where there is none.
        version: of the package.
        date: of the last commit, or of today where there is no history.
    """

    repository: str = ""
    pages: str = ""
    version: str = ""
    date: str = ""


def read(root: Path) -> Site:
    """Return where the book of a checkout is published, by its `pyproject.toml`; empty where it has none.

    Raises:
        RamacError: an address is not one of the web's.
    """
    path = root / "pyproject.toml"
    project: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"] if path.is_file() else {}
    urls = {name: str(url) for name, url in project.get("urls", {}).items()}
    for name, url in urls.items():
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise RamacError(f"{path}: the address {name} is {url!r}; expected https://…")
    repository, pages = (urls.get(name, "").rstrip("/") for name in ("Repository", "Documentation"))
    return Site(repository, pages, project.get("version", ""), _date(root))


def title(root: Path) -> str:
    """Return the book's title, by its `_config.yml`."""
    return str((yaml.safe_load(root.joinpath("_config.yml").read_text(encoding="utf-8")) or {}).get("title", ""))


def _date(root: Path) -> str:
    command = ["git", "-C", str(root), "log", "-1", "--format=%cs"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return datetime.date.today().isoformat()
    return done.stdout.strip() or datetime.date.today().isoformat()


def configure(path: Path, site: Site) -> None:
    """Write into a copy of `_config.yml` what depends on where the book is: buttons, addresses, the footer."""
    config = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    sphinx = config.setdefault("sphinx", {}).setdefault("config", {})
    options = sphinx.setdefault("html_theme_options", {})
    if site.version and options.get("extra_footer"):
        options["extra_footer"] = f"Version {site.version} of {site.date}. {options['extra_footer']}"
    if site.repository:
        options |= {
            "repository_url": site.repository,
            "repository_branch": "main",
            "use_repository_button": True,
            "use_edit_page_button": True,
            "use_issues_button": True,
        }
        if urlsplit(site.repository).netloc == "github.com":
            options["launch_buttons"] = {
                "colab_url": "https://colab.research.google.com",
                "binderhub_url": "https://mybinder.org",
                "notebook_interface": "jupyterlab",
            }
    if site.pages:
        sphinx["html_baseurl"] = f"{site.pages}/"
    path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")


def describe(soup: BeautifulSoup, path: str, site: Site, title: str) -> None:
    """Give a page what search engines and messengers show of it: its first sentences, its title, a picture."""
    head, article = soup.head, soup.select_one("article.bd-article")
    first = None if article is None else article.find("p")
    if head is None or first is None:
        return
    heading = article and article.find("h1")
    name = heading.get_text().removesuffix("#").strip() if heading else title
    facts = [("property", "og:type", "article"), ("property", "og:site_name", title), ("property", "og:title", name)]
    text = shortened(plain(" ".join(first.get_text().split())))
    facts += [("name", "description", text), ("property", "og:description", text)]
    if site.pages:
        facts += [("property", "og:url", f"{site.pages}/{path}"), ("property", "og:image", f"{site.pages}/{CARD}")]
        facts += [("name", "twitter:card", "summary_large_image")]
    for kind, key, value in facts:
        head.append(soup.new_tag("meta", attrs={kind: key, "content": value}))


def plain(text: str) -> str:
    """Return a text with its formulas as a line of letters for their names, nothing of TeX's marks."""

    def read(formula: re.Match[str]) -> str:
        named = re.sub(r"\\([A-Za-z]+)", lambda command: _LETTERS.get(command[1], ""), formula[1])
        return re.sub(r"[{}\\$]", "", named).strip()

    return _FORMULA.sub(read, text)


def shortened(text: str) -> str:
    """Return the sentences that fit a description, at least part of the first."""
    if len(text) <= LONGEST:
        return text
    whole = text[: text.rfind(". ", 0, LONGEST) + 1]
    return whole if len(whole) >= LEAST else text[: text.rfind(" ", 0, LONGEST)] + " …"


def add_files(html: Path, site: Site, first: str, title: str) -> None:
    """Write the page of lost links, and a sitemap where the pages' address is known.

    Args:
        html: the folder of pages.
        site: where it will be.
        first: path of the first page in it.
        title: the book's.
    """
    start = f"{site.pages}/" if site.pages else ""
    links = {"first": f"{start}{first}", "search": f"{start}search.html", "title": escaping.escape(title)}
    html.joinpath("404.html").write_text(_LOST.format(**links), encoding="utf-8")
    if site.pages:
        kept = sorted(
            path.relative_to(html).as_posix()
            for path in html.rglob("*.html")
            if not {"_static", "_modules"} & set(path.parts) and path.name not in ("404.html", "search.html")
        )
        entries = "".join(f"<url><loc>{escaping.escape(f'{site.pages}/{page}')}</loc></url>\n" for page in kept)
        head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        html.joinpath("sitemap.xml").write_text(f"{head}{entries}</urlset>\n", encoding="utf-8")
