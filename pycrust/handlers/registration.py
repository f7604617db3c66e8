"""Making a registration: everything that can fail happens here, before anything is published."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pycrust._extension import Handler
from pycrust.calls.local import LocalCall
from pycrust.functions.callables import CannotFreezeError, Copies, frozen_copy
from pycrust.functions.fingerprint import Fingerprint
from pycrust.functions.frozen import snapshot
from pycrust.functions.globals import Reads
from pycrust.functions.text import doc_line, signature_text, source_of
from pycrust.handlers import batching
from pycrust.handlers.arguments import complete_model, plan_arguments, plan_items, plan_schema
from pycrust.handlers.field_names import field_naming
from pycrust.handlers.options import Options
from pycrust.handlers.origin import Origin
from pycrust.handlers.purity import is_pure
from pycrust.handlers.references import resolve_references
from pycrust.handlers.results import plan_result
from pycrust.handlers.schema import schema_hash, schema_text
from pycrust.handlers.signature import (
    check_bound,
    check_callable,
    closure_names,
    item_type,
    resolved_signature,
    uploaded_type,
)
from pycrust.models.arguments import by_position, model_first, without_models
from pycrust.models.large import warn_of_large
from pycrust.text.names import check_method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextvars import Context

    from pycrust._extension import Inbox
    from pycrust.handlers.arguments import ArgumentPlan
    from pycrust.handlers.batching import Batch
    from pycrust.handlers.schema import CallKind
    from pycrust.handlers.signature import Kind


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """One change of an endpoint: a method's new handler, or its removal.

    Its handler is bound to no models: those are bound when it is published, and at each reload.
    """

    method: str
    #: `None` removes the method.
    handler: Handler | None = None
    kind: Kind = "function"
    fingerprint: Fingerprint | None = None
    concurrency: int = 1
    batch: Batch | None = None
    #: Whether its calls are recorded.
    record: bool = True
    exclusive: bool = False
    #: Whether a call that would not be answered in time is refused when it comes.
    refuses_late: bool = False
    #: Whether running it changes the world, so that nobody may run it to try something.
    side_effects: bool = False
    #: Slots of the models that its calls get.
    models: tuple[str, ...] = ()
    #: What it was registered with.
    options: Options = field(default_factory=Options, repr=False)
    #: Names by which positional arguments can be given as a map, in order.
    parameters: tuple[str, ...] = ()
    #: The names of all that its payloads give by position, as JSON.
    naming: str = "{}"
    source: str = field(default="", repr=False)
    doc: str = ""
    schema: str = field(default="", repr=False)
    schema_hash: int = 0
    signature: str = ""
    #: The number and the id of the notebook cell that made it.
    cell: tuple[int | None, str | None] = (None, None)
    #: The globals that it reads; `None` if they are frozen.
    reads: Reads | None = field(default=None, repr=False)
    #: Where a module has the function, to find it there after a reload.
    origin: Origin | None = field(default=None, repr=False)
    #: The class and prefix of the service that it is a method of.
    service: str = ""
    #: Why it is published.
    reason: str = "registered"
    #: What the line about its publication says beyond versions.
    note: str = ""

    @property
    def title(self) -> str:
        """What a user is told that it is."""
        return self.method

    def changes(self, before: Registration | None) -> bool:
        """Whether publishing this after `before` would change anything."""
        if self.handler is None or before is None or before.handler is None:
            return not (self.handler is None and (before is None or before.handler is None))
        return not (
            self.fingerprint is not None
            and before.fingerprint is not None
            and self.fingerprint.equals(before.fingerprint)
        )

    def details(self) -> dict[str, Any]:
        """What the native side needs beside the handler."""
        return {
            "concurrency": self.concurrency,
            **batching.details(self.batch),
            "exclusive": self.exclusive,
            "refuses_late": self.refuses_late,
            "schema": self.schema,
            "schema_hash": self.schema_hash,
            "doc": self.doc,
            "record": self.record,
            "parameters": list(self.parameters),
            "naming": self.naming,
        }


class Host(Protocol):
    """What a registration needs of its endpoint."""

    name: str

    @property
    def max_threads(self) -> int:
        """Threads that run its sync handlers, at most."""
        ...

    @property
    def cell(self) -> tuple[int | None, str | None]:
        """The number and the id of the notebook cell that the calling code belongs to, as far as there are any."""
        ...

    def inbox(self, loop: str) -> Inbox:
        """Where calls for a handler on this event loop are left."""
        ...

    def models(self, names: Sequence[str]) -> dict[str, Any]:
        """The models that the calling code sees, by the names of their slots."""
        ...


def make_registration(
    function: Callable[..., Any],
    name: str | None,
    options: Options,
    names: Mapping[str, Any],
    host: Host,
) -> Registration:
    """Checks a handler, builds its validators, warms it up.

    Args:
        function: The handler.
        name: The method's name; `None` takes the function's.
        options: What else `register` was given.
        names: Names that annotations may use: the locals around the definition.
        host: The endpoint.

    Returns:
        A registration that is ready to be published, which can't fail.

    Raises:
        TypeError: The function or an option is unfit.
        ValueError: The name or an option is out of bounds.
    """
    method = method_name(function, name)
    kind = check_callable(method, function)
    options.check(method, kind)
    _check_threads(method, kind, options.limit(kind), host.max_threads)
    models = host.models(options.models)
    copy = _frozen(method, function) if options.freeze else frozen_copy(function)
    whole = _with_defaults_of(copy, resolved_signature(method, function, names))
    check_bound(method, function, whole)
    signature = without_models(method, whole, options.models)
    known = {**names, **closure_names(function)}
    annotations = [*(one.annotation for one in whole.parameters.values()), whole.return_annotation]
    resolve_references(method, [*annotations, options.request_model, options.response_model], known)
    request_model = options.request_model
    if options.batch is not None:
        one = batching.each_call(method, kind, by_position(signature), request_model)
        signature, request_model = one.signature, one.request_model
    uploaded = uploaded_type(method, signature, kind)
    if options.request_schema is not None:
        arguments = plan_schema(method, signature, options.request_schema)
    elif uploaded is inspect.Signature.empty or request_model is not None:
        arguments = plan_arguments(method, function, signature, request_model, known)
    else:
        arguments = plan_items(method, next(iter(signature.parameters)), uploaded)
    declared = signature.return_annotation
    if kind in {"generator", "async_generator"}:
        declared = item_type(method, declared)
    if options.response_model is not None:
        declared = options.response_model
    if is_model(declared):
        complete_model(method, "the result's type", declared, known)
    result = plan_result(method, declared)
    hints = {parameter.name: parameter.annotation for parameter in whole.parameters.values()}
    hints["return"] = whole.return_annotation
    reads = Reads(copy, [*hints.values(), options.request_model, options.response_model])
    warn_of_large(host.name, method, closure_names(copy), reads)
    by_place = options.batch is not None or arguments.mode in {"model", "items"}
    handler = Handler(
        model_first(copy, whole, options.models) if by_place else copy,
        mode=arguments.mode,
        validate=arguments.validate,
        fields=arguments.fields,
        more=arguments.more,
        validate_result=result.validate,
        serialize_result=result.serialize,
        context=options.context,
        kind=kind,
        inbox=_inbox(method, host, options.loop) if kind in {"coroutine", "async_generator"} else None,
        batch=options.batch is not None,
        pure=arguments.mode in {"none", "raw"} or (arguments.core is not None and is_pure(arguments.core)),
    )
    if options.warmup is not None:
        call = LocalCall.of(method, 0, batch=options.batch is not None)
        warm_up(call, handler.bind_models(models or None), kind, options.warmup)
    schema = schema_text(_call_kind(kind, arguments), arguments.schema, result.schema)
    compared = (
        options.request_model,
        options.request_schema is not None,
        options.response_model,
        options.concurrency,
        options.warmup,
        options.context,
        options.loop,
        options.batch,
        options.record,
        tuple(options.models),
        options.freeze,
        options.exclusive,
        options.admission == "deadline",
        options.side_effects,
        schema,
    )
    return Registration(
        method=method,
        handler=handler,
        kind=kind,
        fingerprint=Fingerprint(Copies(caches=True).of(copy), hints, compared),
        concurrency=options.limit(kind),
        batch=options.batch,
        record=options.record,
        exclusive=options.exclusive,
        refuses_late=options.admission == "deadline",
        side_effects=options.side_effects,
        models=tuple(options.models),
        options=options,
        parameters=arguments.fields,
        naming=field_naming(
            arguments.core, result.core, streamed=arguments.mode == "items", rest=_rest_of(signature)
        ),
        source=source_of(function),
        doc=doc_line(function),
        schema=schema,
        schema_hash=schema_hash(schema),
        signature=signature_text(method, function),
        cell=host.cell,
        reads=None if options.freeze else reads,
        origin=None if options.freeze else Origin.of(function, name, options, names),
    )


def _call_kind(kind: Kind, arguments: ArgumentPlan) -> CallKind:
    streams = kind in {"generator", "async_generator"}
    if arguments.mode == "items":
        return "exchange" if streams else "upload"
    return "stream" if streams else "call"


def _rest_of(signature: inspect.Signature) -> str:
    """The name of the parameter that takes more arguments by position."""
    return next((name for name, one in signature.parameters.items() if one.kind is one.VAR_POSITIONAL), "")


def _frozen(method: str, function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return snapshot(function)
    except CannotFreezeError as error:
        raise TypeError(f"{method}: {error}") from None


def _with_defaults_of(copy: Callable[..., Any], signature: inspect.Signature) -> inspect.Signature:
    """A signature with a copy's defaults, which a call that leaves them out is given."""
    copied = inspect.signature(copy).parameters
    return signature.replace(
        parameters=[one.replace(default=copied[name].default) for name, one in signature.parameters.items()]
    )


