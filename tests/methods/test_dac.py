"""DAC: its loss, dual variable, lower bound and what its target generates, against numbers worked out by hand."""

import math

import pytest
import torch
from method_helpers import ACT, OBS, S, assert_gradients, batch, intercept, make, moved

from ramac_lib import risk
from ramac_lib.methods import get_method
from ramac_lib.methods.shared import noise_regression
from ramac_lib.methods.shared.noise_regression import ETA_RANGE
from ramac_lib.networks.noise import Noise, SamplerNoise
from ramac_lib.networks.policies.diffusion import DiffusionPolicy
from ramac_lib.system.errors import RamacError

# β = N(μ, σ²), Q = −k (a − m)² / 2, η: then π* ∝ β exp(Q/η) is N(.36897, .18570²).
MU, SIGMA, M, K, ETA = 0.3, 0.2, 0.8, 4.0, 1.0
TILTED = (MU / SIGMA**2 + K * M / ETA) / (1 / SIGMA**2 + K / ETA), (1 / SIGMA**2 + K / ETA) ** -0.5


def noise_of(x, bar, mean, std):
    """E[ε | x_t] of a Gaussian law of actions."""
    return (1 - bar) ** 0.5 * (x - bar**0.5 * mean) / (bar * std**2 + 1 - bar)


def guided(x, bar, scale=1.0):
    """The noise that eq. 15 asks for (`scale` ½: the authors' loss)."""
    return noise_of(x, bar, MU, SIGMA) + scale * (1 - bar) ** 0.5 * K * (x - M) / ETA


NOISES = {
    "bc": lambda x, bar: noise_of(x, bar, MU, SIGMA),
    "exact": lambda x, bar: noise_of(x, bar, *TILTED),
    "paper": guided,
    "code": lambda x, bar: guided(x, bar, 0.5),
}


def quadratic(**options):
    """DAC on actions of one dimension with that Q, its size at the data's actions set to one."""
    method = make("dac", dims=(OBS, 1), seeds=(0,), eta=ETA, **options)
    method.goal = lambda observations, actions: -K / 2 * (actions[..., 0] - M).square()
    method.magnitude = lambda batch: torch.ones(1)
    return method


# -- eq. 15 -----------------------------------------------------------------------------------------------------------


def test_the_tilted_gaussian():
    assert pytest.approx((0.36897, 0.18570), abs=5e-6) == TILTED


@pytest.mark.parametrize(
    ("t", "bc", "paper", "code", "exact"),
    [
        (1, 0.44829, -0.08281, 0.18274, 0.33477),
        (3, 0.41176, -0.68904, -0.13864, 0.38244),
        (5, 0.47739, -0.71876, -0.12068, 0.47187),
    ],
)
def test_what_the_loss_is_least_at(t, bc, paper, code, exact):
    """The actor's loss is quadratic in its prediction: its minimiser, from gradient and curvature, at x_t = .5."""
    x, bar = torch.full((1, 1, 1), 0.5), quadratic().policy.sqrt_bar[t - 1].item() ** 2
    for key, value in {"bc": bc, "paper": paper, "code": code, "exact": exact}.items():
        assert NOISES[key](0.5, bar) == pytest.approx(value, abs=1e-5)
    for scale, least in (("paper", paper), ("code", code)):
        method = quadratic(guidance_scale=scale)
        predicted = torch.zeros(1, 1, 1, requires_grad=True)
        guidance, value = method.guidance(batch(seeds=1, rows=1, dims=(OBS, 1)), torch.tensor([[t - 1]]), x, predicted)
        loss = method.dual * (predicted - bc).square().mean(dim=(1, 2)) + guidance
        (slope,) = torch.autograd.grad(loss.sum(), predicted)
        assert -slope.item() / (2 * ETA) == pytest.approx(least, abs=1e-4)
        assert value.item() == pytest.approx(-K / 2 * 0.3**2)


@pytest.mark.parametrize(
    ("steps", "kind", "mean", "std"),
    [
        (5, "bc", 0.300, 0.071),
        (5, "exact", 0.369, 0.063),
        (5, "paper", 0.561, 0.330),
        (5, "code", 0.463, 0.140),
        (1000, "exact", 0.368, 0.182),
        (1000, "paper", 0.434, 0.155),
        (1000, "code", 0.389, 0.169),
    ],
)
def test_what_the_chain_makes_of_each_noise(steps, kind, mean, std):
    """The paper's target does not generate π*, however long the chain is; the authors' halved one comes nearer."""
    policy = DiffusionPolicy((1,), OBS, 1, steps=steps)
    policy.noise_prediction.time.forward = lambda t: t.reshape(1, -1, 1)
    policy.noise_prediction.forward = lambda x, t, s: NOISES[kind](x, policy.sqrt_bar[t.long()] ** 2)
    count = 20_000 if steps == 5 else 4_000
    noise = Noise((0,), "training").normal(*policy.noise_shape(count))
    made = policy.sample(noise, torch.zeros(1, count, OBS))
    assert made.mean().item() == pytest.approx(mean, abs=4 * std / count**0.5 + 1e-3)
    assert made.std().item() == pytest.approx(std, rel=0.05)


