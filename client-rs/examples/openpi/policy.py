"""A policy as openpi serves it: the cells of a notebook, or a script."""

import math
import time
from typing import Annotated

import numpy as np
from typing_extensions import TypedDict

from pycrust import DType, RpcEndpoint, Shape

#: What π0 takes and gives on an ALOHA robot: 50 steps of 14 joints, images in patches of 16 by 16.
STEPS, JOINTS, SIDE, PATCH = 50, 14, 224, 16

Image = Annotated[np.ndarray, Shape(SIDE, SIDE, 3), DType("uint8")]
State = Annotated[np.ndarray, Shape(JOINTS), DType("float64")]
Chunk = Annotated[np.ndarray, Shape(STEPS, JOINTS), DType("float32")]


class Images(TypedDict):
    """What the cameras see."""

    cam_high: Image
    cam_left_wrist: Image
    cam_right_wrist: Image


class Hold:
    """Keeps the joints where they are, which costs nothing."""

    def infer(self, _images: Images, state: np.ndarray, _prompt: str) -> np.ndarray:
        """The chunk of actions for what the cameras see."""
        return np.tile(state.astype(np.float32), (STEPS, 1))


class Network:
    """Random weights between inputs and outputs of real shape."""

    def __init__(self, seed: int = 0, seconds: float = 0.0) -> None:
        """Draws the weights; an answer takes so many seconds at least."""
        rng = np.random.default_rng(seed)
        seen = 3 * 3 * (SIDE // PATCH) ** 2
        self.hidden = rng.standard_normal((seen + JOINTS + 1, 256), dtype=np.float32) / math.sqrt(seen)
        self.out = rng.standard_normal((256, STEPS * JOINTS), dtype=np.float32) / 256
        self.seconds = seconds

    def infer(self, images: Images, state: np.ndarray, prompt: str) -> np.ndarray:
        """The chunk of actions for what the cameras see."""
        begun = time.perf_counter()
        grid = (SIDE // PATCH, PATCH, SIDE // PATCH, PATCH, 3)
        patches = [
            image.reshape(grid).mean(axis=(1, 3), dtype=np.float32).ravel() / 255 for image in images.values()
        ]
        seen = np.concatenate([*patches, state, [len(prompt) / 100]], dtype=np.float32)
        steps = np.tanh(seen @ self.hidden) @ self.out
        # What a larger network waits for an accelerator.
        time.sleep(max(0.0, self.seconds - (time.perf_counter() - begun)))
        return state.astype(np.float32) + np.cumsum(steps.reshape(STEPS, JOINTS), axis=0)


def load(make: type[Hold] | type[Network] = Network, *args: float) -> Hold | Network:
    """A policy; `policy.reload(Network, 1)` replaces the one that serves by another."""
    return make(*args)


endpoint = RpcEndpoint("openpi")
policy = endpoint.model("policy", load)


@endpoint.register(models=["policy"])
def infer(images: Images, state: State, prompt: str, policy: Network) -> Chunk:
    """The next actions."""
    return policy.infer(images, state, prompt)


if __name__ == "__main__":
    endpoint.listen()
