"""Observations from Python: `openpi_client websocket ADDRESS` as openpi's client does, or `openpi_client pycrust`.

The first is `openpi_client/websocket_client_policy.py` of https://github.com/Physical-Intelligence/openpi
(15a9616): the blocking client, no compression, no limit on sizes.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import websockets.sync.client

from pycrust import RpcClient
from tests.benchmarks.ported import openpi_frames, slices

if TYPE_CHECKING:
    from collections.abc import Callable

CAMERAS = ("cam_high", "cam_left_wrist", "cam_right_wrist")
PROMPT = "fold the towel"


def websocket(address: str, images: dict[str, np.ndarray], state: np.ndarray) -> Callable[[], Any]:
    # Open until the process ends.
    opened = websockets.sync.client.connect(address, compression=None, max_size=None)
    connection = contextlib.ExitStack().enter_context(opened)
    openpi_frames.unpackb(connection.recv())
    packer = openpi_frames.Packer()

    def infer() -> Any:
        connection.send(packer.pack({"images": images, "state": state, "prompt": PROMPT}))
        return openpi_frames.unpackb(connection.recv())["actions"]

    return infer


def pycrust(images: dict[str, np.ndarray], state: np.ndarray) -> Callable[[], Any]:
    client = RpcClient("openpi")
    return lambda: client.call("infer", images=images, state=state, prompt=PROMPT)


def main() -> None:
    kind, *address = sys.argv[1:]
    images = {camera: np.zeros((224, 224, 3), np.uint8) for camera in CAMERAS}
    state = np.full(14, 0.1)
    infer = websocket(*address, images, state) if kind == "websocket" else pycrust(images, state)
    assert infer().shape == (50, 14)
    step = 0

    def expose() -> None:
        nonlocal step
        step += 1
        for number, image in enumerate(images.values()):
            image[:] = ((np.arange(224) + step + 80 * number) % 256).astype(np.uint8)[:, None, None]

    slices.answer(infer, expose)


if __name__ == "__main__":
    main()