def method_name(function: Callable[..., Any], name: str | None) -> str:
    """The name that a function is registered under.

    Raises:
        TypeError: It has none of its own, and none was given.
        ValueError: The name is not allowed.
    """
    if name is not None:
        return check_method(name)
    own = getattr(function, "__name__", None)
    if not isinstance(own, str) or own == "<lambda>":
        raise TypeError(f"{function!r} has no name of its own: give one, register('name')")
    return check_method(own)


def _check_threads(method: str, kind: Kind, limit: int, threads: int) -> None:
    """Refuses what would be promised only: a sync handler's calls need a thread each.

    Raises:
        ValueError: `limit` is more than the endpoint's threads.
    """
    if kind in {"function", "generator"} and limit > threads:
        raise ValueError(
            f"{method}: concurrency={limit} is more than the {threads} threads that run this endpoint's handlers: "
            f"make the endpoint with RpcEndpoint(..., max_threads={limit}), or ask for {threads} at most"
        )


def _inbox(method: str, host: Host, loop: str) -> Inbox:
    try:
        return host.inbox(loop)
    except RuntimeError as error:
        raise TypeError(
            f"{method}: loop='kernel' needs an event loop that runs here, as it does in a notebook's cell"
        ) from error


def call_here(handler: Handler, kind: Kind, arguments: Any, call: LocalCall) -> Any:
    """One call in this process: the result, or an iterator over the items of a stream.

    Args:
        handler: What is called.
        kind: What calling it gives.
        arguments: As they would be received.
        call: What `current_call()` gives in it. All of it runs in one context, which nothing else sees.

    Raises:
        BaseException: Whatever the handler raises.
    """
    context = call.context()
    work = context.run(handler.start, arguments)
    if kind == "function":
        return context.run(handler.finish, work)
    if kind == "generator":
        return _steps(context, handler, work)
    from pycrust.calls import event_loop  # noqa: PLC0415 - it imports asyncio, which other handlers don't need

    if kind == "coroutine":
        return context.run(handler.finish, context.run(event_loop.run_to_end, work))
    return _steps(context, handler, iter(context.run(event_loop.in_process, work)))