def test_steps_of_variance_beta():
    """From x_1 with a prediction of 0 the last but one step adds noise of variance β_2; the last adds none."""
    policy = DiffusionPolicy((1,), OBS, 1, steps=2, step_noise="beta")
    policy.noise_prediction.forward = lambda x, t, s: torch.zeros_like(x)
    noise = torch.zeros(1, 2, 1, 1)
    still = policy.sample(noise, torch.zeros(1, 1, OBS))
    noise[0, 1] = 0.1
    pushed = policy.sample(noise, torch.zeros(1, 1, OBS))
    alpha, beta = (f.item() for f in (policy.sqrt_bar[0], (1 - (policy.sqrt_bar[1] / policy.sqrt_bar[0]) ** 2).sqrt()))
    assert still.item() == 0
    assert pushed.item() == pytest.approx(0.1 * beta / alpha, rel=1e-5)
    with pytest.raises(RamacError, match="unknown noise of a reverse step 'gamma': choose one of posterior, beta"):
        DiffusionPolicy((1,), OBS, 1, step_noise="gamma")


# -- the actor's update -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guidance", ["soft", "hard", "denoised"])
@pytest.mark.parametrize(("scale", "factor"), [("paper", 2), ("code", 1)])
def test_the_actors_gradient(guidance, scale, factor):
    """η ‖ε_θ − ε‖² + 2 w g · ε_θ with g of the *target* critics' mean at the *noisy* action, over their mean size."""
    method = moved("dac", guidance=guidance, guidance_scale=scale, eta=0.7, n_critics=3)
    seen, data, policy, draws = intercept(method), batch(), method.policy, Noise((0, 1), "training")
    method.noise.load_state(draws.state())
    method.update_actor(data)
    times, noise = policy.bc_draws(draws, 6)
    bar = policy.sqrt_bar[times][..., None] ** 2
    noisy = (bar.sqrt() * data.actions + (1 - bar).sqrt() * noise).requires_grad_(True)
    predicted = policy.predict(noisy.detach(), times, data.observations)
    size = method.target_critic(data.observations, data.actions).mean(1).abs().mean(1) + 1e-6
    values = method.target_critic(data.observations, noisy).mean(1)
    (g,) = torch.autograd.grad(values.sum(), noisy)
    g = g / size[:, None, None] * ((1 - bar).sqrt() if guidance == "soft" else 1)
    if guidance == "denoised":
        actions = policy.sample(draws.normal(*policy.noise_shape(6)), data.observations)
        extra = -method.target_critic(data.observations, actions).mean(dim=(1, 2)) / size
    else:
        extra = factor * (g * predicted).mean(dim=(1, 2))
    loss = 0.7 * (predicted - noise).square().mean(dim=(1, 2)) + extra
    torch.testing.assert_close(seen["policy"][0], loss.detach())
    assert_gradients(seen["policy"][1], loss, policy)
    assert not any(p.requires_grad for p in method.target_critic.parameters())


@pytest.mark.parametrize(
    ("bc", "eta", "after"),
    [(1.3, 1.0, 1.0003), (5.0, 1.0, 1.001), (0.2, 1.0, 0.9992), (-9.0, 0.0015, 0.001), (3.0, 99.9999, 100.0)],
)
def test_the_dual_variable(bc, eta, after):
    method = make("dac", threshold=1.0, eta=eta, short_run_rate=False)
    method.move_dual(torch.full((S,), bc))
    assert method.dual.tolist() == pytest.approx([after] * S, rel=1e-6)


def test_the_dual_variable_sees_the_actor_after_its_step_on_the_same_noise():
    method = make("dac", threshold=0.4, short_run_rate=False, lr_actor=0.1)
    state, data = method.noise.state(), batch()
    method.optimizers["policy"].lr.fill_(0.1)
    method.update_actor(data)
    draws = Noise((0, 1), "training")
    draws.load_state(state)
    with torch.no_grad():
        loss = method.policy.bc_loss(data.observations, data.actions, *method.policy.bc_draws(draws, 6))
    torch.testing.assert_close(method.dual, 1 + 1e-3 * (loss - 0.4).clamp(-1, 1))


