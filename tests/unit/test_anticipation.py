"""What may be rehearsed, and what the options of anticipation refuse."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    TypeAdapter,
    field_validator,
    model_validator,
)

from pycrust import RpcEndpoint
from pycrust.handlers.purity import is_pure


class Plain(BaseModel):
    name: str = "x"
    values: list[Annotated[int, Field(ge=0)]] = []
    when: datetime | None = None
    inner: "Plain | None" = None


class OfField(BaseModel):
    value: int

    @field_validator("value")
    @classmethod
    def checked(cls, value: int) -> int:
        return value


class OfModel(BaseModel):
    value: int

    @model_validator(mode="after")
    def checked(self) -> "OfModel":
        return self


class AfterInit(BaseModel):
    value: int

    def model_post_init(self, context: Any) -> None:
        """Counts."""


class OwnInit(BaseModel):
    value: int

    def __init__(self, **data: Any) -> None:
        super().__init__(**data)


class Made(BaseModel):
    values: list[int] = Field(default_factory=list)


class Nested(BaseModel):
    inner: dict[str, list[OfField]]


@dataclass
class PostInit:
    value: int = field(default=1)

    def __post_init__(self) -> None:
        """Counts."""


@pytest.mark.parametrize("declared", [int, dict[str, list[float]], Plain, list[Plain], tuple[int, str] | None])
def test_pydantic_alone_is_rehearsed(declared):
    assert is_pure(TypeAdapter(declared).core_schema)


@pytest.mark.parametrize(
    "declared",
    [
        Annotated[int, AfterValidator(abs)], list[Annotated[int, BeforeValidator(abs)]],
        OfField, OfModel, AfterInit, OwnInit, Made, Nested, PostInit,
    ],
)  # fmt: skip
def test_what_the_user_wrote_is_not(declared):
    assert not is_pure(TypeAdapter(declared).core_schema)


@pytest.mark.parametrize("share", [-0.01, 1.01, float("nan")])
def test_a_share_of_a_core_is_one(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        RpcEndpoint("share", anticipation=share)


def test_a_placement_that_is_none_is_refused():
    endpoint = RpcEndpoint("placed")
    with pytest.raises(ValueError, match="'auto', 'kernel', not 'beside'"):
        endpoint.serve(placement="beside")
    assert not endpoint.serving
    endpoint.serve(placement="kernel")
    assert endpoint.stats()["placement"] == "kernel"
    endpoint.stop()
    endpoint.serve()
    assert endpoint.stats()["placement"] == "auto"
    endpoint.stop()
