"""The range of every setting, by its name: what a name means is the same for all methods.

A method's own field may declare another one, ``field(default=…, metadata={"range": Range(0, 1)})``, or its words by its
type, ``Literal["min", "mean"]``; one that is neither here nor declares any is held to its type alone. A method's
`Config` asks them all, wherever it is made.
"""

from ramac_lib.networks.layers import ACTIVATIONS
from ramac_lib.system.ranges import COUNT, FROM_0, INSIDE, POSITIVE, SHARE, Allowed, Range

WIDTH = Range(1, 65_536)  # of a layer, or of whatever is computed side by side for an entry of a batch
CHAIN = Range(1, 10_000)  # steps one after another
_GROUPS: tuple[tuple[str, Allowed], ...] = (
    ("batch_size n_actions candidates next_samples", Range(1, 2**20)),
    ("samples", Range(2, 2**20)),  # a standard deviation is taken over them
    ("hidden critic_hidden residual_hidden critic_encoder embedding flow_hidden inverse_hidden model_hidden", WIDTH),
    ("n_cos n_fractions n_risk_fractions n_critics", WIDTH),
    ("policy_steps guidance_iterations couplings length replan window window_limit window_step", CHAIN),
    ("time_dim", Range(2, 65_536)),
    ("scales", Range(2, 10_000)),
    ("activation critic_activation flow_activation model_activation", tuple(ACTIVATIONS)),
    ("policy_every ema_every gan_every", COUNT),
    ("lr_actor lr_critic lr_critic_cap lr_lagrange lr_prior lr_dual lr_dual_cap lr_flow lr_model", SHARE),
    ("discount target_rate target_rate_cap teacher_rate", SHARE),
    ("alpha", Range(0, 1, above=True)),
    ("risk_level", Range(0, 2, above=True, below=True)),
    ("eta_warmup eta_ramp ema_start bc_warmup prior_until", SHARE),
    ("flow_until actor_from critic_from q_from certain", SHARE),
    ("model_share", Range(0, 1, below=True)),
    ("coverage beta", INSIDE),
    ("eta bc_weight kl_weight bc_coefficient cql_weight conservative_weight gan_weight penalty_weight weight", FROM_0),
    ("entropy lagrange_threshold radius short_radius", FROM_0),
    ("rho", Range(0, 100)),  # standard deviations below an ensemble's mean
    ("threshold", Range(0, 100, above=True)),  # of a cloning loss, which is 1 where 0 is predicted
    ("guidance jitter target_noise noise_clip", FROM_0),
    ("td_clip grad_clip reward_clamp latent_clamp bound kappa", POSITIVE),
    ("cost_limit cost_share cost_weight temperature cost_temperature absorbing", FROM_0),
    ("cost_horizon heads", Range(1, 65_536)),
    ("target_return", Range()),
    ("expectile safe_share", INSIDE),
    ("value_share penalty_from", SHARE),
)
RANGES: dict[str, Allowed] = {name: allowed for names, allowed in _GROUPS for name in names.split()}
