"""`logging` as lines of JSON."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

#: What every record has, and is told under another name or not at all.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A line of JSON: `time`, `level`, `logger`, `message`, `traceback` if there is one, and what `extra` had."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        trace = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else "")
        if trace:
            told["traceback"] = trace
        told |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        return json.dumps(told, ensure_ascii=False, default=str)


def configure(*, as_json: bool, level: str) -> None:
    """Sends what is logged to standard error.

    Args:
        as_json: As lines of JSON, or as text with the time.
        level: What is logged: this level and those above.
    """
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if as_json else text)
    logging.basicConfig(level=level, handlers=[handler])
