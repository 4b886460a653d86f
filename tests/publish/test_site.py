"""The frame around the pages: everything that needs an address comes from the one setting, and nothing without it."""

import re
import subprocess
from dataclasses import replace

import pytest
import yaml
from bs4 import BeautifulSoup

from ramac_lib.publish import site
from ramac_lib.system.errors import RamacError

HERE = site.Site("https://github.com/someone/book", "https://someone.github.io/book", "1.2", "2026-01-02")
PAGE = "<html><head></head><body><article class='bd-article'><h1>3. Title<a>#</a></h1><p>{}</p></article></body></html>"


def project(folder, urls=""):
    (folder / "pyproject.toml").write_text(f'[project]\nname = "x"\nversion = "1.2"\n[project.urls]\n{urls}')
    return site.read(folder)


def test_addresses_come_from_the_projects_file(tmp_path):
    assert (project(tmp_path).repository, project(tmp_path).pages, project(tmp_path).version) == ("", "", "1.2")
    found = project(tmp_path, 'Repository = "https://x.org/r/"\nDocumentation = "https://x.org/d"\n')
    assert (found.repository, found.pages) == ("https://x.org/r", "https://x.org/d")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found.date)


def test_the_date_is_that_of_the_last_commit(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "init", "-q"], check=True)
    when = {"GIT_COMMITTER_DATE": "2001-02-03T04:05:06", "PATH": "/usr/bin:/bin"}
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True, env=when)
    assert project(tmp_path).date == "2001-02-03"


@pytest.mark.parametrize("url", ["github.com/x", "ftp://x.org", "https://"])
def test_what_is_no_address_is_refused(url, tmp_path):
    with pytest.raises(RamacError, match=f"the address Repository is '{url}'; expected"):
        project(tmp_path, f'Repository = "{url}"\n')


def options(tmp_path, place):
    path = tmp_path / "_config.yml"
    kept = {"html_theme_options": {"extra_footer": "Licence.", "launch_buttons": {}}, "language": "en"}
    path.write_text(yaml.safe_dump({"title": "T", "sphinx": {"config": kept}}))
    site.configure(path, place)
    config = yaml.safe_load(path.read_text())
    assert config["title"] == "T"
    assert config["sphinx"]["config"]["language"] == "en"
    return config["sphinx"]["config"]


def test_there_are_no_buttons_without_an_address(tmp_path):
    config = options(tmp_path, replace(HERE, repository="", pages=""))
    footer = "Version 1.2 of 2026-01-02. Licence."
    assert config["html_theme_options"] == {"extra_footer": footer, "launch_buttons": {}}
    assert "html_baseurl" not in config


def test_an_address_brings_buttons(tmp_path):
    config = options(tmp_path, HERE)
    chosen = config["html_theme_options"]
    assert chosen["repository_url"] == HERE.repository
    assert chosen["use_edit_page_button"]
    assert set(chosen["launch_buttons"]) == {"colab_url", "binderhub_url", "notebook_interface"}
    assert config["html_baseurl"] == "https://someone.github.io/book/"
    elsewhere = options(tmp_path, replace(HERE, repository="https://git.example.org/book"))["html_theme_options"]
    assert elsewhere["launch_buttons"] == {}  # Colab and Binder know GitHub's addresses


def described(text, place):
    soup = BeautifulSoup(PAGE.format(text), "html.parser")
    site.describe(soup, "book/3.html", place, "The book")
    return {str(tag.get("name") or tag.get("property")): tag["content"] for tag in soup.select("meta")}


def test_a_page_says_what_it_is_about():
    facts = described("A <b>sentence</b>\nof it. More.", HERE)
    assert facts["description"] == facts["og:description"] == "A sentence of it. More."
    assert described(r"Of \([-1, \pi]^2\).", HERE)["description"] == "Of [-1, π]^2."
    assert facts["og:title"] == "3. Title"
    assert facts["og:url"] == "https://someone.github.io/book/book/3.html"
    assert facts["og:image"] == "https://someone.github.io/book/_static/card.png"
    assert "og:image" not in described("A.", replace(HERE, pages=""))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Short.", "Short."),
        (
            "One sentence, " + "word " * 16 + "and an end. " + "word " * 60,
            "One sentence, " + "word " * 16 + "and an end.",
        ),
        ("Too short. " + "word " * 60, "Too short. " + ("word " * 37).strip() + " …"),
        ("word " * 60, ("word " * 40).strip() + " …"),
    ],
)
def test_a_description_ends_with_a_sentence_or_a_word(text, kept):
    assert site.shortened(text) == kept
    assert len(kept) <= site.LONGEST + 2


def test_lost_links_find_the_book_and_a_sitemap_its_pages(tmp_path):
    (tmp_path / "book").mkdir()
    for name in ("index.html", "book/a.html", "search.html"):
        (tmp_path / name).write_text("")
    site.add_files(tmp_path, HERE, "book/a.html", "B & C")
    lost = BeautifulSoup((tmp_path / "404.html").read_text(), "html.parser")
    assert lost.title.text == "Not found · B & C"
    assert [link["href"] for link in lost.select("a")] == [
        f"{HERE.pages}/book/a.html", f"{HERE.pages}/search.html",
    ]  # fmt: skip
    places = re.findall("<loc>(.*?)</loc>", (tmp_path / "sitemap.xml").read_text())
    assert places == [f"{HERE.pages}/book/a.html", f"{HERE.pages}/index.html"]


def test_without_an_address_links_are_relative_and_there_is_no_sitemap(tmp_path):
    site.add_files(tmp_path, replace(HERE, pages=""), "book/a.html", "B")
    assert 'href="book/a.html"' in (tmp_path / "404.html").read_text()
    assert not (tmp_path / "sitemap.xml").exists()
