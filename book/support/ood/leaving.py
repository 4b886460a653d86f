"""How training leaves the bandit's support: by the residual's radius (Lemma 4.1), and update by update (Proposition 1).

Nothing here is estimated but by counting actions: the support is a formula. Each function trains all seeds of one
method and returns a row a seed, or a row a seed and moment.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from ramac_lib.campaign.bandit import Trained, train
from ramac_lib.datasets import ood
from ramac_lib.datasets.bandit import dataset
from ramac_lib.envs.bandit import Bandit
from ramac_lib.methods.oraac import Anchored
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError
from support.proposition import kl

Array = np.ndarray

RADII = (0.05, 0.1, 0.25, 0.5)
ANCHORED = ("oraac", "oraac-diffusion", "oraac-flow")
CLONED = ("bc-diffusion", "radac")
COUNT, FOLLOWED, MOMENTS = 50_000, 20_000, 20  # actions behind a radius's numbers, and a moment's


@torch.no_grad()
def anchors_and_actions(method: Anchored, count: int) -> tuple[Float[Array, "S n 2"], Float[Array, "S n 2"]]:
    """Return anchors drawn from the deployed prior, and what the residual makes of each.

    Raises:
        RamacError: a method without anchors, or count < 1.
    """
    if not isinstance(method, Anchored) or count < 1:
        raise RamacError(f"{type(method).__name__}, {count} actions; expected an anchored method and at least one")
    states = torch.zeros(*method.stack, count, 1, device=method.device)
    noise = method.policy_noise(states, Noise(method.seeds, "evaluation", method.device))
    anchors = method.policy.anchors(noise, states)
    return anchors.cpu().numpy(), method.policy.perturb(anchors, states).cpu().numpy()


def moved(anchors: Float[Array, "n 2"], actions: Float[Array, "n 2"], bandit: Bandit | None = None) -> dict[str, float]:
    """Return exact shares of what bounded steps from anchors do.

    ``prior`` and ``ood``: outside the support before the step and after; ``out``: of the anchors inside, those that the
    step takes outside (the event of Lemma 4.1); ``back``: of the anchors outside, those that it brings inside; NaN
    where there is none. ``step``: mean length. And the policy's ``expected_reward`` and ``cvar``.

    Raises:
        RamacError: as many anchors as actions are expected.
    """
    if anchors.shape != actions.shape:
        raise RamacError(f"{len(anchors)} anchors and {len(actions)} actions; expected as many")
    bandit = bandit or Bandit()
    before, after = ~bandit.support(anchors), ~bandit.support(actions)
    values = bandit.evaluate(actions)
    return {
        "prior": float(before.mean()),
        "ood": float(after.mean()),
        "out": float(after[~before].mean()) if (~before).any() else np.nan,
        "back": float((~after)[before].mean()) if before.any() else np.nan,
        "step": float(np.linalg.norm(actions - anchors, axis=1).mean()),
        **{name: values[name] for name in ("expected_reward", "cvar")},
    }


def by_radius(method: str, radius: float, seeds: Sequence[int], steps: int, count: int = COUNT) -> pd.DataFrame:
    """Return `moved` of an anchored method trained with this radius Φ, one row a seed.

    Raises:
        RamacError: a radius below 0, a method without anchors.
    """
    if not radius >= 0:
        raise RamacError(f"radius is {radius}; expected at least 0")
    stack = train(method, seeds, steps, {"radius": radius}, device="cpu", count=1).stack
    pairs = zip(*anchors_and_actions(stack, count), strict=True)  # type: ignore[arg-type]
    made = [moved(*pair) for pair in pairs]
    return pd.DataFrame(made).assign(method=method, radius=radius, seed=list(seeds), updates=steps)


def over_training(method: str, seeds: Sequence[int], steps: int, count: int = FOLLOWED) -> pd.DataFrame:
    """Return Proposition 1's two sides and the cloning loss at moments of a training, one row a moment and seed."""
    run = train(method, seeds, steps, every=steps // MOMENTS, device="cpu", count=count)
    return followed(run)


def followed(run: Trained) -> pd.DataFrame:
    """Return what a training's stored actions say, one row a moment and seed.

    Columns: ``method seed step bc_loss``, the cloning loss's mean since the moment before; ``kl kl_error empty bound
    ood`` of `support.proposition.kl` on its coarse cells; ``flagged``, the share beyond κ = 3 by the paper's detector.
    """
    cells, detector = kl.Cells(), ood.ActionOnly(dataset().actions)
    log, rows, before = run.metrics, [], 0
    for step, drawn in sorted(run.actions.items()):
        part = log[(log["step"] > before) & (log["step"] <= step)]
        losses = part.groupby("seed")["bc_loss"].mean()
        for seed, actions in zip(run.config.seeds, drawn, strict=True):
            found = kl.divergence(cells, actions)
            flagged = detector.flags(np.zeros((len(actions), 1)), actions).mean()
            row = {"method": run.config.method.name, "seed": seed, "step": step, "bc_loss": losses.get(seed, np.nan)}
            row |= {name: getattr(found, name) for name in ("kl", "kl_error", "empty", "bound", "ood")}
            rows.append(row | {"flagged": float(flagged)})
        before = step
    return pd.DataFrame(rows)


def leads_out(table: pd.DataFrame, method: str, radius: float) -> tuple[str, float, float]:
    """Return whether steps of a radius take a policy farther out of the support than its anchors are, with both δ.

    ``holds`` where δ is above the prior's for every seed, ``does not hold`` where it is below for every seed, else
    ``inconclusive``.

    Args:
        table: of `by_radius`, for all methods and radii.

    Raises:
        RamacError: a method or a radius that is not in the table.
    """
    own = table[(table["method"] == method) & (table["radius"] == radius)]
    if own.empty:
        raise RamacError(f"the table has no {method} of radius {radius:g}")
    gap = (own["ood"] - own["prior"]).to_numpy()
    word = "holds" if (gap > 0).all() else "does not hold" if (gap < 0).all() else "inconclusive"
    return word, float(own["prior"].mean()), float(own["ood"].mean())
