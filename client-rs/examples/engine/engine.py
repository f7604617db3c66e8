"""The Python side of `engine`: a stand-in for an inference engine, with the request and the answer of vLLM's.

The fields are those of vLLM's `EngineCoreRequest`, `SamplingParams` and `EngineCoreOutput`
(https://github.com/vllm-project/vllm, `vllm/v1/engine/__init__.py`), which its front end in Rust has once more. The
model is made up: the likeliest token is the one before it plus one. What is as in an engine: a step makes one token
for every request that runs, however many those are, and the next step takes in whoever has come meanwhile.
"""

import asyncio
import enum
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from pycrust import Code, DType, RpcEndpoint, RpcError, Shape

endpoint = RpcEndpoint("engine")
#: Seconds that a step takes on the GPU that is not there.
STEP_SECONDS = 0.01
#: Tokens that a prompt and its answer may have together.
MAX_MODEL_LEN = 8192

Token = Annotated[int, Field(ge=0)]


class OutputKind(enum.IntEnum):
    """How much of an answer each output repeats."""

    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


class FinishReason(enum.IntEnum):
    """Why a request has ended."""

    STOP = 0
    LENGTH = 1
    ABORT = 2
    ERROR = 3


class RepetitionDetection(BaseModel):
    """When a text that repeats itself is ended."""

    max_pattern_size: int = Field(default=0, ge=0)
    min_pattern_size: int = Field(default=0, ge=0)
    min_count: int = Field(default=0, ge=0)


class StructuredOutputs(BaseModel):
    """What the text has to be."""

    kind: Literal["json", "regex", "choice", "grammar"]
    value: str


class SamplingParams(BaseModel):
    """How tokens are chosen."""

    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = 0
    seed: int | None = None
    max_tokens: int = Field(default=16, ge=1)
    min_tokens: int = Field(default=0, ge=0)
    thinking_token_budget: int | None = None
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    repetition_detection: RepetitionDetection | None = None
    stop_token_ids: list[Token] = []
    ignore_eos: bool = False
    logit_bias: dict[int, float] | None = None
    allowed_token_ids: list[Token] | None = None
    bad_words_token_ids: list[list[Token]] | None = None
    structured_outputs: StructuredOutputs | None = None
    output_kind: OutputKind = OutputKind.DELTA
    skip_reading_prefix_cache: bool | None = None
    extra_args: dict[str, Any] | None = None


class PoolingParams(BaseModel):
    """What is made of a text instead of tokens."""

    task: Literal["embed", "classify", "score"]
    dimensions: int | None = None
    normalize: bool | None = None


class LoraRequest(BaseModel):
    """An adapter to be used."""

    lora_name: str
    lora_int_id: int = Field(ge=1)
    lora_path: str


class MultiModalFeature(BaseModel):
    """An image, sound or film in the prompt."""

    modality: Literal["image", "audio", "video"]
    identifier: str
    offset: int = Field(ge=0, description="The first of its places in the prompt.")
    length: int = Field(ge=0)
    data: bytes | None = None


class EngineCoreRequest(BaseModel):
    """A request as the front end sends it to the engine."""

    request_id: str
    prompt_token_ids: list[Token] | None
    arrival_time: float = Field(description="Seconds since 1970.")
    prompt: str | None = None
    mm_features: list[MultiModalFeature] | None = None
    sampling_params: SamplingParams | None = None
    pooling_params: PoolingParams | None = None
    eos_token_id: int | None = None
    lora_request: LoraRequest | None = None
    cache_salt: str | None = None
    data_parallel_rank: int | None = None
    prompt_embeds: Annotated[np.ndarray, Shape(None, None), DType("float32")] | None = None
    prompt_is_token_ids: list[bool] | None = None
    client_index: int = Field(default=0, ge=0, description="Which front end the outputs go to.")
    current_wave: int = Field(default=0, ge=0)
    priority: int = Field(default=0, description="Lower is earlier.")
    trace_headers: dict[str, str] | None = None
    resumable: bool = False
    external_req_id: str | None = None
    reasoning_ended: bool | None = None
    reasoning_parser_kwargs: dict[str, Any] | None = None
    abort_immediately: bool = False


