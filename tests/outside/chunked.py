"""A critic of action chunks: h actions are chosen at once and played one after another (as in Li et al. 2025)."""

from dataclasses import dataclass

import torch

from ramac_lib.datasets.batches import Chunks
from ramac_lib.methods import Controller, Method, register
from ramac_lib.methods.shared.base import CriticConfig, follow, frozen
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.critics import QCritic
from ramac_lib.networks.policies.one_step import OneStepPolicy


@dataclass(frozen=True)
class ChunkedConfig(CriticConfig):
    """Chunk length, widths, and the weight of the critic against cloning."""

    chunk: int = 3
    hidden: tuple[int, ...] = (32, 32)
    eta: float = 0.1


class Queue(Controller):
    """Asks the policy for a chunk when the last one is played."""

    def __init__(self, method, noise):
        super().__init__(method, noise)
        self.waiting = []

    def __call__(self, observations):
        if not self.waiting:
            chunk = self.method.chunks(observations.to(self.method.device), self.noise)
            self.waiting = list(chunk.unbind(2))
        return self.waiting.pop(0)

    def keep(self, episodes):
        self.waiting = [actions[:, torch.as_tensor(episodes)] for actions in self.waiting]


@register("chunked-q", label="chunked Q", colour="#AA4499", marker="d")
class ChunkedQ(Method):
    """TD learning over chunks, with a policy that clones them."""

    Config = ChunkedConfig

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        config, (s, a) = self.config, self.dims
        wide = config.chunk * a
        self.policy = self.new(OneStepPolicy(self.stack, s, wide, hidden=config.hidden))
        self.critic = self.new(QCritic(self.stack, s, wide, hidden=config.hidden))
        self.target_critic = self.target_of(self.critic)
        self.optimizers["policy"] = StackedAdam(self.policy, config.lr_actor)
        self.optimizers["critic"] = StackedAdam(self.critic, self.critic_rate, stack_rank=2)

    def sampling(self):
        return Chunks(self.config.chunk)

    def critics(self):
        return {"critic": self.critic, "target_critic": self.target_critic}

    def levels(self):
        return (1.0,)

    def value(self, observations, actions, alpha=1.0):
        return self.quantiles(observations, actions)[0].amin(dim=1)[..., 0]

    def quantiles(self, observations, actions):
        """Ask about an action alone: the rest of its chunk is the policy's."""
        states = self.scaled(observations)
        rest = self.policy.sample(torch.zeros(*actions.shape[:2], self.policy.action_dim), states).detach()
        chunks = torch.cat([actions, rest[..., self.dims[1] :]], dim=-1)
        return self.critic(states, chunks)[..., None], torch.full((1,), 0.5)

    def controller(self, noise):
        return Queue(self, noise)

    @torch.no_grad()
    def chunks(self, observations, noise):
        """Return (S, E, h, a)."""
        states = self.scaled(observations)
        chunk = self.policy.sample(self.policy_noise(states, noise), states)
        return chunk.unflatten(-1, (self.config.chunk, self.dims[1]))

    def choose(self, observations, noise):
        return self.policy.sample(self.policy_noise(observations, noise), observations)[..., : self.dims[1]]

    def learn(self, batch):
        config = self.config
        powers = config.discount ** torch.arange(config.chunk + 1, device=self.device)
        flat, whole = batch.actions.flatten(-2), batch.mask.all(dim=-1).float()
        with torch.no_grad():
            following = self.policy.sample(self.policy_noise(batch.next_observations), batch.next_observations)
            later = self.target_critic(batch.next_observations, following).amin(dim=1)
            targets = batch.rewards @ powers[:-1] + powers[-1] * (1 - batch.terminals) * later
        values = self.critic(batch.observations, flat)
        critic_loss = (values - targets.unsqueeze(1)).square().mean(dim=2)
        norm = self.optimizers["critic"].step(critic_loss)
        chunks = self.policy.sample(self.policy_noise(batch.observations), batch.observations)
        with frozen(self.critic):
            gain = self.critic(batch.observations, chunks).amin(dim=1).mean(dim=1)
        bc_loss = ((chunks - flat).square().mean(dim=2) * whole).mean(dim=1)
        self.optimizers["policy"].step(
            bc_loss - config.eta * gain / values.detach().abs().mean(dim=(1, 2)).clamp(min=1)
        )
        follow(self.target_critic, self.critic, self.target_rate)
        return {
            "critic_loss": critic_loss.detach().mean(1),
            "critic_grad_norm": norm.mean(1),
            "bc_loss": bc_loss.detach(),
        }
