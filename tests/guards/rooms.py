"""What each room may touch: lists of what is allowed, so that whatever else comes is seen.

Each check takes the root of a tree and gives what is wrong in it, a line each.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.guards import rust

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Room:
    """A crate: what it may name."""

    #: Its dependencies, by the names that crates.io knows.
    crates: set[str]
    #: Modules of `std`, or paths below them.
    std: set[str]
    #: Files below `src` that may have `unsafe`; without any, the crate forbids it.
    unsafe: set[str] = field(default_factory=set)
    #: Files that may write down a frame's header.
    headers: set[str] = field(default_factory=set)
    #: Files that may turn numbers into bytes or back.
    bytes: set[str] = field(default_factory=set)


#: Parts of `std` that touch nothing but values.
VALUES = {
    "any", "borrow", "cell", "collections", "convert", "error", "fmt", "hash", "hint", "io", "iter", "marker",
    "mem", "num", "ops", "slice", "str",
}  # fmt: skip

ROOMS = {
    "native/protocol": Room(
        crates={"rmp", "rmp-serde", "serde", "serde_bytes", "thiserror"},
        std={"collections", "fmt", "ops", "str", "sync::Arc"},
        headers={"attachments.rs", "header.rs", "lib.rs"},
        bytes={
            "attachments.rs", "bytes.rs", "control.rs", "header.rs", "integer.rs", "payload.rs", "record.rs",
            "report.rs", "tensor.rs", "trace.rs",
        },
    ),
    "native/schema": Room(
        crates={"serde", "serde_json", "thiserror", "unicode-ident"},
        # Of a build: its lock file, and the command line that asks the worker.
        std=VALUES | {"cmp", "env", "fs", "path", "process::Command", "ptr"},
    ),
    "native/transport": Room(
        crates={
            "iceoryx2", "iceoryx2-bb-elementary-traits", "iceoryx2-bb-memory", "iceoryx2-bb-posix",
            "iceoryx2-bb-system-types", "iceoryx2-cal", "libc", "lock_api", "log", "loom", "pycrust-protocol",
            "rmp-serde", "rustix", "serde", "thiserror",
        },
        std=VALUES | {
            "alloc", "env", "ffi", "fs", "net", "os::fd", "os::unix", "panic", "path", "process", "ptr", "sync",
            "thread",
            "time",
        },
        unsafe={
            "memory/aligned.rs", "connection/block.rs", "connection/established.rs", "descriptors.rs", "fork.rs",
            "gate.rs", "iceoryx/iox/mapped.rs",
            "iceoryx/iox/notes.rs", "reentrant.rs", "iceoryx/iox/variant.rs", "iceoryx/iox.rs",
            "iceoryx/node.rs", "memory/reserve.rs",
            "memory/ownership.rs", "claiming/peer.rs", "connection/private_mapping.rs", "process.rs",
            "connection/sending.rs", "connection/view.rs", "sleeping/shared_flags.rs",
            "realtime/memory.rs", "scheduling.rs", "stack.rs",
        },
        bytes={"sleeping/wakeup.rs", "memory/ownership.rs", "connection/sending.rs"},
    ),
    "native/engine": Room(
        crates={
            "hdrhistogram", "log", "pycrust-protocol", "pycrust-transport", "rmp-serde", "serde", "serde_bytes",
            "strsim",
        },
        std=VALUES | {"panic", "process::id", "sync", "thread", "time"},
        headers={"answering/deliver.rs", "running/job.rs", "running/job/ending.rs"},
        bytes={"recording/items.rs", "recording/scrub.rs"},
    ),
    "native": Room(
        crates={
            "libc", "log", "pycrust-client", "pycrust-engine", "pycrust-protocol", "pycrust-schema",
            "pycrust-transport", "pyo3", "rmp", "rmp-serde", "rustix", "serde", "serde_json",
        },
        std=VALUES | {"ffi", "os::fd", "panic", "path", "process::id", "ptr", "sync", "thread", "time"},
        unsafe={
            "values/attached.rs", "calls/context.rs", "calls/current.rs", "calls/forked.rs", "shown/logs.rs",
            "values/memory.rs", "values/plain.rs",
            "calls/collecting.rs", "values/strided.rs",
        },
        bytes={"values/decode.rs", "values/encode.rs", "calls/inbox.rs", "values/plain.rs", "values/timestamp.rs"},
    ),
    "client-rs": Room(
        crates={
            "bytemuck", "bytes", "chrono", "futures-core", "half", "hdrhistogram", "log", "metrics",
            "ndarray", "opentelemetry",
            "pycrust-macros", "pycrust-protocol", "pycrust-schema", "pycrust-transport", "rmp", "rmp-serde",
            "rustix", "serde", "serde_bytes", "serde_json", "strsim", "time", "tokio", "tower-service", "tracing",
            "tracing-opentelemetry",
        },
        std=VALUES | {
            "array", "env", "future", "os::fd", "panic", "path", "pin", "process::id", "sync", "task", "thread",
            "time",
        },
        headers={
            "call/attempt.rs", "connection/session.rs", "call/stream.rs", "connection/pipe.rs", "testing/call.rs",
        },
        bytes={
            "codec/forms.rs", "codec/reader.rs", "codec/token.rs", "codec/writer.rs", "connection/pipe.rs",
        },
    ),
    # What it writes into its users' code counts as its own.
    "client-rs/macros": Room(
        crates={"proc-macro2", "pycrust-schema", "quote", "syn"},
        std={"assert", "collections", "env", "fs::File", "mem", "path", "sync::Arc", "time"},
    ),
}  # fmt: skip

#: What no room's tests, benchmarks or examples may bring in either: the interpreter belongs to the binding.
BINDING_ONLY = {"pyo3", "maturin"}

_UNSAFE = re.compile(r"\bunsafe\b|\bextern\s*\"\"")
_HEADER = r"(?:RequestHeader|ResponseHeader|Common)"
_HEADERS = re.compile(rf"\b{_HEADER}\s*\{{")
#: Where such a brace begins something else: what is declared, what is returned, what is taken apart.
_NO_LITERAL = re.compile(
    rf"\b(?:struct|impl(?:<[^>]*>)?|for)\s+{_HEADER}\s*\{{|->\s*{_HEADER}\s*\{{|{_HEADER}\s*\{{[^{{}}]*\.\.\s*\}}"
)
_BYTES = re.compile(r"\b(?:to|from)_(?:le|be|ne)_bytes\b")


def read_manifest(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())


def tables(manifest: dict[str, Any], *kinds: str) -> Iterator[tuple[str, Any]]:
    for table in [manifest, *manifest.get("target", {}).values()]:
        for kind in kinds:
            yield from table.get(kind, {}).items()


def _real(name: str, requirement: Any) -> str:
    """The crate that is meant: a dependency may be given any other name."""
    return requirement.get("package", name) if isinstance(requirement, dict) else name


def manifests(root: Path) -> list[str]:
    """Dependencies that a room may not have."""
    workspace = read_manifest(root / "Cargo.toml").get("workspace", {}).get("dependencies", {})
    wrong = []
    for name, requirement in workspace.items():
        if _real(name, requirement) != name:
            wrong.append(f"Cargo.toml: {_real(name, requirement)} goes by the name of {name}")
        version = requirement.get("version", "") if isinstance(requirement, dict) else requirement
        if name.startswith("iceoryx2") and version != "=0.10.0":
            wrong.append(f"Cargo.toml: {name} is not pinned to 0.10.0 but {version!r}")
    for folder, room in ROOMS.items():
        where = f"{folder}/Cargo.toml"
        manifest = read_manifest(root / where)
        needs = dict(tables(manifest, "dependencies", "build-dependencies"))
        if not needs:
            wrong.append(f"{where}: no dependencies: it is not what this check takes it for")
        for name, requirement in needs.items():
            crate = _real(name, requirement)
            if crate != name:
                wrong.append(f"{where}: {crate} goes by the name of {name}")
            if crate not in room.crates:
                wrong.append(f"{where}: depends on {crate}")
        for name, requirement in tables(manifest, "dev-dependencies"):
            if _real(name, requirement) in BINDING_ONLY and folder != "native":
                wrong.append(f"{where}: its tests depend on {_real(name, requirement)}")
        if manifest.get("lints") != {"workspace": True}:
            wrong.append(f"{where}: takes the workspace's lints no longer")
    return wrong


def _allowed(path: str, allowed: set[str]) -> bool:
    below = path.split("::")[1:]
    return any("::".join(below[:length]) in allowed for length in range(1, len(below) + 1))


def sources(root: Path, folder: str) -> list[str]:
    """What a room's code names and may not."""
    room = ROOMS[folder]
    wrong = []
    for path, text in rust.sources(root / folder):
        where = path.relative_to(root).as_posix()
        name = path.relative_to(root / folder / "src").as_posix()
        for crate in ("std", "core", "alloc"):
            named = rust.paths(text, crate)
            wrong += [f"{where}: names {one}" for one in sorted(named) if not _allowed(one, room.std)]
            if re.search(rf"\b(?:use|extern\s+crate)\s+(?:::)?{crate}\s*(?:as\b|;)", text):
                wrong.append(f"{where}: gives {crate} another name")
        if re.search(r"#!?\[\s*path\b|\binclude!", text):
            wrong.append(f"{where}: is made of a file from elsewhere")
        if _UNSAFE.search(re.sub(r"#!?\[[^\]]*\]", "", text)) and name not in room.unsafe:
            wrong.append(f"{where}: has unsafe code")
        literal = _HEADERS.search(_NO_LITERAL.sub("", text))
        if literal and name not in room.headers:
            wrong.append(f"{where}: makes a header by hand: {literal[0]}")
        if _BYTES.search(text) and name not in room.bytes:
            wrong.append(f"{where}: turns numbers into bytes by itself")
    entry = rust.code((root / folder / "src" / "lib.rs").read_text())
    if not room.unsafe and not re.search(r"^#!\[forbid\(unsafe_code\)\]", entry, re.MULTILINE):
        wrong.append(f"{folder}/src/lib.rs: does not forbid unsafe code")
    return wrong


