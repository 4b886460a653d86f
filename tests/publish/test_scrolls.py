"""What is wider than a phone's screen is marked, so that it says so; what fits is not."""

import subprocess
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from ramac_lib.publish import browser

SCRIPT = Path(__file__).parents[2] / "book/_static/scrolls.js"
PAGE = """<!doctype html><body style="width: 360px"><script>{}</script>
<div class="cell_output" id="wide"><div class="output" id="inner" style="overflow-x: auto">
<table style="width: 700px"><tr><td>wide</td></tr></table></div></div>
<div class="cell_output" id="fits" style="overflow-x: auto"><table><tr><td>narrow</td></tr></table></div>
<details class="numbers" id="folded" style="overflow-x: auto"><summary>The numbers</summary>
<p style="width: 700px">wide</p></details></body>"""


@pytest.mark.skipif(browser.find() is None, reason="needs a Chromium")
@pytest.mark.slow
@pytest.mark.parametrize(("opened", "marked"), [("", ["inner"]), (" open", ["inner", "folded"])])
def test_the_innermost_box_that_is_too_narrow_is_marked(tmp_path, opened, marked):
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(SCRIPT.read_text()).replace('class="numbers"', f'class="numbers"{opened}'))
    command = [browser.find(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
               "--dump-dom", page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    soup = BeautifulSoup(done.stdout, "html.parser")
    assert [tag["id"] for tag in soup.select(".scrolls-sideways")] == marked
