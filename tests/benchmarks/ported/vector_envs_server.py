"""The policy of `vector_envs` behind a ZeroMQ socket: arrays as the parts of a message, actions back."""

from __future__ import annotations

import sys

import numpy as np
import torch
import zmq

from tests.benchmarks.ported.vector_envs_loop import network


def main() -> None:
    (path,) = sys.argv[1:]
    policy = network()
    context = zmq.Context()
    socket = context.socket(zmq.REP)
    socket.bind(f"ipc://{path}")
    ending = context.socket(zmq.PULL)
    ending.bind("inproc://ending")
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(sys.stdin, zmq.POLLIN)
    print(f"ready ipc://{path}", flush=True)
    with torch.inference_mode():
        while True:
            ready = dict(poller.poll())
            if socket not in ready:
                break
            observations, _rewards, _ended = socket.recv_multipart()
            seen = np.frombuffer(observations, np.float32).reshape(-1, 4).copy()
            actions, _likelihoods, _values = policy.act(torch.from_numpy(seen))
            socket.send(actions.numpy().astype(np.uint8).tobytes())
    context.destroy(linger=0)


if __name__ == "__main__":
    main()