def locks(root: Path) -> list[str]:
    """Locks with a state of the process's, which a fork breaks."""
    names = {package["name"] for package in read_manifest(root / "Cargo.lock")["package"]}
    found = names & {"parking_lot", "parking_lot_core"}
    return [f"Cargo.lock: {name}" for name in sorted(found)] + (
        [] if "lock_api" in names else ["Cargo.lock: it has no lock_api, so it is not ours"]
    )


# Python ---------------------------------------------------------------------------------------------------

#: The one module that imports the extension.
DOOR = "pycrust._extension"
EXTENSION = "pycrust._native"

#: What may be imported from elsewhere, by room; by those modules or folders only, where they are named.
ELSEWHERE: dict[str, dict[str, set[str] | None]] = {
    "pycrust": {
        "pydantic": None,
        "pydantic_core": None,
        "IPython": {"trials.replay"},
        "click": {"cli"},
        "jsonschema": {"handlers.request_schema.checks", "handlers.request_schema.validating"},
        "jsonschema_specifications": {"handlers.request_schema.validating"},
        "numpy": {
            "arrays.incoming",
            "arrays.in_place",
            "arrays.outgoing",
            "arrays.records",
            "cli.values",
            "trials.compare",
        },
        "opentelemetry": {"telemetry", "telemetry.recording"},
        "pandas": {"traffic.traffic"},
        "safetensors": {"models.weights"},
        "torch": {"arrays.incoming", "models.weights"},
        "rich": {"cli.top.view"},
        "textual": {"cli.top.view"},
        "watchfiles": {"cli.serving.watching"},
    },
    "pycrust.jupyter": {
        "IPython": None,
        "anywidget": {"jupyter.widget"},
        "ipykernel": {"jupyter.output", "jupyter.view.publisher"},
    },
}

