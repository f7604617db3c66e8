"""How a slot's model is made and let go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pycrust.models.large import large_kind
from pycrust.models.reload import ModelRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

Policy = Literal["load_first", "unload_first"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a slot's model is made and let go."""

    load: Callable[..., Any]
    warmup: Callable[[Any], Any] | None = None
    validate: Callable[[Any], Any] | None = None
    unload: Callable[[Any], Any] | None = None
    policy: Policy = "load_first"
    keep: int = 0

    def check(self, slot: str) -> None:
        """Refuses what can't work.

        Raises:
            TypeError: A function is none.
            ValueError: The policy is unknown, or `keep` is negative.
        """
        if large_kind(self.load) is not None or not callable(self.load):
            raise TypeError(
                f"model {slot!r}: load is a function that gives the model, not {type(self.load).__name__}: "
                f"endpoint.model({slot!r}, load=lambda: model)"
            )
        for name in ("warmup", "validate", "unload"):
            given = getattr(self, name)
            if given is not None and not callable(given):
                raise TypeError(f"model {slot!r}: {name} is a function of the model, not {type(given).__name__}")
        if self.policy not in {"load_first", "unload_first"}:
            raise ValueError(f"model {slot!r}: policy is 'load_first' or 'unload_first', not {self.policy!r}")
        if self.keep < 0:
            raise ValueError(f"model {slot!r}: keep is at least 0, not {self.keep}")
        if self.keep and self.policy == "unload_first":
            raise ValueError(f"model {slot!r}: keep is for policy='load_first': there is room for one model only")

    def make(self, step: Callable[[Any], None], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Loads, warms up and validates a model; each can fail, and nothing is live yet.

        Raises:
            ModelRefusedError: `validate` has said no.
            BaseException: Whatever the functions raise.
        """
        step("loading")
        model = self.load(*args, **kwargs)
        if model is None:
            raise TypeError("load gave None: it returns the model")
        if self.warmup is not None:
            step("warming up")
            self.warmup(model)
        if self.validate is not None:
            step("validating")
            verdict = self.validate(model)
            if verdict is not None and not verdict:
                raise ModelRefusedError(f"validate gave {verdict!r}")
        return model
