"""Python packages that are installed beside this one and don't fit."""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING

from pycrust.cli.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

#: `ipykernel>=7.2; extra == "notebook"`
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*>=\s*(?P<least>[\d.]+)(?P<marker>.*)")


def findings() -> Iterator[Finding]:
    """Packages that are older than what this one asks for; of the notebook's, those that are missing."""
    own, notebook = _required()
    for name, least in own.items():
        yield from _older(name, least)
    installed = [name for name in notebook if _version(name)]
    for name, least in notebook.items():
        if name in installed:
            yield from _older(name, least)
        elif "ipykernel" in installed:
            yield Finding(
                "package-missing", name, f"{name} is not installed, and ipykernel is",
                "notebooks show an endpoint as text, without the live view", "pip install 'pycrust[notebook]'",
                serious=False,
            )  # fmt: skip


def _older(name: str, least: str) -> Iterator[Finding]:
    version = _version(name)
    if version and _numbers(version) < _numbers(least):
        yield Finding(
            "package-old", name, f"{name} is {version}, and at least {least} is needed",
            "cells as transactions, output of handlers or the live view do not work with it",
            f"pip install --upgrade '{name}>={least}'",
        )  # fmt: skip


def _required() -> tuple[dict[str, str], dict[str, str]]:
    """What this package asks for, and what it asks for in a notebook: names and the least versions."""
    own: dict[str, str] = {}
    notebook: dict[str, str] = {}
    try:
        requirements = metadata.requires("pycrust") or []
    except metadata.PackageNotFoundError:
        return own, notebook
    for text in requirements:
        if found := _REQUIREMENT.match(text):
            extra = "extra" in found["marker"]
            if not extra:
                own[found["name"]] = found["least"]
            elif "notebook" in found["marker"]:
                notebook[found["name"]] = found["least"]
    return own, notebook


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _numbers(version: str) -> list[int]:
    """The numbers that a version begins with.

    Examples:
        >>> _numbers("7.10.0rc1") > _numbers("7.2")
        True
    """
    begins = re.match(r"[\d.]*", version)
    return [int(part) for part in (begins[0] if begins else "").split(".") if part]
