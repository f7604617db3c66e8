"""Proximal policy optimisation of a small network, from steps that are taken elsewhere.

Schulman, Wolski, Dhariwal, Radford and Klimov (2017), "Proximal Policy Optimization Algorithms", arXiv:1707.06347,
with generalised advantages (Schulman, Moritz, Levine, Jordan and Abbeel, 2015, arXiv:1506.02438).
"""

import threading
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

GAMMA, LAMBDA, CLIP = 0.99, 0.95, 0.2
#: How often the network sees a rollout, and in how many parts.
EPOCHS, PARTS = 4, 4


class Network(nn.Module):
    """The logit of pushing to the right, and what a state is worth."""

    def __init__(self) -> None:
        """Draws the weights."""
        super().__init__()
        self.actor, self.critic = (
            nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
            for _ in range(2)
        )
        #: How many updates have made it.
        self.update = 0

    def forward(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and values, one of each per environment."""
        return self.actor(observations).squeeze(-1), self.critic(observations).squeeze(-1)

    def act(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Actions (0 or 1) by chance, the logarithm of how likely each was, and values."""
        logits, values = self(observations)
        actions = (torch.rand_like(logits) < logits.sigmoid()).float()
        return actions, likelihood(logits, actions), values


def likelihood(logits: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """The logarithm of how likely these actions are."""
    return -nn.functional.binary_cross_entropy_with_logits(logits, actions, reduction="none")


@dataclass
class Step:
    """What was seen and done at a step, and what the step before it brought; an entry per environment."""

    observations: np.ndarray
    actions: torch.Tensor
    likelihoods: torch.Tensor
    values: torch.Tensor
    rewards: np.ndarray
    ended: np.ndarray


class Rollouts:
    """Steps from the handler to the learner: kept only while it waits for some, and only its latest network's."""

    def __init__(self) -> None:
        """Nobody waits."""
        self.steps: list[Step] = []
        self.wanted = 0
        self.update = -1
        self.full = threading.Event()

    def add(self, update: int, step: Step) -> None:
        """The handler has taken a step with the network of that update."""
        if update == self.update and len(self.steps) < self.wanted:
            self.steps.append(step)
            if len(self.steps) == self.wanted:
                self.full.set()

    def collect(self, update: int, count: int) -> list[Step]:
        """Waits for so many steps in a row of that update's network, and the one after them."""
        self.full.clear()
        self.steps, self.wanted, self.update = [], count + 1, update
        # In short waits, so that a cell that waits here can be interrupted.
        while not self.full.wait(0.1):
            pass
        return self.steps


def improve(network: Network, optimizer: torch.optim.Optimizer, steps: list[Step]) -> float:
    """One update; gives how many steps an episode of the rollout lasted, on average."""
    observations = torch.from_numpy(np.stack([step.observations for step in steps[:-1]]))
    rewards = torch.from_numpy(np.stack([step.rewards for step in steps[1:]]))
    ended = torch.from_numpy(np.stack([step.ended for step in steps[1:]])).float()
    values = torch.stack([step.values for step in steps])
    advantages = torch.zeros_like(rewards)
    ahead = torch.zeros_like(rewards[0])
    for at in reversed(range(len(rewards))):
        going_on = 1 - ended[at]
        surprise = rewards[at] + GAMMA * values[at + 1] * going_on - values[at]
        ahead = surprise + GAMMA * LAMBDA * going_on * ahead
        advantages[at] = ahead
    returns = advantages + values[:-1]
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    actions = torch.stack([step.actions for step in steps[:-1]])
    before = torch.stack([step.likelihoods for step in steps[:-1]])
    flat = [part.flatten(0, 1) for part in (observations, actions, before, advantages, returns)]
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(flat[0])).chunk(PARTS):
            learn(network, optimizer, *(part[chosen] for part in flat))
    network.update += 1
    return float(rewards.numel() / max(1.0, ended.sum().item()))


def learn(network: Network, optimizer: torch.optim.Optimizer, *part: torch.Tensor) -> None:
    """One gradient step on a part of a rollout."""
    observations, actions, before, advantages, returns = part
    logits, values = network(observations)
    ratio = (likelihood(logits, actions) - before).exp()
    gain = torch.min(ratio * advantages, ratio.clamp(1 - CLIP, 1 + CLIP) * advantages)
    loss = (0.5 * (returns - values).square() - gain).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 0.5)
    optimizer.step()
