"""What critics say at the edge of the danger."""

import json

import pandas as pd
import pytest

from ramac_lib.campaign.launch import run as run_campaign
from ramac_lib.envs.maps import MAPS
from ramac_lib.system.errors import RamacError
from support.navigation import probes
from support.navigation.claims import TASK


def test_the_way_straight_on_is_exact():
    """Steps of .08 along both axes: five end inside the disc, each struck with .03; Monte Carlo's mean by hand."""
    mean, cvar = probes.straight(MAPS["obstacle"], discount=1.0)
    here, body = 0.72, 0.0
    while 2**0.5 * (here - 0.1) > 0.05:
        body += 2**0.5 * (here - 0.1) + 0.1
        here -= 0.08
    assert mean == pytest.approx(-body - 5 * 0.03 * 20)
    # Of five steps none is penalised with .97^5 = .859, so that all of the lowest tenth has been struck once at least.
    assert cvar < -body - 20
    more = sum((k - 1) * c * 0.03**k * 0.97 ** (5 - k) for k, c in zip((2, 3, 4, 5), (10, 10, 5, 1), strict=True))
    assert cvar == pytest.approx(-body - 20 - 20 * more / 0.1)


def test_a_critic_prefers_a_way_round_where_its_cvar_is_higher():
    table = pd.DataFrame([
        {"name": "x", "seed": seed, "step": 1, "action": action, "mean": -5.0, "cvar": cvar}
        for seed, straight in {1: -9.0, 0: -7.0}.items()
        for action, cvar in {"through": straight, "left": -8.0, "right": -10.0}.items()
    ])  # fmt: skip
    found = probes.preferred(table, "x")
    assert found["gain"].tolist() == [-1.0, 1.0]
    assert found["round"].tolist() == [False, True]
    assert probes.preferred(table.assign(cvar=float("nan")), "x").empty
    assert probes.preferred(table, "y").empty


def test_a_campaigns_critics_are_asked_and_their_rows_replaced(tmp_path):
    changes = {
        "tasks": (TASK,),
        "rows": ("radac", "bc-gaussian", "diffusion-ql"),
        "hazards": ("rare",),
        "seeds": (0, 1),
    }
    changes |= {"steps": 1, "evaluations": 1, "episodes": 1, "report_episodes": 1, "size": 500}
    run_campaign(tmp_path / "c", None, changes, workers=0, device="cpu", progress=False)
    probes.campaign(tmp_path / "c", tmp_path / "asked")
    probes.campaign(tmp_path / "c", tmp_path / "asked")
    assert "torch" in json.loads((tmp_path / "asked.json").read_text())["made"]
    table = probes.load(tmp_path / "asked")
    assert table.groupby("name").size().to_dict() == {f"{TASK}|rare|{m}": 6 for m in ("radac", "diffusion-ql")}
    assert table["mean"].notna().all()
    assert table.loc[table["name"].str.endswith("diffusion-ql"), "cvar"].isna().all()
    assert probes.load(tmp_path / "none").empty
    with pytest.raises(RamacError, match="holds no trained runs"):
        probes.campaign(tmp_path / "none", tmp_path / "asked")
