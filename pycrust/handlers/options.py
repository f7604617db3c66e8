"""What `register` takes beside a function and its name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, TypeVar, cast

from pycrust.handlers.batching import Batch
from pycrust.models.arguments import check_models

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pydantic import BaseModel

    from pycrust.handlers.signature import Kind

Taking = TypeVar("Taking", bound="Callable[..., Any]")

#: More calls than may be in flight.
UNLIMITED = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `register` takes beside the function and its name; `RegisterOptions` says of which types."""

    request_model: type[BaseModel] | None = None
    response_model: Any = None
    request_schema: dict[str, Any] | str | Path | None = None
    concurrency: int | None = None
    warmup: Any = None
    context: Callable[[], AbstractContextManager[Any]] | None = None
    loop: Literal["worker", "kernel"] = "worker"
    batch: Batch | None = None
    record: bool = True
    models: Sequence[str] = ()
    freeze: bool = False
    exclusive: bool = False
    admission: Literal["queue", "deadline"] | None = None
    side_effects: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any], usual: Options | None = None) -> Self:
        """Those that were given as keywords, and the usual ones.

        Raises:
            TypeError: There is no such option.
        """
        names = [field.name for field in fields(cls)]
        for name in given:
            if name not in names:
                near = get_close_matches(name, names, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
                raise TypeError(f"{name!r} is no option of a handler: {hint}")
        return cls(**given) if usual is None else cast("Self", replace(usual, **given))

    def check(self, method: str, kind: Kind) -> None:
        """Refuses values that no handler could run with.

        Raises:
            TypeError: An option is of the wrong type.
            ValueError: An option is none of its values, or out of bounds.
        """
        if self.request_schema is not None and self.request_model is not None:
            raise TypeError(f"{method}: request_model= and request_schema= both validate the arguments: give one")
        if self.request_schema is not None and self.batch is not None:
            raise TypeError(
                f"{method}: request_schema= describes the arguments of one call, and batch= gives the handler "
                "those of many: declare them with request_model="
            )
        if isinstance(self.concurrency, bool) or not isinstance(self.concurrency, int | None):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise TypeError(f"{method}: concurrency is an int, not {type(self.concurrency).__name__}")
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"{method}: concurrency is at least 1, not {self.concurrency}")
        if self.context is not None and not callable(self.context):
            raise TypeError(
                f"{method}: context is a function that gives a context manager, such as torch.inference_mode, "
                f"not {type(self.context).__name__}"
            )
        if self.context is not None and kind != "function":
            raise TypeError(
                f"{method}: context= is for handlers that return their result; enter it inside of this "
                f"{kind.replace('_', ' ')}, where it can't reach what runs in between"
            )
        if not isinstance(self.batch, Batch | None):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise TypeError(f"{method}: batch is a pycrust.Batch, not {type(self.batch).__name__}")
        check_models(method, self.models)
        if self.loop not in {"worker", "kernel"}:
            raise ValueError(f"{method}: loop is 'worker' or 'kernel', not {self.loop!r}")
        if self.admission not in {None, "queue", "deadline"}:
            raise ValueError(f"{method}: admission is 'queue' or 'deadline', not {self.admission!r}")

    def limit(self, kind: Kind) -> int:
        """Calls that may run at once: those of an async handler share one thread, so they are not limited."""
        if self.concurrency is not None:
            return self.concurrency
        return UNLIMITED if kind in {"coroutine", "async_generator"} else 1


class RegisterOptions(TypedDict, total=False):
    """The same, as type checkers see it."""

    request_model: type[BaseModel] | None
    response_model: Any
    request_schema: dict[str, Any] | str | Path | None
    concurrency: int | None
    warmup: Any
    context: Callable[[], AbstractContextManager[Any]] | None
    loop: Literal["worker", "kernel"]
    batch: Batch | None
    record: bool
    models: Sequence[str]
    freeze: bool
    exclusive: bool
    admission: Literal["queue", "deadline"] | None
    side_effects: bool


def shows_options(function: Taking) -> Taking:
    """Has the options of a function that takes `**options` shown one by one, where signatures are shown."""
    signature = inspect.signature(function)
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    options = [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=one.type)
        for one in fields(Options)
    ]
    cast("Any", function).__signature__ = signature.replace(parameters=[*own, *options])
    return function
