"""The Python side of `engine`: a stand-in for an inference engine, with the request and the answer of vLLM's.

The fields are those of vLLM's `EngineCoreRequest`, `SamplingParams` and `EngineCoreOutput`
(https://github.com/vllm-project/vllm, `vllm/v1/engine/__init__.py`), which its front end in Rust has once more. The
answers are made up: each token is the one before it plus one.
"""

import enum
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from pycrust import DType, RpcEndpoint, Shape

endpoint = RpcEndpoint("engine")

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


class Logprob(BaseModel):
    """How likely a token was."""

    token_id: Token
    logprob: float
    rank: int | None = None


class EngineCoreOutput(BaseModel):
    """What has come of a request since the last output."""

    request_id: str
    new_token_ids: list[Token]
    new_logprobs: list[list[Logprob]] | None = None
    finish_reason: FinishReason | None = None
    stop_reason: int | str | None = None
    num_cached_tokens: int = 0
    trace_headers: dict[str, str] | None = None


#: Requests that were ended from outside.
aborted: set[str] = set()


@endpoint.register
def generate(request: EngineCoreRequest) -> Iterator[EngineCoreOutput]:
    """Tokens of one request as they are made."""
    params = request.sampling_params or SamplingParams()
    token = (request.prompt_token_ids or [0])[-1]
    if request.prompt_embeds is not None:
        token = int(request.prompt_embeds.sum())
    for made in range(1, params.max_tokens + 1):
        token += 1
        finish, stop = None, None
        if request.abort_immediately or request.request_id in aborted:
            finish = FinishReason.ABORT
        elif token in params.stop_token_ids:
            finish, stop = FinishReason.STOP, token
        elif made == params.max_tokens:
            finish = FinishReason.LENGTH
        logprobs = None
        if params.logprobs is not None:
            logprobs = [[Logprob(token_id=token, logprob=-0.5, rank=1)]]
        yield EngineCoreOutput(
            request_id=request.request_id,
            new_token_ids=[token],
            new_logprobs=logprobs,
            finish_reason=finish,
            stop_reason=stop,
            trace_headers=request.trace_headers,
        )
        if finish is not None:
            aborted.discard(request.request_id)
            return


@endpoint.register
def abort(request_ids: list[str]) -> int:
    """Ends requests; how many there are to end."""
    aborted.update(request_ids)
    return len(aborted)


if __name__ == "__main__":
    endpoint.listen()