def _steps(context: Context, handler: Handler, items: Iterator[Any]) -> Iterator[Any]:
    """The items of a stream, each made in the call's context."""
    try:
        while True:
            try:
                item = context.run(next, items)
            except StopIteration:
                return
            yield context.run(handler.finish, item)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            context.run(close)


def warm_up(call: LocalCall, handler: Handler, kind: Kind, warmup: Any) -> None:
    """Runs `warmup()` if it can be called; else one call of the handler with `warmup` as its arguments.

    Raises:
        ValueError: The warm-up raised; its exception is the cause.
    """
    try:
        if callable(warmup):
            call.context().run(warmup)
        else:
            result = call_here(handler, kind, list(warmup) if isinstance(warmup, tuple) else warmup, call)  # pyright: ignore[reportUnknownArgumentType]
            if kind in {"generator", "async_generator"}:
                for _ in result:
                    break
    except KeyboardInterrupt:
        raise  # of whoever registers
    except BaseException as error:
        text = str(error) or type(error).__name__
        raise ValueError(f"{call.method}: the warm-up failed, nothing was registered: {text}") from error


def is_model(declared: Any) -> bool:
    """Whether a declared type is a Pydantic model."""
    return isinstance(declared, type) and hasattr(declared, "__pydantic_complete__") and hasattr(
        declared, "model_rebuild"
    )  # fmt: skip


def locals_around(depth: int) -> Mapping[str, Any]:
    """The locals of the frame that calls the function that called this one, `depth` frames further out."""
    frame = sys._getframe(depth + 2)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - annotations may name classes of the enclosing function
    return {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)
