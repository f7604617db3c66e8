"""LeRobot's policy server, as it works: `lerobot_server POLICY`, an expression of `policy.py`.

The order of what is done is that of `src/lerobot/async_inference/policy_server.py` of
https://github.com/huggingface/lerobot (7427f31): four threads, a queue of one observation, a chunk of actions as a
list of PyTorch tensors in pickle. Left out are its log lines, its processors, which do nothing here, and the sleep
until `inference_latency` (33 ms unless one says), which would be all that there is to see.
"""

from __future__ import annotations

import pickle
import sys
from concurrent import futures
from queue import Empty, Queue
from typing import Any

import grpc
import numpy as np
import torch

from tests.benchmarks.ported.lerobot_frames import TimedAction, TimedObservation, joined, messages, services
from tests.benchmarks.ported.loading import load
from tests.benchmarks.ported.program import ROOT

#: Seconds between steps, and those that `GetActions` waits for an observation.
STEP, PATIENCE = 1 / 30, 2.0
CAMERAS = ("front", "wrist")
MOTORS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
SHAPE = (480, 640, 3)


class PolicyServer(services.AsyncInferenceServicer):
    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self.observations: Queue[TimedObservation] = Queue(maxsize=1)

    def Ready(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.observations = Queue(maxsize=1)
        return messages.Empty()

    def SendObservations(self, chunks: Any, context: Any) -> Any:  # noqa: N802
        observation = pickle.loads(joined(chunks))  # noqa: S301 - its own client's
        if self.observations.full():
            self.observations.get_nowait()
        self.observations.put(observation)
        return messages.Empty()

    def GetActions(self, request: Any, context: Any) -> Any:  # noqa: N802
        try:
            timed = self.observations.get(timeout=PATIENCE)
        except Empty:
            return messages.Actions()
        seen = timed.observation
        state = np.array([seen[f"{motor}.pos"] for motor in MOTORS], np.float32)
        chunk = self.policy.predict({camera: seen[camera] for camera in CAMERAS}, state, seen["task"])
        actions = [
            TimedAction(timed.timestamp + number * STEP, timed.timestep + number, action)
            for number, action in enumerate(torch.from_numpy(chunk))
        ]
        return messages.Actions(data=pickle.dumps(actions))

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        images = {camera: np.frombuffer(getattr(request, camera), np.uint8).reshape(SHAPE) for camera in CAMERAS}
        chunk = self.policy.predict(images, np.frombuffer(request.state, np.float32), request.task)
        return messages.Actions(data=chunk.tobytes())


def main() -> None:
    module = load(ROOT / "client-rs" / "examples" / "lerobot" / "policy.py")
    policy = eval(sys.argv[1], module.__dict__)  # noqa: S307 - the command line is this folder's own
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    services.add_AsyncInferenceServicer_to_server(PolicyServer(policy), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"ready 127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(None).wait()


if __name__ == "__main__":
    main()
