"""The Risky Bandit: two disjoint modes of actions, one with a rare trap, every distribution known in closed form.

The paper (appendix E.1) describes a ring of actions with the higher mean and a rare large penalty, a safe centre,
and a dummy state; its code was never released and the text's constants are lost. Ours, in units of the action bound:

==============  ==================  =====================================================================
what            here                in the paper
==============  ==================  =====================================================================
mixture         ring .8, centre .2  the same
ring            radius .85, σ .05   about .93 and .05 (measured from the published figure), then clipped
centre          σ .1 an axis        about .1 (measured)
trap            p .05, penalty 10   p about .04 to .05 (measured)
rewards         ring 1.8, centre 1  (ring − centre) / penalty about .07 to .10 (measured); here .08
==============  ==================  =====================================================================

Both modes are truncated at 3 σ, so that the behaviour policy's support is a set with a formula: the disc of radius .3
and the annulus from .7 to 1. The published ring would reach beyond the box, where clipping makes atoms without a
density; the annulus here is the published figure in a box a tenth wider, and needs no clipping at all. The penalty
is far above the κ = 1 of the Huber loss. The ring's mean reward is 1.3 against 1, its CVaR_0.1 −3.2 against 1.

The data do not say what an action outside the support earns. Here it earns what the nearest mode does, trap
included, so that leaving the support is in itself neither rewarded nor punished: it is counted apart, as "ood".
"""

from dataclasses import asdict, dataclass
from math import exp, hypot, pi
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, Shaped
from scipy.special import ndtr, ndtri

from ramac_lib import risk
from ramac_lib.system.errors import RamacError, unknown

ENV_ID = "RiskyBandit-v0"
REGIONS = ("centre", "gap", "ring", "outside")
MODES = ("centre", "ring")
CUT = 3.0  # both modes end at this many σ
# Actions are stored in float32, whose rounding may carry an action drawn at the support's edge across it.
ROUNDING = 1e-6

Array = np.ndarray


