"""The module of a service: run, run again, and put back as it was where that fails."""

from __future__ import annotations

import importlib
import importlib.util
import linecache
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pycrust.cli.command import CommandError
from pycrust.endpoint.endpoint import RpcEndpoint
from pycrust.handlers.registration import Registration
from pycrust.service import hosting
from pycrust.versions import staging

if TYPE_CHECKING:
    from types import ModuleType

    from pycrust.models.store import ModelChange
    from pycrust.versions.staging import Publisher


class LoadError(CommandError):
    """The module raised; the cause is what it raised."""


class _Stage:
    """What a run of a module registers, until it has ended well."""

    cell: tuple[int | None, str | None] = (None, None)

    def __init__(self) -> None:
        self.changes: dict[Publisher, dict[str, Registration | ModelChange]] = {}

    def put(self, endpoint: Publisher, registration: Registration | ModelChange) -> None:
        """Adds a registration.

        Raises:
            ValueError: The module has registered another function under that name.
        """
        known = self.changes.setdefault(endpoint, {})
        before = known.get(registration.method)
        if (
            isinstance(before, Registration)
            and isinstance(registration, Registration)
            and before.handler
            and registration.handler
            and registration.changes(before)
        ):
            raise ValueError(
                f"two different functions are registered as {registration.method!r} of {endpoint.name!r}: give one "
                "of them another name"
            )
        known[registration.method] = registration

    def staged(self, endpoint: Publisher) -> dict[str, Registration | ModelChange]:
        """What is held for an endpoint, by method."""
        return dict(self.changes.get(endpoint, {}))

    def take(self, endpoint: Publisher) -> list[Registration | ModelChange]:
        """Hands over what is held for an endpoint."""
        return list(self.changes.pop(endpoint, {}).values())


class Hosted:
    """A module that makes an endpoint.

    Args:
        spec: `MODULE:NAME` or `FILE.py:NAME`; without the name, the one endpoint that the module has.

    Attributes:
        root: The directory below which its own modules are.

    Raises:
        click.UsageError: There is no such module or file.
    """

    def __init__(self, spec: str) -> None:
        """Finds the module; runs nothing."""
        target, _, self._attribute = spec.partition(":")
        self._before = set(sys.modules)
        #: The methods that the last run that ended well has registered.
        self._methods: set[str] = set()
        self._endpoint: RpcEndpoint | None = None
        if target.endswith(".py") or "/" in target:
            path = Path(target).resolve()
            if not path.is_file():
                raise click.UsageError(f"there is no file {target}")
            self.root, self._path = path.parent, path
            self._name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"_{path.stem}"
        else:
            self.root, self._path, self._name = Path.cwd(), None, target
        sys.path.insert(0, str(self.root))
        if self._path is None and not _exists(target):
            raise click.UsageError(f"there is no module {target!r}, from {self.root} on")

    def load(self) -> tuple[RpcEndpoint, dict[str, Any], list[str]]:
        """Runs the module, and publishes what it has registered once it has ended well.

        Methods that it registered before and does not any more are removed in the same step.

        Returns:
            The endpoint, the options of `serve` that the module has asked for, and a line for each method that
            changed.

        Raises:
            LoadError: It raised; everything is as it was before.
            click.UsageError: It has no such endpoint.
        """
        earlier = self._forget()
        stage = _Stage()
        try:
            with hosting.loading() as asked, _staging(stage):
                endpoint = self._endpoint_of(self._run())
            self._check(endpoint)
        except BaseException as error:
            for name in self._own():
                del sys.modules[name]
            sys.modules.update(earlier)
            if isinstance(error, (KeyboardInterrupt, click.UsageError, LoadError)):
                raise
            raise LoadError(f"it raised {type(error).__name__}: {error}") from error
        lines = self._publish(endpoint, stage)
        self._endpoint = endpoint
        return endpoint, asked.get(endpoint.name, {}), lines

    def files(self) -> list[Path]:
        """The files of its own modules."""
        return sorted({Path(str(module.__file__)) for module in self._own().values()})

    def _run(self) -> ModuleType:
        if self._path is None:
            return importlib.import_module(self._name)
        spec = importlib.util.spec_from_file_location(self._name, self._path)
        assert spec is not None  # noqa: S101 - a .py file has one
        assert spec.loader is not None  # noqa: S101 - as above
        module = importlib.util.module_from_spec(spec)
        sys.modules[self._name] = module
        spec.loader.exec_module(module)
        return module

    def _endpoint_of(self, module: ModuleType) -> RpcEndpoint:
        found: dict[str, RpcEndpoint] = {
            name: value for name, value in vars(module).items() if isinstance(value, RpcEndpoint)
        }
        if self._attribute:
            if self._attribute not in found:
                known = f": it has {', '.join(found)}" if found else ""
                raise click.UsageError(f"{self._name} has no endpoint {self._attribute!r}{known}")
            return found[self._attribute]
        if len(set(found.values())) != 1:
            known = ", ".join(found) or "none"
            raise click.UsageError(
                f"say which endpoint of {self._name} is served, as {self._name}:NAME: it has {known}"
            )
        return next(iter(found.values()))

    def _check(self, endpoint: RpcEndpoint) -> None:
        if self._endpoint is not None and self._endpoint.name != endpoint.name:
            raise LoadError(
                f"its endpoint is called {endpoint.name!r} now, and {self._endpoint.name!r} is served: start again"
            )

    def _publish(self, endpoint: RpcEndpoint, stage: _Stage) -> list[str]:
        own = endpoint._service.catalog  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the endpoint that is served
        kept = {name for name, change in stage.staged(own).items() if isinstance(change, Registration)}
        for gone in sorted((self._methods - kept) & set(own.visible())):
            stage.put(own, Registration(gone))
        lines: list[str] = []
        for publisher in list(stage.changes):
            lines += publisher.publish(stage.take(publisher))
        self._methods = kept
        return lines

    def _own(self) -> dict[str, ModuleType]:
        """The modules below its directory that were not there before it ran."""
        return {
            name: module
            for name, module in list(sys.modules.items())
            if name not in self._before and self._is_own(getattr(module, "__file__", None))
        }

    def _is_own(self, file: str | None) -> bool:
        if file is None:
            return False
        path = Path(file)
        return path.is_relative_to(self.root) and "site-packages" not in path.parts

    def _forget(self) -> dict[str, ModuleType]:
        """Takes its modules out of Python's table, so that they run again; gives them."""
        own = self._own()
        for name in own:
            del sys.modules[name]
        importlib.invalidate_caches()
        linecache.checkcache()
        return own


class _staging:  # noqa: N801 - a context manager, used as a function
    """Leaves the registrations of this thread to a stage."""

    def __init__(self, stage: _Stage) -> None:
        self._stage, self._thread = stage, threading.get_ident()

    def __enter__(self) -> None:
        self._before = staging.of_notebook
        staging.of_notebook = self._current

    def __exit__(self, *_error: object) -> None:
        staging.of_notebook = self._before

    def _current(self) -> staging.Stage | None:
        return self._stage if threading.get_ident() == self._thread else self._before()


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