def test_the_dual_rate_of_a_short_run_is_raised_to_its_cap():
    rates = [make("dac", steps=steps).dual_rate for steps in (4_000_000, 2_000_000, 1_000_000, 10_000)]
    assert rates == pytest.approx([1e-3, 1e-3, 2e-3, 1e-2])
    assert make("dac", steps=10, short_run_rate=False).dual_rate == 1e-3


def test_both_rates_decay_by_a_cosine_over_the_run():
    method = make("dac", steps=8, short_run_rate=False)
    own, rates = (method.config.lr_critic, method.config.lr_actor), []
    for k in range(9):
        method.update(batch(k))
        rates.append([float(method.optimizers[name].lr) for name in ("critic", "policy")])
    for k, both in enumerate(rates):
        share = 0.5 * (1 + math.cos(math.pi * k / 8))
        assert both == pytest.approx([rate * share for rate in own], abs=1e-10)
    constant = make("dac", steps=8, lr_decay=False, short_run_rate=False)
    for k in range(5):
        constant.update(batch(k))
    assert float(constant.optimizers["critic"].lr) == pytest.approx(own[0])


def test_the_ema_actor_may_move_every_few_steps():
    method = make("dac", steps=10, ema_every=3, ema_start=0.4)
    moves = []
    for k in range(10):
        before = [p.clone() for p in method.target_policy.parameters()]
        method.update(batch(k))
        moves.append(any(not torch.equal(a, b) for a, b in zip(before, method.target_policy.parameters(), strict=True)))
    assert [k for k, moved_now in enumerate(moves) if moved_now] == [6, 9]


# -- the critics ------------------------------------------------------------------------------------------------------


def test_the_lower_bound_of_an_ensemble():
    """Heads 1, 2, 3, 4: mean 2.5, standard deviation √1.25 with H in the denominator."""
    values = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1)
    for rho, bound in ((0.0, 2.5), (1.0, 1.38197), (1.5, 0.82295)):
        assert make("dac", rho=rho).lower_bound(values).item() == pytest.approx(bound, abs=1e-5)


@pytest.mark.parametrize(("kind", "reduce"), [("mean", torch.mean), ("max", torch.amax)])
def test_the_target_is_the_bound_of_each_heads_value_of_the_next_actions(kind, reduce):
    method = moved("dac", rho=0.5, next_samples=3, next_value=kind, n_critics=4)
    data, draws = batch(), Noise((0, 1), "training")
    method.noise.load_state(draws.state())
    targets = method.target_returns(data)
    states = data.next_observations.repeat_interleave(3, dim=1)
    with torch.no_grad():
        actions = method.target_policy.sample(draws.normal(*method.policy.noise_shape(18)), states)
        heads = reduce(method.target_critic(states, actions).reshape(S, 4, 6, 3), dim=3)
    bound = heads.mean(1) - 0.5 * heads.var(1, correction=0).sqrt()
    torch.testing.assert_close(targets, data.rewards + 0.99 * (1 - data.terminals) * bound)
    method.config = method.config.__class__(bootstrap=False)
    assert torch.equal(method.target_returns(data), data.rewards)


def test_every_head_fits_the_same_target_by_itself():
    method = moved("dac", n_critics=3)
    seen, data, draws = intercept(method), batch(), method.noise.state()
    method.update_critic(data)
    method.noise.load_state(draws)
    targets = method.target_returns(data)
    loss = (method.critic(data.observations, data.actions) - targets[:, None]).square().mean(2)
    assert loss.shape == (S, 3)
    assert_gradients(seen["critic"][1], loss, method.critic)


# -- acting -----------------------------------------------------------------------------------------------------------


def test_the_best_of_the_candidates_by_the_target_critics_acts():
    method = moved("dac", candidates=5)
    states = batch().observations
    chosen = method.act(states, Noise((0, 1), "evaluation"))
    rows = states.repeat_interleave(5, dim=1)
    with torch.no_grad():
        noise = Noise((0, 1), "evaluation").normal(*method.policy.noise_shape(30))
        actions = method.policy.sample(noise, rows)
        best = method.target_critic(rows, actions).mean(1).reshape(S, 6, 5).argmax(2)
    by_hand = torch.stack([actions.reshape(S, 6, 5, ACT)[i, range(6), best[i]] for i in range(S)])
    assert torch.equal(chosen, by_hand)
    alone = method.act(states, SamplerNoise((0, 1), "evaluation", silent=True))
    torch.testing.assert_close(alone, method.policy.sample(torch.zeros(S, 5, 6, ACT), states))


