"""The time of day, as people read it."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    """This moment, in the local zone."""
    return dt.datetime.now().astimezone()