@dataclass(frozen=True)
class Bandit:
    """The bandit's constants and the exact distributions that follow from them.

    Args:
        ring_share: the behaviour distribution's mass on the ring; the rest is on the centre.
        ring_radius, ring_sigma: of the normal distribution, truncated at 3 σ, of a ring action's radius.
        centre_sigma: of each axis of a centre action, whose radius is truncated at 3 σ.
        ring_reward, centre_reward: what an action earns where no trap strikes.
        trap_probability, trap_penalty: how often a ring action is trapped, and what that takes off its reward.

    Raises:
        RamacError: a constant is out of its range, the modes overlap, or the ring leaves the box [-1, 1]².
    """

    ring_share: float = 0.8
    ring_radius: float = 0.85
    ring_sigma: float = 0.05
    centre_sigma: float = 0.1
    ring_reward: float = 1.8
    centre_reward: float = 1.0
    trap_probability: float = 0.05
    trap_penalty: float = 10.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not np.isfinite(value):
                raise RamacError(f"{name} is {value}; expected a finite number")
        for name in ("ring_share", "trap_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise RamacError(f"{name} is {getattr(self, name)}; expected a probability in [0, 1]")
        for name in ("ring_sigma", "centre_sigma"):
            if getattr(self, name) <= 0:
                raise RamacError(f"{name} is {getattr(self, name)}; expected a positive number")
        if self.trap_penalty < 0:
            raise RamacError(f"trap_penalty is {self.trap_penalty}; expected a number of at least 0")
        if not self.centre_edge < self.ring_edges[0] or self.ring_edges[1] > 1 + ROUNDING:
            raise RamacError(
                f"the centre ends at radius {self.centre_edge:.4g} and the ring spans {self.ring_edges[0]:.4g} to "
                f"{self.ring_edges[1]:.4g}; expected the ring outside the centre and inside radius 1"
            )

    # -- the behaviour policy -----------------------------------------------------------------------------------------

    @property
    def centre_edge(self) -> float:
        """The centre's support is the disc of this radius."""
        return CUT * self.centre_sigma

    @property
    def ring_edges(self) -> tuple[float, float]:
        """The ring's support is the annulus between these radii."""
        return self.ring_radius - CUT * self.ring_sigma, self.ring_radius + CUT * self.ring_sigma

    def sample_behaviour(self, n: int, rng: np.random.Generator) -> Float[Array, "n 2"]:
        """Draw `n` independent actions from the behaviour distribution β, in float32."""
        ring = rng.random(n) < self.ring_share
        u, angle = rng.random(n), rng.uniform(0, 2 * pi, n)
        normal = ndtri(ndtr(-CUT) + u * (ndtr(CUT) - ndtr(-CUT)))
        rayleigh = np.sqrt(-2 * np.log1p(-u * _RAYLEIGH_MASS))
        radius = np.where(ring, self.ring_radius + self.ring_sigma * normal, self.centre_sigma * rayleigh)
        return (radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)).astype(np.float32)

    def density(self, actions: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
        """Return β's density with respect to area: the two modes' where they live, and 0 elsewhere."""
        radius, region = _radius(actions), self.region(actions)
        s, c = self.ring_sigma, self.centre_sigma
        # The ring's distribution is one of the radius; spread over the circle it is divided by 2πr.
        normal = np.exp(-(((radius - self.ring_radius) / s) ** 2) / 2) / (s * np.sqrt(2 * pi) * _NORMAL_MASS)
        ring = self.ring_share * normal / (2 * pi * np.maximum(radius, ROUNDING))
        centre = (1 - self.ring_share) * np.exp(-((radius / c) ** 2) / 2) / (2 * pi * c**2 * _RAYLEIGH_MASS)
        return np.where(region == "ring", ring, np.where(region == "centre", centre, 0.0))

    def log_density(self, actions: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
        """Return the logarithm of `density`, −∞ outside the support."""
        with np.errstate(divide="ignore"):
            return np.log(self.density(actions))

    def region(self, actions: Float[Array, "*n 2"]) -> Shaped[Array, "*n"]:
        """Return each action's region by name: centre, gap (between the modes), ring, outside (beyond the ring)."""
        (inner, outer), radius = self.ring_edges, _radius(actions)
        conditions = [radius <= self.centre_edge + ROUNDING, radius < inner - ROUNDING, radius <= outer + ROUNDING]
        return np.select(conditions, REGIONS[:3], REGIONS[3])

    def support(self, actions: Float[Array, "*n 2"]) -> Bool[Array, "*n"]:
        """Return whether each action lies in supp β, the centre's disc or the ring's annulus (both closed).

        Every other action is out of distribution. A mode of share 0 has no mass and hence no support.
        """
        return self.density(actions) > 0

    def mode(self, actions: Float[Array, "*n 2"]) -> Shaped[Array, "*n"]:
        """Return the mode, centre or ring, whose support is nearest: its reward distribution is the action's."""
        return np.where(self.trapped(actions), "ring", "centre")

    def trapped(self, actions: Float[Array, "*n 2"]) -> Bool[Array, "*n"]:
        """Return whether the trap can strike: nearer to the ring than to the centre's disc."""
        return _radius(actions) > (self.centre_edge + self.ring_edges[0]) / 2

    # -- rewards ------------------------------------------------------------------------------------------------------

    def reward_law(self, mode: str) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
        """Return the values, in increasing order, and probabilities of the reward of an action of this mode.

        Raises:
            RamacError: the mode is neither centre nor ring.
        """
        if mode not in MODES:
            raise unknown("mode of the bandit", mode, MODES)
        if mode == "centre":
            return np.array([self.centre_reward]), np.ones(1)
        p = self.trap_probability
        return np.array([self.ring_reward - self.trap_penalty, self.ring_reward]), np.array([p, 1 - p])

    def reward_quantile(self, mode: str, tau: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """Return F⁻¹(τ) = min {x: F(x) ≥ τ} of the mode's reward."""
        values, probabilities = self.reward_law(mode)
        at = np.searchsorted(np.cumsum(probabilities)[:-1], tau, side="left")
        return values[at]

    def reward_mean(self, mode: str) -> float:
        """Return the mode's expected reward."""
        return self.reward_risk(mode, "neutral")

    def reward_risk(
        self, mode: str, measure: str = "cvar", *, alpha: float = 0.1, parameter: float | None = None
    ) -> float:
        """Return the exact risk of the mode's reward (see `ramac_lib.risk`)."""
        return risk.risk_of_law(*self.reward_law(mode), measure, alpha=alpha, parameter=parameter)

    def grid_risk(self, mode: str, weights: Float[Array, " n"]) -> float:
        """Return Σ_i w_i F⁻¹(τ_i) of the mode's reward over the fixed grid (eq. 14): what a perfect critic says.

        It is not the exact risk: at N = 32 the fraction 3/64 lies below p = .05 and takes a whole bin along, so the
        ring's CVaR_0.1 is −4.45 instead of −3.2. It is exact where p is an edge of the grid's bins, e.g. N = 20, 40.
        That choice matters to learning too: 3/64 is .0031 away from p, about the sampling error of the trap's
        frequency in 8,000 ring actions (.0024), so the minimiser of the critic's loss over 100 data sets is
        −3.88 ± .94 (s.d.) at N = 32, and −3.29 ± .03 at N = 40.
        """
        return float(risk.risk_of_quantiles(self.reward_quantile(mode, risk.grid(len(weights))), weights))

    def sample_rewards(self, actions: Float[Array, "n 2"], rng: np.random.Generator) -> Float[Array, " n"]:
        """Draw one reward for each action."""
        trapped = self.trapped(actions)
        struck = trapped & (rng.random(trapped.shape) < self.trap_probability)
        return np.where(trapped, self.ring_reward, self.centre_reward) - self.trap_penalty * struck

    def evaluate(self, actions: Float[Array, "n 2"], alpha: float = 0.1) -> dict[str, float]:
        """Return a policy's exact numbers, given a sample of its actions: rewards are integrated out, not drawn.

        Keys: the mass in each of the regions ``centre gap ring outside``; ``ood``, the mass outside the support of β;
        ``expected_reward``; ``cvar``, the CVaR_α of the policy's reward (a mixture over its actions);
        ``action_cvar``, the mean over actions of CVaR_α of their own reward, which the actor maximises (eq. 10).

        Raises:
            RamacError: no actions, a wrong shape, NaN, α outside (0, 1].
        """
        actions = _checked(actions)
        if actions.ndim != 2 or len(actions) == 0:
            raise RamacError(f"actions have shape {actions.shape}; expected (n, 2) with n of at least 1")
        masses = {name: float(np.mean(self.region(actions) == name)) for name in REGIONS}
        on_ring = float(np.mean(self.trapped(actions)))
        share = {"centre": 1 - on_ring, "ring": on_ring}
        values, probabilities = zip(*(self.reward_law(mode) for mode in MODES), strict=True)
        mixed = [share[mode] * p for mode, p in zip(MODES, probabilities, strict=True)]
        law = np.concatenate(values), np.concatenate(mixed)
        return {
            **masses,
            "ood": float(np.mean(~self.support(actions))),
            "expected_reward": risk.risk_of_law(*law, "neutral"),
            "cvar": risk.risk_of_law(*law, "cvar", alpha=alpha),
            "action_cvar": sum(share[mode] * self.reward_risk(mode, alpha=alpha) for mode in MODES),
        }


_NORMAL_MASS = float(ndtr(CUT) - ndtr(-CUT))
_RAYLEIGH_MASS = 1 - exp(-(CUT**2) / 2)


def _checked(actions: Any) -> Array:
    array = np.asarray(actions, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != 2:
        raise RamacError(f"actions have shape {array.shape}; expected two numbers along the last axis")
    if not np.isfinite(array).all():
        raise RamacError(f"actions hold {array[~np.isfinite(array)][0]}; expected finite numbers")
    return array


def _radius(actions: Any) -> Array:
    array = _checked(actions)
    return np.hypot(array[..., 0], array[..., 1])


class RiskyBanditEnv(gymnasium.Env[Array, Array]):
    """The bandit as a Gymnasium environment of one-step episodes: observation (1,) zero, action in [-1, 1]².

    ``info`` of a step: ``region``, ``violation`` (whether the trap can strike there), ``monitored`` (the action's
    radius) and ``penalty`` (what the trap added to this reward: 0 or −trap_penalty).
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own attribute)

    def __init__(self, bandit: Bandit | None = None, render_mode: None = None) -> None:
        self.bandit = bandit or Bandit()
        self.render_mode = render_mode
        self.observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start the next episode."""
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Draw the action's reward; the episode ends. Actions beyond the box are clipped to it."""
        clipped = np.clip(_checked(action), -1, 1)
        reward = float(self.bandit.sample_rewards(clipped, self.np_random))
        trapped = bool(self.bandit.trapped(clipped))
        struck = trapped and reward < self.bandit.ring_reward
        info = {
            "region": str(self.bandit.region(clipped)),
            "violation": trapped,
            "monitored": hypot(*clipped),
            "penalty": -self.bandit.trap_penalty if struck else 0.0,
        }
        return np.zeros(1, np.float32), reward, True, False, info


if ENV_ID not in gymnasium.registry:
    gymnasium.register(id=ENV_ID, entry_point="ramac_lib.envs.bandit:RiskyBanditEnv")
