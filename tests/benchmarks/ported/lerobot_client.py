"""Observations from Python: `lerobot_client robot ADDRESS` as LeRobot's client does, `bytes ADDRESS`, or `pycrust`.

The first is `src/lerobot/async_inference/robot_client.py` of https://github.com/huggingface/lerobot (7427f31): a
thread asks for actions, over and over; the loop sends observations, each with `must_go`. The second sends arrays as
bytes, in one call, as someone would who knew both sides.
"""

from __future__ import annotations

import pickle
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np

from pycrust import RpcClient
from tests.benchmarks.ported import slices
from tests.benchmarks.ported.lerobot_frames import TimedObservation, channel_options, in_chunks, messages, services
from tests.benchmarks.ported.lerobot_server import CAMERAS, MOTORS, SHAPE

if TYPE_CHECKING:
    from collections.abc import Callable

TASK = "put the cube into the box"
#: A hang guard, in seconds.
PATIENCE = 30.0


def robot(address: str, images: dict[str, np.ndarray], state: np.ndarray) -> Callable[[], Any]:
    stub = services.AsyncInferenceStub(grpc.insecure_channel(address, channel_options()))
    stub.Ready(messages.Empty())
    came = threading.Event()
    chunk: list[Any] = []

    def receive() -> None:
        while True:
            answer = stub.GetActions(messages.Empty())
            if answer.data:
                chunk[:] = pickle.loads(answer.data)  # noqa: S301 - its own server's
                came.set()

    threading.Thread(target=receive, daemon=True).start()
    motors = {f"{motor}.pos": float(position) for motor, position in zip(MOTORS, state, strict=True)}
    step = 0

    def predict() -> Any:
        nonlocal step
        step += 1
        came.clear()
        timed = TimedObservation(time.time(), step, {**motors, **images, "task": TASK}, must_go=True)
        stub.SendObservations(in_chunks(pickle.dumps(timed)))
        assert came.wait(PATIENCE)
        assert chunk[0].timestep == step
        return chunk

    return predict


def in_bytes(address: str, images: dict[str, np.ndarray], state: np.ndarray) -> Callable[[], Any]:
    stub = services.AsyncInferenceStub(grpc.insecure_channel(address, channel_options()))

    def predict() -> Any:
        arrays = {camera: image.tobytes() for camera, image in images.items()}
        answer = stub.Predict(messages.Arrays(**arrays, state=state.tobytes(), task=TASK))
        return np.frombuffer(answer.data, np.float32).reshape(50, len(MOTORS))

    return predict


def pycrust(images: dict[str, np.ndarray], state: np.ndarray) -> Callable[[], Any]:
    client = RpcClient("lerobot")
    return lambda: client.call("predict", images=images, state=state, task=TASK)


def main() -> None:
    kind, *address = sys.argv[1:]
    images = {camera: np.zeros(SHAPE, np.uint8) for camera in CAMERAS}
    state = np.full(len(MOTORS), 0.1, np.float32)
    ways = {"robot": robot, "bytes": in_bytes, "pycrust": pycrust}
    predict = ways[kind](*address, images, state)
    assert len(predict()) == 50
    step = 0

    def expose() -> None:
        nonlocal step
        step += 1
        for number, image in enumerate(images.values()):
            image[:] = ((np.arange(SHAPE[0]) + step + 120 * number) % 256).astype(np.uint8)[:, None, None]

    slices.answer(predict, expose)


if __name__ == "__main__":
    main()
