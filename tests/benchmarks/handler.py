"""What every worker runs, here and beside us: `add`, validated by Pydantic."""

from __future__ import annotations

from pydantic import BaseModel


class AddArgs(BaseModel):
    a: int
    b: int


def add(a: int, b: int) -> int:
    return a + b


def validated_add(arguments: dict[str, object]) -> int:
    """For peers, which bring no validation of their own."""
    args = AddArgs.model_validate(arguments)
    return add(args.a, args.b)


async def awaited_add(arguments: dict[str, object]) -> int:
    """For peers that await what they call."""
    return validated_add(arguments)
