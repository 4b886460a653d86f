"""Tiny runs that the tests of probes share."""

from ramac_lib.training.config import make_config
from ramac_lib.training.loop import Schedule, train

SMALL = {"hidden": "16,16", "critic_hidden": "16", "embedding": "8", "n_cos": "8", "n_fractions": "8"}


def make_run(folder, method, source, *, task="hopper-medium-expert", seeds=(0, 1), steps=2, hazard=None, **options):
    """Train a run of narrow networks for some updates, without evaluations; return its directory."""
    small = {"hidden": "16,16", "batch_size": "16"}
    if method in ("radac", "rafmac", "oraac"):
        small |= SMALL
    elif method == "diffusion-ql":
        small |= {"critic_hidden": "16,16", "candidates": "3"}
    chosen = {} if hazard is None else {"hazard": hazard}
    config = make_config(method, task, seeds, steps, small | options, source=str(source), **chosen)
    train(config, folder, device="cpu", schedule=Schedule(episodes=0), progress=False)
    return folder
