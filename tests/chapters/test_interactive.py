"""Figures with controls show the library's own numbers: their script is run by Node.js on a stand-in for a page."""

import base64
import json
import re
import shutil
import subprocess

import matplotlib.pyplot as plt
import numpy as np
import pytest
from figure_page import PAGE, PLAYED, SCRIPT, touch

from ramac_lib.analysis.evidence import Missing
from ramac_lib.campaign import bandit
from ramac_lib.risk import risk_of_law
from ramac_lib.system.paths import data_folder
from support import interactive
from support.bandit import film
from support.preliminaries import laws

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")


@pytest.mark.parametrize(
    ("index", "measure", "values"),
    [
        (0, "cvar", [0.05, 0.1, 0.35, 1.0]),
        (1, "wang", [-1.5, -0.7, 0.0, 1.5]),
        (2, "cpw", [0.3, 0.71, 1.0]),
        (3, "power", [-4.0, -2.0, 0.0, 1.5]),
    ],
)
def test_risk_measures_are_the_librarys(index, measure, values):
    data = interactive.weights_data([laws.mixture()])
    quantiles = np.array(data["distributions"][0]["quantiles"])
    shares = np.full(len(quantiles), 1 / len(quantiles))
    seen, said = touch("risk-weights", data, [[1, index], *([2, value] for value in values)])
    for shown, value in zip(seen[2:], values, strict=True):
        options = {"alpha": value} if measure == "cvar" else {"parameter": value}
        assert shown == pytest.approx(risk_of_law(quantiles, shares, measure, **options), abs=1e-4)
    assert f"the mean is {quantiles.mean():.2f}".replace("-", "\N{MINUS SIGN}") in said


def test_neutral_is_the_mean_and_cvar_of_a_tenth_weighs_the_lowest_tenth_alone():
    data = interactive.weights_data([laws.normal(), laws.trap()])
    seen, said = touch("risk-weights", data, [[0, 1], [1, 4]])
    assert seen[0] == pytest.approx(-1.755, abs=2e-3)  # CVaR 0.1 of N(0, 1)
    assert seen[1] == pytest.approx(1.8 - 10 * 0.5)  # half of the lowest tenth falls into the trap
    assert seen[2] == pytest.approx(1.8 - 10 * 0.05)
    assert "has 10 % of the weight" in said


def test_the_dial_turns():
    path = [[0.8, 0.8], [0.1, 0.1]]
    levels = [{"level": a, "mean": -a, "tail": -9, "steps": 1, "inside": 0, "path": path} for a in (0.1, 0.5, 1.0)]
    world = {"name": "a", "goal": [0.1, 0.1], "walls": [], "dangers": [{"centre": [0.5, 0.5], "radius": 0.3}]}
    seen, said = touch("risk-dial", {"worlds": [{**world, "levels": levels}]}, [[1, 2]])
    assert seen == [-0.1, -1.0]
    assert "(the mean) the best path has 1 steps" in said


def test_densities_are_found_by_their_knobs():
    knobs = [{"name": "a", "values": [1, 2], "start": 0}, {"name": "b", "values": [1, 2, 3], "start": 0}]
    fields = [{"density": "AAAA", "shares": [0.5, 0.5], "mean": k, "tail": -k} for k in range(6)]
    data = {"bins": 1, "knobs": knobs, "rings": [0.5], "shares": ["centre", "ring"], "fields": fields}
    seen, said = touch("bandit-densities", data, [[1, 2], [0, 1]])
    assert seen == [0, 2, 5]
    assert said.startswith("a 2, b 3: centre 50 %")


def test_without_scripts_there_is_a_picture():
    figure, axis = plt.subplots()
    axis.plot([0, 1])
    shown = interactive.interactive("risk-dial", {"worlds": ["</script>"]}, figure, 'a "dial"').data
    assert re.search(r'<img alt="a &quot;dial&quot;" src="data:image/png', shown)
    assert shown.count("</script>") == 1
    with pytest.raises(ValueError, match="risk-weights"):
        interactive.interactive("other", {}, figure, "")


def test_a_film_shows_the_stored_moments_and_plays_only_when_asked():
    data = film.film_data()
    assert len(data["frames"]) == 21
    assert data["frames"][0]["label"] == "the data"
    assert data["frames"][0]["tail"] == pytest.approx(-2.68, abs=0.15)  # of drawn actions; exactly −2.68
    seen, said = touch("training-film", data, [[0, 1], [0, 20]])
    assert seen == [frame["tail"] for frame in (data["frames"][0], data["frames"][1], data["frames"][20])]
    assert said.startswith("after 5,000 updates: mean of the worst tenth 0.90")
    points = np.frombuffer(base64.b64decode(data["frames"][20]["points"]), np.int8)
    stored = bandit.load(data_folder() / "results" / "bandit")[2][film.NAME][0][-1][: film.POINTS]
    np.testing.assert_allclose(points.reshape(-1, 2) / 127, stored, atol=0.005)
    assert len(film.still(data).axes) == 4


def test_a_film_of_nothing_says_so(tmp_path):
    with pytest.raises(Missing, match="ramac bandit"):
        film.film_data(tmp_path)


PRESS = """
const [play, said] = ["button", "output"].map((name) => found.find((e) => e.name === name)), seen = [];
play.heard.click();
seen.push(play.textContent, said.textContent);
while (tick) tick();
seen.push(play.textContent, said.textContent.split(":")[0]);
play.heard.click();
tick();
play.heard.click();
seen.push(play.textContent, said.textContent.split(":")[0], tick === null);
console.log(JSON.stringify(seen));
"""


def test_a_film_plays_to_its_end_is_silent_meanwhile_and_can_be_stopped():
    given = json.dumps({"kind": "training-film", "data": film.film_data(), "touched": []})
    code = PAGE + PLAYED + SCRIPT.read_text() + PRESS
    done = subprocess.run(["node", "-e", code], input=given, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [
        "Pause", "", "Play", "after 5,000 updates", "Play", "after 250 updates", True,
    ]  # fmt: skip
