"""A policy server as LeRobot's asynchronous inference has it: the cells of a notebook, or a script."""

import math
import time
from typing import Annotated

import numpy as np
from typing_extensions import TypedDict

from pycrust import DType, RpcEndpoint, Shape

#: An SO-101 arm with two cameras, and chunks as long as LeRobot asks for in its examples.
ACTIONS, MOTORS, HEIGHT, WIDTH, PATCH = 50, 6, 480, 640, 40

Image = Annotated[np.ndarray, Shape(HEIGHT, WIDTH, 3), DType("uint8")]
State = Annotated[np.ndarray, Shape(MOTORS), DType("float32")]
Chunk = Annotated[np.ndarray, Shape(ACTIONS, MOTORS), DType("float32")]


class Images(TypedDict):
    """What the cameras see."""

    front: Image
    wrist: Image


class Hold:
    """Keeps the motors where they are, which costs nothing."""

    def predict(self, _images: Images, state: np.ndarray, _task: str) -> np.ndarray:
        """The chunk of actions for what the cameras see."""
        return np.tile(state, (ACTIONS, 1))


class Network:
    """Random weights between inputs and outputs of real shape."""

    def __init__(self, seed: int = 0, seconds: float = 0.0) -> None:
        """Draws the weights; an answer takes so many seconds at least."""
        rng = np.random.default_rng(seed)
        seen = 2 * 3 * (HEIGHT // PATCH) * (WIDTH // PATCH)
        self.hidden = rng.standard_normal((seen + MOTORS + 1, 256), dtype=np.float32) / math.sqrt(seen)
        self.out = rng.standard_normal((256, ACTIONS * MOTORS), dtype=np.float32) / 256
        self.seconds = seconds

    def predict(self, images: Images, state: np.ndarray, task: str) -> np.ndarray:
        """The chunk of actions for what the cameras see."""
        begun = time.perf_counter()
        # Each patch by a few of its pixels, as images are made smaller for a policy.
        patches = [image[4::8, 4::8].reshape(HEIGHT // PATCH, 5, WIDTH // PATCH, 5, 3) for image in images.values()]
        light = [patch.mean(axis=(1, 3), dtype=np.float32).ravel() / 255 for patch in patches]
        seen = np.concatenate([*light, state, [len(task) / 100]], dtype=np.float32)
        steps = np.tanh(seen @ self.hidden) @ self.out
        # What a larger network waits for an accelerator.
        time.sleep(max(0.0, self.seconds - (time.perf_counter() - begun)))
        return state + np.cumsum(steps.reshape(ACTIONS, MOTORS), axis=0)


def load(make: type[Hold] | type[Network] = Network, *args: float) -> Hold | Network:
    """A policy; `policy.reload(Network, 1)` replaces the one that serves by another."""
    return make(*args)


endpoint = RpcEndpoint("lerobot")
policy = endpoint.model("policy", load)


@endpoint.register(models=["policy"])
def predict(images: Images, state: State, task: str, policy: Network) -> Chunk:
    """The next actions."""
    return policy.predict(images, state, task)


if __name__ == "__main__":
    endpoint.listen()
