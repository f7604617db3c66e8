"""An engine behind ZeroMQ and MessagePack, as vLLM's is, beside `client-rs/examples/engine/engine.py`.

Its threads, sockets and messages are those of `EngineCoreProc` (vLLM, `vllm/v1/engine/core.py`): a thread that
decodes what a DEALER socket brings, one that encodes what a PUSH socket takes, queues between them, and a loop that
steps while something runs. Requests are arrays, and outputs too, without what is as by default
(`vllm/v1/engine/__init__.py`); a step's outputs are one message, and buffers are used again. Left out is what more
than one engine needs, utility calls, and frames of tensors. The model is the one of `engine.py`.

`engine_zmq STEP_SECONDS` prints the directory in which its front end binds `input` and `output`.
"""

from __future__ import annotations

import enum
import queue
import sys
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import zmq


class SamplingParams(msgspec.Struct, omit_defaults=True, dict=True):
    """How tokens are chosen: a map without what is as by default."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    max_tokens: int = 16
    min_tokens: int = 0
    thinking_token_budget: int | None = None
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    repetition_detection: Any = None
    stop_token_ids: list[int] = []
    ignore_eos: bool = False
    logit_bias: dict[int, float] | None = None
    allowed_token_ids: list[int] | None = None
    bad_words_token_ids: list[list[int]] | None = None
    structured_outputs: Any = None
    output_kind: int = 1
    skip_reading_prefix_cache: bool | None = None
    extra_args: dict[str, Any] | None = None


class EngineCoreRequest(msgspec.Struct, array_like=True, omit_defaults=True, gc=False):
    """A request, as an array."""

    request_id: str
    prompt_token_ids: list[int] | None
    arrival_time: float
    prompt: str | None = None
    mm_features: Any = None
    sampling_params: SamplingParams | None = None
    pooling_params: Any = None
    eos_token_id: int | None = None
    lora_request: Any = None
    cache_salt: str | None = None
    data_parallel_rank: int | None = None
    prompt_embeds: Any = None
    prompt_is_token_ids: list[bool] | None = None
    client_index: int = 0
    current_wave: int = 0
    priority: int = 0
    trace_headers: dict[str, str] | None = None
    resumable: bool = False
    external_req_id: str | None = None
    reasoning_ended: bool | None = None
    reasoning_parser_kwargs: dict[str, Any] | None = None
    abort_immediately: bool = False


class Logprob(msgspec.Struct, array_like=True, gc=False):
    """How likely a token was."""

    token_id: int
    logprob: float
    rank: int | None = None


class EngineCoreOutput(msgspec.Struct, array_like=True, omit_defaults=True, gc=False):
    """What has come of a request."""

    request_id: str
    new_token_ids: list[int]
    new_logprobs: list[list[Logprob]] | None = None
    finish_reason: int | None = None
    stop_reason: int | str | None = None
    num_cached_tokens: int = 0
    trace_headers: dict[str, str] | None = None


class EngineCoreOutputs(msgspec.Struct, array_like=True, omit_defaults=True, gc=False):
    """What has come of a step."""

    engine_index: int = 0
    outputs: list[EngineCoreOutput] = []
    scheduler_stats: Any = None
    timestamp: float = 0.0


class RequestType(enum.Enum):
    """What a message is, in a frame of its own."""

    ADD = b"\x00"
    ABORT = b"\x01"


@dataclass(eq=False, slots=True)
class Running:
    request: EngineCoreRequest
    params: SamplingParams
    token: int
    made: int = 0

    def took(self, token: int, logprob: float) -> EngineCoreOutput:
        self.token, self.made = token, self.made + 1
        output = EngineCoreOutput(self.request.request_id, [token])
        if self.params.logprobs:
            output.new_logprobs = [[Logprob(token, logprob, 1)]]
        if token in self.params.stop_token_ids:
            output.finish_reason, output.stop_reason = 0, token
        elif self.made >= self.params.max_tokens:
            output.finish_reason = 1
        output.trace_headers = self.request.trace_headers
        return output


class EngineCoreProc:
    def __init__(self, step_seconds: float, directory: str) -> None:
        self.step_seconds = step_seconds
        self.directory = directory
        self.input_queue: queue.Queue[tuple[RequestType, Any]] = queue.Queue()
        self.output_queue: queue.Queue[EngineCoreOutputs] = queue.Queue()
        self.running: dict[str, Running] = {}

    def start(self) -> None:
        for target in (self.process_input_socket, self.process_output_socket, self.run_busy_loop):
            threading.Thread(target=target, daemon=True).start()

    def process_input_socket(self) -> None:
        add_request = msgspec.msgpack.Decoder(EngineCoreRequest)
        generic = msgspec.msgpack.Decoder()
        socket = zmq.Context.instance().socket(zmq.DEALER)
        for option in (zmq.SNDHWM, zmq.RCVHWM):
            socket.setsockopt(option, 0)
        socket.setsockopt(zmq.IDENTITY, (0).to_bytes(2, "little"))
        socket.connect(f"ipc://{self.directory}/input")
        # The front end can send once it has heard of the socket.
        socket.send(b"")
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        while True:
            poller.poll()
            kind, frame = socket.recv_multipart(copy=False)
            request_type = RequestType(bytes(kind.buffer))
            decoder = add_request if request_type is RequestType.ADD else generic
            self.input_queue.put_nowait((request_type, decoder.decode(frame.buffer)))

    def process_output_socket(self) -> None:
        encoder = msgspec.msgpack.Encoder()
        reuse: list[bytearray] = []
        pending: deque[tuple[zmq.MessageTracker, bytearray]] = deque()
        socket = zmq.Context.instance().socket(zmq.PUSH)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.connect(f"ipc://{self.directory}/output")
        while True:
            outputs = self.output_queue.get()
            while pending and pending[-1][0].done:
                reuse.append(pending.pop()[1])
            buffer = reuse.pop() if reuse else bytearray()
            encoder.encode_into(outputs, buffer)
            tracker = socket.send(buffer, copy=False, track=True)
            if not tracker.done:
                pending.appendleft((tracker, buffer))
            elif len(reuse) < 2:
                reuse.append(buffer)

    def run_busy_loop(self) -> None:
        while True:
            while not self.running:
                self.handle(*self.input_queue.get())
            while not self.input_queue.empty():
                self.handle(*self.input_queue.get_nowait())
            batch = list(self.running.values())
            if batch:
                time.sleep(self.step_seconds)  # the model runs
                self.output_queue.put_nowait(self.step(batch))

    def handle(self, request_type: RequestType, request: Any) -> None:
        if request_type is RequestType.ADD:
            params = request.sampling_params or SamplingParams()
            self.running[request.request_id] = Running(request, params, request.prompt_token_ids[-1])
            return
        for request_id in request:
            self.running.pop(request_id, None)

    def step(self, batch: list[Running]) -> EngineCoreOutputs:
        tokens = np.array([one.token for one in batch])[:, None] + np.arange(1, 5)
        logprobs = np.broadcast_to(np.array([-0.5, -1.25, -2.5, -3.0]), tokens.shape)
        rows, chosen = range(len(batch)), np.argmax(logprobs, axis=1)
        took = zip(batch, tokens[rows, chosen].tolist(), logprobs[rows, chosen].tolist(), strict=True)
        outputs = [one.took(token, logprob) for one, token, logprob in took]
        for output in outputs:
            if output.finish_reason is not None:
                del self.running[output.request_id]
        return EngineCoreOutputs(0, outputs, None, time.monotonic())


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="engine-") as directory:
        EngineCoreProc(float(sys.argv[1]), directory).start()
        print("ready", directory, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
