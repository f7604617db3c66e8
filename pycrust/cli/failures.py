"""A failed call, as a person and as a program reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pycrust.cli.command import remark, safe
from pycrust.cli.values import jsonable
from pycrust.text.statistics import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pycrust.errors import RpcError


def as_object(error: RpcError) -> dict[str, Any]:
    """All that is known of a failed call, in JSON's types."""
    return {
        "code": error.code.name,
        "type": error.type,
        "message": error.message,
        "details": jsonable(error.details),
        "traceback": "\n".join(getattr(error, "__notes__", [])),
        "may_have_run": error.may_have_run,
    }


def say_failure(error: RpcError) -> None:
    """Writes why a call failed: code, type and message, details, whether it may have run, the traceback."""
    kind = f" ({error.type})" if error.type else ""
    remark(f"{click.style(error.code.name, fg='red')}{safe(kind)}: {safe(error.message)}")
    if error.details is not None:
        for line in _lines(jsonable(error.details)):
            remark(f"  {safe(line)}")
    remark("it may have run" if error.may_have_run else "it did not run")
    for note in getattr(error, "__notes__", []):
        remark(safe(note.rstrip("\n")))


def _lines(details: Any) -> list[str]:
    """Details a line each: of a validation error, where and what."""
    if not isinstance(details, list):
        return [str(details)]
    lines: list[str] = []
    for one in details:  # pyright: ignore[reportUnknownVariableType] - whatever came
        if isinstance(one, dict) and "loc" in one and "msg" in one:
            where = ".".join(str(step) for step in one["loc"]) or "(all of it)"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            lines.append(f"{where}: {one['msg']}")
        else:
            lines.append(str(one))  # pyright: ignore[reportUnknownArgumentType]
    return lines


def say_timing(timing: Mapping[str, float]) -> None:
    """Writes where a call's time went."""
    stages = [f"{stage} {duration(took * 1e9)}" for stage, took in timing.items() if stage != "round_trip"]
    remark(f"round trip {duration(timing.get('round_trip', 0.0) * 1e9)}: {', '.join(stages)}")
