"""The policy that `vector_envs` asks, and its training: the cells of a notebook, or a script."""

import copy
from typing import Annotated

import numpy as np
import torch
from learner import Network, Rollouts, Step, improve

from pycrust import DType, RpcEndpoint, Shape

Observations = Annotated[np.ndarray, Shape(..., 4), DType("float32")]
PerEnvironment = Annotated[np.ndarray, Shape(...), DType("float32")]
Ended = Annotated[np.ndarray, Shape(...), DType("uint8")]
Actions = Annotated[np.ndarray, Shape(...), DType("uint8")]

#: Steps of all environments between two updates.
HORIZON = 128

torch.manual_seed(0)
torch.set_num_threads(1)
network = Network()
rollouts = Rollouts()


def load() -> Network:
    """A copy of what has been learned so far, which the next update leaves alone."""
    return copy.deepcopy(network).eval()


endpoint = RpcEndpoint("vector_envs")
policy = endpoint.model("policy", load)


@endpoint.register(models=["policy"], context=torch.inference_mode)
def act(observations: Observations, rewards: PerEnvironment, ended: Ended, policy: Network) -> Actions:
    """An action for each environment; `rewards` and `ended` are what the last ones brought."""
    observations = observations.copy()
    actions, likelihoods, values = policy.act(torch.from_numpy(observations))
    rollouts.add(policy.update, Step(observations, actions, likelihoods, values, rewards, ended))
    return actions.numpy().astype(np.uint8)


def train(updates: int) -> None:
    """Improves the policy on what it does, and puts each update into service while the environments run."""
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(updates):
        lasted = improve(network, optimizer, rollouts.collect(network.update, HORIZON))
        policy.reload().result()
        print(f"update {network.update}: episodes lasted {lasted:.0f} steps", flush=True)


if __name__ == "__main__":
    with endpoint:
        train(60)
        endpoint.listen()