# Of these, one is made for each token: dataclasses, which check nothing of what the engine itself has made.


@dataclass(slots=True)
class Logprob:
    """How likely a token was."""

    token_id: Token
    logprob: float
    rank: int | None = None


@dataclass(slots=True)
class EngineCoreOutput:
    """What has come of a request since the last output."""

    request_id: str
    new_token_ids: list[Token]
    new_logprobs: list[list[Logprob]] | None = None
    finish_reason: FinishReason | None = None
    stop_reason: int | str | None = None
    num_cached_tokens: int = 0
    trace_headers: dict[str, str] | None = None
    timestamp: Annotated[float, Field(description="Seconds on the monotonic clock, when its step ended.")] = 0.0


#: The likeliest tokens, a row for each request and the likeliest first, and how likely: the column that each gets.
Sampler = Callable[[np.ndarray, np.ndarray], np.ndarray]


def greedy() -> Sampler:
    """Takes the likeliest."""
    return lambda _, logprobs: np.argmax(logprobs, axis=1)


sampler = endpoint.model("sampler", load=greedy)

#: Where somebody reads what each step has made for him.
Outputs = asyncio.Queue[list[EngineCoreOutput]]


@dataclass(eq=False, slots=True)
class Running:
    """A request that runs."""

    request: EngineCoreRequest
    params: SamplingParams
    #: The sampler that was live when the request came: an answer has one from its first token to its last.
    sample: Sampler
    token: int
    outputs: Outputs
    made: int = 0

    def took(self, token: int, logprob: float) -> EngineCoreOutput:
        """What is told of its next token."""
        params, self.token, self.made = self.params, token, self.made + 1
        output = EngineCoreOutput(self.request.request_id, [token], trace_headers=self.request.trace_headers)
        if params.logprobs:
            output.new_logprobs = [[Logprob(token, logprob, 1)]]
        if self.request.abort_immediately:
            output.finish_reason = FinishReason.ABORT
        elif token in params.stop_token_ids:
            output.finish_reason, output.stop_reason = FinishReason.STOP, token
        elif self.made >= params.max_tokens:
            output.finish_reason = FinishReason.LENGTH
        return output

    def ended(self, finish: FinishReason, why: str | None = None) -> EngineCoreOutput:
        """What is told of an end without a token."""
        return EngineCoreOutput(self.request.request_id, [], finish_reason=finish, stop_reason=why)