def test_critics_value_many_candidates_a_part_at_a_time(monkeypatch):
    """20,000 rows of ten candidates under ten critics at once were 30 GB of activations, and the process was killed."""
    method, asked = moved("dac", candidates=5), []
    whole = method.act(batch().observations, Noise((0, 1), "evaluation"))
    goal = method.goal
    method.goal = lambda states, actions: asked.append(actions.shape[1]) or goal(states, actions)
    monkeypatch.setattr(noise_regression, "ROWS", 7)
    torch.testing.assert_close(method.act(batch().observations, Noise((0, 1), "evaluation")), whole)
    assert asked == [7, 7, 7, 7, 2]


# -- DAC-CVaR ---------------------------------------------------------------------------------------------------------


def small(**options):
    return moved("dac-cvar", **{"critic_hidden": 12, "embedding": 6, "n_cos": 4, "n_fractions": 8, **options})


def test_the_twins_goal_is_the_cvar_of_the_target_law():
    method, data = small(alpha=0.25), batch()
    quantiles = method.target_critic(data.observations, data.actions, method.grid).amin(1)
    torch.testing.assert_close(method.goal(data.observations, data.actions), quantiles[..., :2].mean(-1))
    neutral = small(risk="neutral")
    quantiles = neutral.target_critic(data.observations, data.actions, neutral.grid).amin(1)
    torch.testing.assert_close(neutral.goal(data.observations, data.actions), quantiles.mean(-1))
    weights = torch.tensor(risk.weights("cvar", 8, alpha=0.25), dtype=torch.float32)
    torch.testing.assert_close(weights[:2], torch.full((2,), 0.5))


def test_the_twins_target_is_one_law_of_all_next_actions():
    method, data = small(next_samples=3), batch()
    draws = Noise((0, 1), "training")
    method.noise.load_state(draws.state())
    targets = method.target_returns(data)
    states = data.next_observations.repeat_interleave(3, dim=1)
    with torch.no_grad():
        actions = method.target_policy.sample(draws.normal(*method.policy.noise_shape(18)), states)
        law = method.target_critic(states, actions, method.grid).amin(1).reshape(S, 6, 24)
    torch.testing.assert_close(targets, data.rewards[..., None] + 0.99 * (1 - data.terminals)[..., None] * law)


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "rho", "threshold"),
    [
        ("hopper-medium-expert", 1.5, 0.05), ("hopper-medium-replay", 1.5, 1.0), ("walker2d-medium-expert", 1.0, 1.0),
        ("walker2d-medium-replay", 1.0, 1.0), ("halfcheetah-medium-expert", 0.0, 0.1),
        ("halfcheetah-medium-replay", 0.0, 1.0),
    ],
)  # fmt: skip
def test_the_authors_settings_of_each_task(task, rho, threshold):
    config = get_method("dac").Config.for_task(task)
    assert (config.rho, config.threshold, config.n_critics) == (rho, threshold, 10)
    assert get_method("dac-cvar").Config.for_task(task).threshold == threshold


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("rho", -0.1, r"rho is -0.1; expected a number in \[0, 100\]"),
        ("rho", 101.0, "rho is 101.0"),
        ("rho", float("nan"), "rho is nan"),
        ("rho", float("inf"), "rho is inf"),
        ("n_critics", 0, r"n_critics is 0; expected a whole number in \[1, 65,536\]"),
        ("threshold", 0.0, r"threshold is 0.0; expected a number in \(0, 100\]"),
        ("threshold", 1e6, "threshold is 1000000.0"),
        ("threshold", float("nan"), "threshold is nan"),
        ("eta", 0.0, r"eta is 0.0; expected a number in \[0.001, 100\]"),
        ("next_samples", 0, r"next_samples is 0; expected a whole number in \[1, "),
        ("candidates", 0, r"candidates is 0; expected a whole number in \[1, "),
        ("guidance", "firm", "unknown value of guidance 'firm': choose one of soft, hard, denoised"),
        ("guidance_scale", "half", "unknown value of guidance_scale 'half'"),
        ("step_noise", "alpha", "unknown value of step_noise 'alpha'"),
    ],
)
def test_what_is_out_of_range_is_refused(option, value, message):
    with pytest.raises(RamacError, match=message):
        make("dac", **{option: value})
    if option not in ("rho", "n_critics"):
        with pytest.raises(RamacError, match=message):
            get_method("dac-cvar").Config(**{option: value})


def test_an_ensemble_of_one_has_no_spread():
    assert make("dac", n_critics=1, rho=2.0).lower_bound(torch.ones(S, 1, 6)).eq(1).all()
    assert ETA_RANGE == (0.001, 100.0)