#: Parts of the standard library that run what they read, or that only few may need.
RARE = {
    "pickle": set(), "marshal": set(), "shelve": set(), "socket": {"cli.doctor.places", "cli.serving.notify"},
    "subprocess": {"cli.doctor.endpoints", "schemas.rust"}, "multiprocessing": set(), "ctypes": {"arrays.incoming"},
    "gc": {"models.holders", "process.realtime"},
}  # fmt: skip

#: What the notebook's side may import of the rest; it never sees the extension or what serves.
OF_THE_CORE = {
    "arrays.absent", "calls.output", "calls.running", "errors", "handlers.registration", "logs", "models.reload",
    "models.store",
    "process.shield", "process.threads", "service.lifecycle", "text.statistics", "text.table", "text.values",
    "traffic.filters",
    "traffic.recorded", "traffic.recording", "traffic.traffic", "versions.events",
    "versions.staging",
}  # fmt: skip

#: Modules that may import the notebook's side, and what of it.
OF_THE_NOTEBOOK = {
    "": {"hooks"},
    "endpoint.display": {"view", "widget"},
}


def imports(tree: ast.Module, path: Path, module: str) -> Iterator[tuple[ast.AST, str, str]]:
    """What a module imports, as `(statement, module, name)`; `name` is empty for a whole module."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node, alias.name, "") for alias in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                base = package[: len(package) - level + 1] if level else []
                source = ".".join([*base, *([source] if source else [])])
                yield from ((node, source, alias.name) for alias in names)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(source)), *_],
            ):
                yield (node, source.lstrip("."), "")


def python_modules(root: Path) -> Iterator[tuple[Path, str]]:
    """Every module of the package, with its name."""
    for path in sorted((root / "pycrust").rglob("*.py")):
        if "node_modules" in path.parts:
            continue
        parts = path.relative_to(root).with_suffix("").parts
        yield path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def python(root: Path) -> list[str]:
    """What a Python module imports and may not."""
    wrong = []
    for path, module in python_modules(root):
        where = path.relative_to(root).as_posix()
        room = "pycrust.jupyter" if module.startswith("pycrust.jupyter") else "pycrust"
        own = module.removeprefix("pycrust").removeprefix(".")
        for _, source, name in imports(ast.parse(path.read_text()), path, module):
            top = source.split(".")[0]
            full = f"{source}.{name}" if name else source
            if top in sys.stdlib_module_names:
                if own not in RARE.get(top, {own}):
                    wrong.append(f"{where}: imports {top}")
            elif top != "pycrust":
                users = ELSEWHERE[room].get(top, set())
                if users is not None and own not in users and own.split(".")[0] not in users:
                    wrong.append(f"{where}: imports {top}")
            elif f"{full}.".startswith(f"{EXTENSION}."):
                if module != DOOR:
                    wrong.append(f"{where}: imports the extension")
            elif not _may_import(room, own, full):
                wrong.append(f"{where}: imports {full}")
    return wrong


def _may_import(room: str, own: str, full: str) -> bool:
    parts = full.split(".")[1:]
    if not parts:
        return False
    of_the_notebook = parts[0] == "jupyter"
    if room == "pycrust.jupyter":
        return of_the_notebook or any(
            ".".join(parts[:length]) in OF_THE_CORE for length in range(1, len(parts) + 1)
        )
    return not of_the_notebook or bool(set(parts[1:2]) & OF_THE_NOTEBOOK.get(own, set()))
