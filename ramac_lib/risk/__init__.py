"""Risk measures of a distribution of returns: distortions, weights over a grid, estimators.

One convention holds throughout. A risk measure is an increasing map h of [0, 1] that bends the *sampled
fraction*, as IQN (Dabney et al. 2018), ORAAC and RAMAC write it; its inverse g distorts the *CDF*:

    ρ(Z) = E_{τ~U(0,1)}[F_Z⁻¹(h(τ))] = ∫₀¹ F_Z⁻¹(u) dg(u),    g = h⁻¹.

Z is a return, so bad outcomes lie in its lower tail, and ρ is averse where g lies above the diagonal.

=========  =================================  =======================  =====================
measure    h(τ)                               g(u)                     parameter (default)
=========  =================================  =======================  =====================
cvar       α τ                                min(u/α, 1)              α (0.1)
wang       Φ(Φ⁻¹(τ) + w)                      Φ(Φ⁻¹(u) − w)            w (−0.7, averse)
cpw        τᶜ / (τᶜ + (1−τ)ᶜ)^{1/c}           inverted numerically     c (0.71)
power      η < 0: 1 − (1−τ)^{1/(1+|η|)}       1 − (1−u)^{1+|η|}        η (−2, averse)
..         η ≥ 0: τ^{1/(1+η)}                 u^{1+η}
neutral    τ                                  u                        none
=========  =================================  =======================  =====================

Where sources differ: CODAC (Ma et al. 2021) distorts the CDF, so its Wang parameter has the opposite sign
(positive is averse); the actuarial literature applies Wang's transform to losses. RAFMAC's released w = +0.2 is
risk-*seeking* here. CPW is Tversky and Kahneman's weighting of *probabilities*, which overweighs both tails; put
on sampled fractions, as IQN does and hence we do, the same formula underweighs them.
"""

from ramac_lib.risk.checks import check_alpha
from ramac_lib.risk.dial import check_level, dial_weights
from ramac_lib.risk.distortions import CPW_LEAST, MEASURES, PARAMETERS, distort_cdf, distort_fractions
from ramac_lib.risk.estimators import cvar, cvar_dual, cvar_grid, cvar_random, risk, value_at_risk
from ramac_lib.risk.exact import risk_of_law, risk_of_quantile_function, value_at_risk_of_law
from ramac_lib.risk.grids import RULES, effective_alpha, grid, risk_of_quantiles, weights

__all__ = [
    "CPW_LEAST", "MEASURES", "PARAMETERS", "RULES", "check_alpha", "check_level", "cvar", "cvar_dual", "cvar_grid",
    "cvar_random", "dial_weights", "distort_cdf", "distort_fractions", "effective_alpha", "grid", "risk",
    "risk_of_law", "risk_of_quantile_function", "risk_of_quantiles", "value_at_risk", "value_at_risk_of_law",
    "weights",
]  # fmt: skip
