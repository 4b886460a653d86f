"""Light pages: what may go goes, what a page has stays, and nothing looks otherwise."""

import io
import json
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ramac_lib.publish import weight


def data(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_drawing_of_few_colours_gets_smaller_and_stays_the_same():
    few = np.random.default_rng(0).integers(0, 4, (400, 400, 1)).repeat(3, axis=2).astype(np.uint8) * 80
    before = data(np.concatenate([few, np.full((400, 400, 1), 255, np.uint8)], axis=2))
    after = weight.fewer_colours(before)
    assert len(after) < len(before)
    with Image.open(io.BytesIO(after)) as shown:
        assert shown.mode == "P"
        np.testing.assert_array_equal(np.asarray(shown.convert("RGBA"))[..., :3], few)


@pytest.mark.parametrize("kind", ["noise", "small", "none"])
def test_what_would_look_otherwise_or_is_no_image_stays(kind):
    noise = np.random.default_rng(0).integers(0, 256, (120, 120, 3)).astype(np.uint8)
    before = {"noise": data(noise), "small": data(noise[:4, :4]), "none": b"no image" * 5000}[kind]
    assert weight.fewer_colours(before) == before


def test_likeness_is_the_peak_signal_to_noise_ratio():
    one, other = (Image.new("L", (4, 4), value) for value in (0, 255))
    assert weight.likeness(one, other) == 0
    assert weight.likeness(one, one) == float("inf")
    assert weight.likeness(one, Image.new("L", (4, 4), 51)) == pytest.approx(20 * np.log10(5))


STYLE = """@charset "UTF-8";/*! kept *//* not */.used,.gone{color:red}.gone{color:blue}
@media (width>1px){.gone{x:y}}@media print{.used .also{x:"}.gone{"}}@font-face{font-family:"a;b"}
a:not(.gone),[class~=".gone"]{x:y}.used .gone{x:y}.md\\:w{x:y}"""


def test_rules_for_what_no_page_has_go():
    kept = weight.prune(STYLE, {"used", "also", "md:w"})
    assert "".join(kept.split()) == (
        '@charset"UTF-8";/*!kept*/.used{color:red}@mediaprint{.used.also{x:"}.gone{"}}@font-face{font-family:"a;b"}'
        'a:not(.gone),[class~=".gone"]{x:y}.md\\:w{x:y}'
    )


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (".used{x:y}.gone{x:y", ".used{x:y}"),  # a block and a comment that nothing closes
        ('.used{x:y}.gone{x:"y', ".used{x:y}"),
        (".used{x:y}/* never closed", ".used{x:y}"),
        ('.used{x:"/* no comment */"}', '.used{x:"/* no comment */"}'),
        (".used{x:y}}.used{z:y}", ".used{x:y}}.used{z:y}"),  # a stray bracket is the browser's to judge
        (".used{background:url(a;b{c.png)}", ".used{background:url(a;b{c.png)}"),
        ('.gone[data-x="a,b"],.used:is(.gone,.x){x:y}', ".used:is(.gone,.x){x:y}"),
        ("@media print{.gone{x:y}/*! kept */}", ""),
        ("@layer base,theme;.used{x:y}", "@layerbase,theme;.used{x:y}"),
        ("", ""),
    ],
)
def test_any_style_sheet_is_read_as_a_browser_reads_it(style, expected):
    assert "".join(weight.prune(style, {"used"}).split()) == "".join(expected.split())


@given(st.text(alphabet="ab.,{}()[]\"'\\/*!@:; \n", max_size=40))
def test_no_text_makes_it_fail_or_spoils_the_rules_before_it(style):
    assert weight.prune(".used{x:y}.gone{x:y}" + style, {"used"}).startswith(".used{x:y}")
    assert ".gone" not in weight.prune(".used{x:y}.gone{x:y}" + style, {"used"})


def test_pages_and_scripts_say_what_is_used(tmp_path):
    (tmp_path / "a.html").write_text('<p class="one two">three</p>')
    (tmp_path / "b.js").write_text('element.classList.add("four-five")')
    found = weight.words(tmp_path)
    assert {"one", "two", "four-five"} <= found
    assert "three" not in found


def test_a_page_weighs_what_it_loads_once_and_beside_what_typesets(tmp_path):
    (tmp_path / "mathjax").mkdir()
    (tmp_path / "mathjax" / "core.js").write_bytes(b"x" * 1000)
    (tmp_path / "a.png").write_bytes(b"x" * 30)
    text = '<img src="a.png"><img src="a.png?v=1"><img src="data:image/png,x"><script src="mathjax/core.js"></script>'
    (tmp_path / "page.html").write_text(text)
    assert weight.weight(tmp_path / "page.html") == len(text) + 30


def test_only_the_page_that_searches_keeps_the_index():
    soup = BeautifulSoup('<script src="../searchindex.js?v=1"></script><script src="x.js"></script>', "html.parser")
    weight.drop_search(soup)
    assert [script["src"] for script in soup.find_all("script")] == ["x.js"]


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "book").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_images_of_a_committed_notebook_are_small(path):
    """They are most of what the repository's history weighs."""
    outputs = [o for cell in json.loads(path.read_text("utf-8"))["cells"] for o in cell.get("outputs", [])]
    images = [(kind, body) for o in outputs for kind, body in o.get("data", {}).items() if kind.startswith("image/")]
    assert sum(len(b64decode("".join(body))) for kind, body in images if kind != "image/svg+xml") <= 1_000_000
