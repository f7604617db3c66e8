"""Shows signatures as callers write them: options by name, and what `__new__` takes as what its class takes."""

from __future__ import annotations

import griffe


class Signatures(griffe.Extension):
    """An extension of the reader of docstrings; mkdocs.yml names it."""

    def on_package(self, *, pkg: griffe.Module, **_: object) -> None:
        """Goes through all that was read."""
        self._visit(pkg)

    def _visit(self, thing: griffe.Module | griffe.Class) -> None:
        for member in list(thing.members.values()):
            if member.is_alias:
                continue
            if isinstance(member, griffe.Function):
                member.parameters = _unpacked(member)
            elif isinstance(member, griffe.Module | griffe.Class):
                self._visit(member)
        if isinstance(thing, griffe.Class) and "__init__" not in thing.members and "__new__" in thing.members:
            new = thing.members["__new__"]
            if isinstance(new, griffe.Function):
                thing.set_member(
                    "__init__", griffe.Function("__init__", parameters=new.parameters, lineno=new.lineno)
                )


def _unpacked(function: griffe.Function) -> griffe.Parameters:
    found: list[griffe.Parameter] = []
    for parameter in function.parameters:
        annotation = parameter.annotation
        if parameter.kind is not griffe.ParameterKind.var_keyword or not isinstance(
            annotation, griffe.ExprSubscript
        ):
            found.append(parameter)
            continue
        options = function.resolve(str(annotation.slice)) if annotation.canonical_name == "Unpack" else None
        declared = function.modules_collection[options] if options is not None else None
        if declared is None:
            found.append(parameter)
            continue
        found += [
            griffe.Parameter(name, annotation=one.annotation, kind=griffe.ParameterKind.keyword_only, default="...")
            for name, one in declared.all_members.items()
            if isinstance(one, griffe.Attribute)
        ]
    return griffe.Parameters(*found)
