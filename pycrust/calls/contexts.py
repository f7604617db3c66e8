"""The context of a call: what it sets (context variables, decimal, NumPy's error state) no other call sees."""

from __future__ import annotations

import sys
from contextvars import Context, copy_context

from pycrust._extension import BaseContext

#: The name of the context variable that has the settings of decimal.
_DECIMAL = "decimal_context"
#: How the names of this package's own context variables begin, which say what the code around them belongs to.
_OWN = "pycrust_"


def base_context() -> BaseContext:
    """What calls of clients get copies of: the context of the calling code, which begins to serve."""
    base = Context()
    here = copy_context()
    for variable, value in here.items():
        if not variable.name.startswith(_OWN):
            base.run(variable.set, value)
    return BaseContext(base, _renew_decimal if any(one.name == _DECIMAL for one in here) else None)


def context_here() -> Context:
    """A context for a call in this process: a copy of the calling code's."""
    context = copy_context()
    if "decimal" in sys.modules:
        context.run(_renew_decimal)
    return context


def _renew_decimal() -> None:
    # Copies of a context share the object that holds the precision and the flags.
    import decimal  # noqa: PLC0415 - few handlers need it

    decimal.setcontext(decimal.getcontext().copy())
