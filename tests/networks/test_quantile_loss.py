"""The quantile-Huber loss against hand-computed values and known laws."""

import numpy as np
import pytest
import torch
from scipy import stats

from ramac_lib import risk
from ramac_lib.networks.critics import IQNCritic
from ramac_lib.networks.layers import initialise
from ramac_lib.networks.quantile_loss import quantile_huber
from ramac_lib.system.errors import RamacError

N = 32
# Scales of at least 10 κ: there Huber's smoothing no longer biases the quantiles (FACTS of quantile regression).
LAWS = {
    "normal": stats.norm(3, 20),
    "exponential": stats.expon(scale=20),
    "skewed": None,  # 0.85 N(50, 30²) + 0.15 N(−60, 30²): a heavy lower tail
}


def quantiles_of(name, fractions):
    if name != "skewed":
        return LAWS[name].ppf(fractions)
    x = np.linspace(-300, 300, 400_001)
    cdf = 0.85 * stats.norm(50, 30).cdf(x) + 0.15 * stats.norm(-60, 30).cdf(x)
    return np.interp(fractions, cdf, x)


def fit_table(name, axis):
    """Fit N free quantiles to a fine stratified sample of the law, by L-BFGS on the full loss."""
    target = torch.tensor(quantiles_of(name, risk.grid(N if axis == "target" else 4096)))[None]
    taus = torch.tensor(risk.grid(N))
    theta = torch.full((1, N), float(target.mean()), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([theta], max_iter=4000, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def closure():
        optimizer.zero_grad()
        loss = quantile_huber(theta, target, taus, axis=axis)
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    return theta.detach()[0].numpy()


def test_value_by_hand():
    # δ = target − predicted: row i=1: 2, −0.5; row i=2: 0.5, −2. κ = 1, τ = (.25, .75).
    predicted, target = torch.tensor([[1.0, 2.5]]), torch.tensor([[3.0, 0.5]])
    taus = torch.tensor([0.25, 0.75])
    # Huber: |2| → 1.5, |.5| → .125. δ_11 = 2, δ_12 = −.5, δ_21 = .5, δ_22 = −2.
    by_hand = (0.25 * 1.5 + 0.75 * 0.125) / 2 + (0.75 * 0.125 + 0.25 * 1.5) / 2
    assert quantile_huber(predicted, target, taus).item() == pytest.approx(by_hand)
    # The released axis weighs by τ_j: δ_11 by τ_1, δ_12 by 1 − τ_2, δ_21 by τ_1, δ_22 by 1 − τ_2.
    slipped = (0.25 * 1.5 + 0.25 * 0.125) / 2 + (0.25 * 0.125 + 0.25 * 1.5) / 2
    assert quantile_huber(predicted, target, taus, axis="target").item() == pytest.approx(slipped)
    # One to one: δ_11 and δ_22 alone.
    paired = 0.25 * 1.5 + 0.25 * 1.5
    assert quantile_huber(predicted, target, taus, pairing="one-to-one").item() == pytest.approx(paired)


def test_kappa_scales_the_quadratic_zone():
    predicted, target, taus = torch.zeros(1, 1), torch.tensor([[3.0]]), torch.tensor([0.5])
    assert quantile_huber(predicted, target, taus, kappa=4.0).item() == pytest.approx(0.5 * 0.5 * 9 / 4)
    assert quantile_huber(predicted, target, taus, kappa=2.0).item() == pytest.approx(0.5 * (3 - 1))


def test_each_member_of_a_stack_has_its_own_loss():
    generator = torch.Generator().manual_seed(0)
    predicted, target = (torch.randn(3, 2, 5, 8, generator=generator) for _ in range(2))
    taus = torch.tensor(risk.grid(8), dtype=torch.float32)
    loss = quantile_huber(predicted, target, taus)
    assert loss.shape == (3, 2)
    torch.testing.assert_close(loss[1, 0], quantile_huber(predicted[1, 0], target[1, 0], taus))


def test_no_gradient_into_the_target():
    target = torch.zeros(1, 4, requires_grad=True)
    predicted = torch.ones(1, 4, requires_grad=True)
    quantile_huber(predicted, target, torch.tensor(risk.grid(4), dtype=torch.float32)).backward()
    assert target.grad is None
    assert predicted.grad is not None


def test_unknown_axis():
    with pytest.raises(RamacError, match="unknown quantile axis 'rows': choose one of prediction, target"):
        quantile_huber(torch.zeros(1, 1), torch.zeros(1, 1), torch.tensor([0.5]), axis="rows")


@pytest.mark.parametrize("law", LAWS)
def test_quantiles_of_a_known_law(law):
    truth = quantiles_of(law, risk.grid(N))
    error = np.abs(fit_table(law, "prediction") - truth).max() / np.ptp(truth)
    assert error < 0.02


@pytest.mark.parametrize("law", LAWS)
def test_the_released_axis_learns_the_median_everywhere(law):
    truth = quantiles_of(law, risk.grid(N))
    slipped = fit_table(law, "target")
    assert np.abs(slipped - truth).max() / np.ptp(truth) > 0.3
    assert np.ptp(slipped) < 0.02 * np.ptp(truth)  # every fraction alike …
    assert abs(slipped.mean() - np.median(truth)) < 0.1 * np.ptp(truth)  # … near the median


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_the_iqn_critic_learns_a_known_law(law):
    """Samples of a known law as one-step returns: both critics find its quantiles within 2 % of their range."""
    critic = IQNCritic((1,), 1, 1, embedding=64, n_cos=32)
    initialise(critic, [torch.Generator().manual_seed(3)])
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
    taus = torch.tensor(risk.grid(N), dtype=torch.float32)
    truth = quantiles_of(law, risk.grid(N))
    table = torch.tensor(quantiles_of(law, risk.grid(8192)), dtype=torch.float32)
    generator = torch.Generator().manual_seed(4)
    s = a = torch.ones(1, 1, 1)
    average = torch.zeros(2, N)
    steps = 3000
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - step / steps) + 1e-5
        draws = table[torch.randint(len(table), (1, 1, 1, 2048), generator=generator)]
        loss = quantile_huber(critic(s, a, taus), draws, taus).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step >= steps - 500:
            average += critic(s, a, taus).detach()[0, :, 0] / 500
    error = np.abs(average.numpy() - truth).max(axis=1) / np.ptp(truth)
    assert (error < 0.02).all(), error
