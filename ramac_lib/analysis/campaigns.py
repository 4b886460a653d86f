"""What the command line asks of campaigns beside running them: a grid's options, and a release's files."""

from dataclasses import make_dataclass
from pathlib import Path
from typing import Annotated, Any, get_origin, get_type_hints

from tyro.conf import Positional, arg


def options() -> type:
    """Return a dataclass of the fields of a campaign's grid, each None or empty where the profile decides."""
    from ramac_lib.campaign.grid import NO_OPTIONS, Grid

    fields: list[Any] = []
    for name, kind in get_type_hints(Grid).items():
        if name in NO_OPTIONS:
            continue
        several = get_origin(kind) is tuple
        about = arg(name="methods" if name == "rows" else name, help_behavior_hint="")
        fields.append((name, Annotated[kind if several else kind | None, about], () if several else None))
    return make_dataclass("Grid", fields, namespace={"__doc__": Grid.__doc__})


def release(
    runs: Positional[tuple[Path, ...]] = (), /, out: Path = Path("_build/release"), profile: str = "quick"
) -> None:
    """Gather what a release carries: the built pages, executed notebooks, PDF, runs' policies, and SHA256SUMS.

    Args:
        runs: directories of finished runs, whose policies `ramac_lib.load_checkpoint` then finds by name.
        out: the folder that they are written into.
        profile: in which the notebooks were executed.
    """
    from ramac_lib.publish.build import ROOT
    from ramac_lib.publish.release import gather, sums

    files = gather(ROOT, out, profile=profile)
    if runs:
        from ramac_lib.training.checkpoints import store_checkpoints

        files += store_checkpoints(runs, out)
    files.append(sums(out))
    print(f"{len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB, in {out}")