class Engine:
    """All that runs, and the thread that steps while something does."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._running: dict[str, Running] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        """How many requests run."""
        return len(self._running)

    def add(self, request: EngineCoreRequest, sample: Sampler, outputs: Outputs) -> None:
        """Takes a request into the next step; what it brings goes to `outputs`, on the loop that runs now."""
        params = request.sampling_params or SamplingParams()
        prompt = request.prompt_token_ids or []
        token = prompt[-1] if prompt else 0
        if request.prompt_embeds is not None:
            token = int(request.prompt_embeds.sum())
        elif not prompt:
            raise RpcError(Code.INVALID_ARGUMENT, f"request {request.request_id} has no prompt")
        if len(prompt) + params.max_tokens > MAX_MODEL_LEN:
            tokens = f"{len(prompt)} tokens and {params.max_tokens} more"
            raise RpcError(Code.OUT_OF_RANGE, f"request {request.request_id}: {tokens} are over {MAX_MODEL_LEN}")
        with self._changed:
            if request.request_id in self._running:
                raise RpcError(Code.ALREADY_EXISTS, f"request {request.request_id} runs already")
            self._running[request.request_id] = Running(request, params, sample, token, outputs)
            self._loop = asyncio.get_running_loop()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
                self._thread.start()
            self._changed.notify()

    def drop(self, request_id: str) -> Running | None:
        """Ends a request without a word, if it runs."""
        with self._changed:
            return self._running.pop(request_id, None)

    def abort(self, request_ids: list[str]) -> int:
        """Ends requests, and tells whoever reads them; how many of them were running."""
        dropped = [one for request_id in request_ids if (one := self.drop(request_id))]
        for one in dropped:
            one.outputs.put_nowait([one.ended(FinishReason.ABORT)])
        return len(dropped)

    def leave(self, outputs: Outputs) -> None:
        """Ends all that nobody reads any more."""
        with self._changed:
            self._running = {name: one for name, one in self._running.items() if one.outputs is not outputs}

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._running)
                batch, loop = list(self._running.values()), self._loop
            time.sleep(STEP_SECONDS)  # the model runs: as on a GPU, without the interpreter
            made = self._step(batch)
            by_reader: dict[Outputs, list[EngineCoreOutput]] = defaultdict(list)
            ended = time.monotonic()
            with self._changed:
                for one, output in made:
                    if self._running.get(output.request_id) is not one:
                        continue  # aborted meanwhile
                    if output.finish_reason is not None:
                        del self._running[output.request_id]
                    output.timestamp = ended
                    by_reader[one.outputs].append(output)
            if by_reader and loop is not None:
                loop.call_soon_threadsafe(hand_over, by_reader)

    def _step(self, batch: list[Running]) -> list[tuple[Running, EngineCoreOutput]]:
        """A token for each request; those of one sampler are sampled together."""
        by_sampler: dict[Sampler, list[Running]] = defaultdict(list)
        for one in batch:
            by_sampler[one.sample].append(one)
        made: list[tuple[Running, EngineCoreOutput]] = []
        for sample, group in by_sampler.items():
            tokens, logprobs = forward(np.array([one.token for one in group]))
            rows = range(len(group))
            try:
                chosen = sample(tokens, logprobs)
                took = zip(group, tokens[rows, chosen].tolist(), logprobs[rows, chosen].tolist(), strict=True)
                made += [(one, one.took(token, logprob)) for one, token, logprob in took]
            except Exception as error:  # noqa: BLE001 - a sampler of somebody's
                why = f"{type(error).__name__}: {error}"
                made += [(one, one.ended(FinishReason.ERROR, why)) for one in group]
        return made


def forward(last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The model: the four likeliest tokens after each, and how likely they are."""
    tokens = last[:, None] + np.arange(1, 5)
    return tokens, np.broadcast_to(np.array([-0.5, -1.25, -2.5, -3.0]), tokens.shape)


def hand_over(by_reader: dict[Outputs, list[EngineCoreOutput]]) -> None:
    """Wakes whoever reads, with all of a step at once."""
    for reader, outputs in by_reader.items():
        reader.put_nowait(outputs)


engine = Engine()


@endpoint.register(models=["sampler"])
async def generate(request: EngineCoreRequest, sampler: Any) -> AsyncIterator[EngineCoreOutput]:
    """Tokens of one request as they are made. Whoever drops the stream ends the request."""
    mine: Outputs = asyncio.Queue()
    engine.add(request, sampler, mine)
    try:
        finish = None
        while finish is None:
            [output] = await mine.get()
            finish = output.finish_reason
            if finish is FinishReason.ERROR:
                raise RpcError(Code.INTERNAL, str(output.stop_reason))
            yield output
    finally:
        engine.drop(request.request_id)


#: Front ends that read all of their requests' tokens together, step by step.
front_ends: dict[int, Outputs] = {}


@endpoint.register
async def steps(client_index: Annotated[int, Field(ge=0)]) -> AsyncIterator[list[EngineCoreOutput]]:
    """What each step has made for one front end: first nothing, since it may send requests now."""
    mine = front_ends[client_index] = asyncio.Queue()
    try:
        yield []
        while True:
            yield await mine.get()
    finally:
        if front_ends.get(client_index) is mine:
            del front_ends[client_index]
        engine.leave(mine)


@endpoint.register(models=["sampler"])
async def submit(request: EngineCoreRequest, sampler: Any) -> None:
    """Takes a request whose tokens its front end reads among those of `steps`."""
    if request.client_index not in front_ends:
        raise RpcError(Code.FAILED_PRECONDITION, f"front end {request.client_index} reads no steps")
    engine.add(request, sampler, front_ends[request.client_index])


@endpoint.register
async def abort(request_ids: list[str]) -> int:
    """Ends requests, whoever reads them; how many of them were running."""
    return engine.abort(request_ids)


if __name__ == "__main__":
    endpoint.listen()
