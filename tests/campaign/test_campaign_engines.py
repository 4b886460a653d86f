"""Each cell of a campaign has its own engine: what began it, else what is best for its method."""

import pandas as pd
import pytest
from campaign_helpers import DIFFUSION, RADAC, SMALL, contents, run

from ramac_lib.campaign import scheduler
from ramac_lib.campaign.directory import CampaignDirectory
from ramac_lib.networks.native import build
from ramac_lib.system.errors import RamacError

pytestmark = pytest.mark.skipif(not build.gains(), reason="no native kernel here that auto would choose")


def engines(out):
    """Each cell's engine, by its checkpoint; the same by config.json."""
    store = CampaignDirectory(out)
    found = {}
    for cell in store.read()[0].cells():
        directory = store.run_directory(cell)
        found[cell.config.method.name] = directory.load_checkpoint()["engine"]
        assert directory.read_facts()["made"]["engine"] == found[cell.config.method.name]
    return found


def without(patch):
    """Take the kernel away."""
    patch.setattr(build, "kernel", lambda: ("no C++ compiler was found", None))


def begin(out, patch):
    """Make the first third of a campaign."""
    plans = iter([scheduler.Round(20), None])
    patch.setattr(scheduler.plan, "following", lambda *_: next(plans))
    run(out, {**SMALL, "rows": (DIFFUSION, RADAC)})


def test_auto_is_native_for_the_methods_that_gain(tmp_path):
    run(tmp_path / "c", {**SMALL, "rows": (DIFFUSION, RADAC)})
    assert engines(tmp_path / "c") == {"bc-diffusion": "cpu eager float32", "radac": "cpu native float32"}


def test_what_was_begun_without_the_kernel_goes_on_without_it(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        without(patch)
        run(tmp_path / "whole", {**SMALL, "rows": (DIFFUSION, RADAC)})
        begin(tmp_path / "c", patch)
    run(tmp_path / "c", {}, resume=True)
    assert set(engines(tmp_path / "c").values()) == {"cpu eager float32"}
    found, whole = contents(tmp_path / "c"), contents(tmp_path / "whole")
    assert {k: v for k, v in found.items() if k[1] == "policy"} == {k: v for k, v in whole.items() if k[1] == "policy"}


def test_what_was_begun_with_the_kernel_is_not_gone_on_with_without_it(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        begin(tmp_path / "c", patch)
    with pytest.MonkeyPatch.context() as patch:
        without(patch)
        with pytest.raises(
            RamacError, match="goes on with the engine that began it, native, but there is no"
        ) as refused:
            run(tmp_path / "c", {}, resume=True)
        assert "\n" not in str(refused.value)
    run(tmp_path / "c", {}, resume=True)
    assert pd.read_csv(tmp_path / "c" / "results.csv")["step"].max() == 60


def test_a_finished_campaign_is_read_without_the_kernel(tmp_path):
    run(tmp_path / "c", {**SMALL, "rows": (RADAC,)})
    with pytest.MonkeyPatch.context() as patch:
        without(patch)
        run(tmp_path / "c", {}, resume=True)


def test_a_method_that_the_kernel_does_not_serve_is_refused_before_anything_is_done(tmp_path):
    with pytest.raises(RamacError, match="no native kernel for bc-diffusion"):
        run(tmp_path / "c", {**SMALL, "rows": (DIFFUSION, RADAC), "engine": "native"})
    assert not (tmp_path / "c").exists()
