"""Schedules as fractions of a run's length, and the critic's learning rate in runs shorter than the paper's."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

REFERENCE_STEPS = 2_000_000  # the paper's 2000 epochs × 1000 gradient steps
POLICY_RATE_CAP = 3e-4
TARGET_RATE_CAP = 0.05
RADIUS_CAP = 0.05
LEAST_WARMUP = 2_500
LEAST_CLONING = 25_000


def short_run_rate(rate: float, steps: int, cap: float) -> float:
    """Return a learning rate for a run of `steps` updates, from one meant for 2M updates.

    The released rates of RADAC's critic (5e-6 … 5e-5) and those of CQL's and CODAC's policies (3e-5) presuppose such
    runs. Adam moves a parameter by about one rate a step, so the distance that a network can travel is rate × steps;
    the rule keeps that product, rate · 2M / steps, up to the cap (beyond it training is unstable) and never lowers a
    rate.
    """
    return max(rate, min(rate * REFERENCE_STEPS / steps, cap))


def policy_rate(rate: float, steps: int) -> float:
    """Return the policy's learning rate for a run of `steps` updates, by `short_run_rate`."""
    return short_run_rate(rate, steps, POLICY_RATE_CAP)


def target_rate(rate: float, steps: int, cap: float = TARGET_RATE_CAP) -> float:
    """Return how far targets follow at an update in a run of `steps` updates, by `short_run_rate`.

    Values spread backwards by about one step of the environment in 1/rate updates. At .005 a run of 5,000 updates has
    seen 25 of them: its critic looks 25 steps ahead, and on Hopper, where episodes fall after some 200, its gradient
    in the action pointed the wrong way (`diagnostics.push_test`: one seed, 20 episodes a row; to be repeated on more).
    """
    return short_run_rate(rate, steps, cap)


def risk_weight(eta: float, rate: float, raised: float) -> float:
    """Return the weight η of the risk term where the critic's rate was raised: η · (rate / raised)^½.

    A choice, not a law: it presumes that a network trained by stochastic steps is noisier by the root of its rate, and
    that the policy climbs this noise with weight η. At Hopper's raised rate of 1e-3 (from 1e-5) it makes .005 of
    η = .05. Chosen on Hopper medium-expert, the paper's hazard, seeds 100 and 101: with .005 the means after 10,000
    updates were 747 and 694 (20 episodes each); with .02 policy and targets ran away after the warm-up, -12 and 4
    after 3,000 updates (10 episodes each), where .005 had 187 and 321. `evidence.selection` repeats it as a sweep.

    Args:
        eta: the weight that belongs to `rate`.
        rate: the critic's learning rate as published.
        raised: the one in use, `short_run_rate`.
    """
    return eta * (rate / raised) ** 0.5 if raised > rate else eta


def warmup(fraction: float, steps: int) -> float:
    """Return the share of a run of `steps` updates in which the policy only clones: 2,500 at least, half at most.

    The released 300k of 2M updates are a share of .15; in a short run that is too few for a critic to be of use.
    """
    return max(fraction, min(0.5, LEAST_WARMUP / steps)) if steps < REFERENCE_STEPS else fraction


def cloning(fraction: float, steps: int) -> float:
    """Return the share of a run of `steps` updates in which ORAAC's prior learns: 25,000 updates at least, or all.

    ORAAC stops where the prior's loss is flat. On Hopper it is not for long: of 2,500, 5,000 and 10,000 updates the
    diffusion prior alone has returns of 391 ± 20, 435 ± 23 and 807 ± 57 (seeds 100 and 101, 20 episodes each).
    """
    return max(fraction, min(1.0, LEAST_CLONING / steps)) if steps < REFERENCE_STEPS else fraction


def radius(published: float, steps: int, cap: float | None = RADIUS_CAP) -> float:
    """Return the bound Φ of an anchored policy's residual in a run of `steps` updates: at most the cap if it is short.

    The residual descends a critic's gradient from the first update on. After 5,000 updates that critic points the wrong
    way on Hopper (the push test of chapter 5a), and the residual stands at its bound: the smaller, the less it spoils.
    Chosen by the rule of `support.evidence.decisions` from runs that were not kept; they are to be made again.
    """
    return min(published, cap) if cap is not None and steps < REFERENCE_STEPS else published


def ramp(step: Tensor, steps: int, start: float, length: float) -> Tensor:
    """Return 0 before `start`, 1 after `start + length`, linear in between; both are fractions of the run.

    A tensor in, a tensor out: nothing waits for the device.
    """
    progress = step / steps
    if length <= 0:
        return (progress >= start).to(torch.get_default_dtype())
    return ((progress - start) / length).clamp(0, 1)


def cosine(step: Tensor, steps: int) -> Tensor:
    """Return ½(1 + cos(π t / T)) after t of T updates: 1 at the start, 0 from the end on (Loshchilov & Hutter 2017)."""
    return 0.5 * (1 + torch.cos(math.pi * (step / steps).clamp(0, 1)))


@torch.no_grad()
def decay(method: Any, rates: Mapping[str, float]) -> None:
    """Set rates of a method's optimisers, which are tensors, to these by a cosine over the run, in place."""
    share = cosine(method.step, method.steps)
    for name, rate in rates.items():
        method.optimizers[name].lr.copy_(rate * share)
