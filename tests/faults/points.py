"""The steps at which a process can be ended, as the sources name them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_REACHED = re.compile(r'\breached\("([a-z_.]+)"\)')

#: Which process comes by, how often at most before it is to happen: some steps come once in a process's life.
ONCE, SOME, MANY = 1, 6, 150


def in_sources() -> set[str]:
    """The points that transport, engine and client have."""
    rooms = ("native/transport/src", "native/engine/src", "client-rs/src")
    return {
        name
        for room in rooms
        for path in (ROOT / room).rglob("*.rs")
        for name in _REACHED.findall(path.read_text())
    }


#: Where either can be ended: a frame on its way, and the memory of large ones.
EITHER = {
    "frame.written": MANY,
    "frame.sent": MANY,
    "frame.announced": MANY,
    "frame.rung": MANY,
    "frame.taken": MANY,
    "frame.read": MANY,
    "frame.freed": MANY,
    "bulk.loaned": SOME,
    "bulk.offered": ONCE,
    "bulk.opened": ONCE,
}

#: Where a worker can be ended.
WORKER = {
    "serve.locked": ONCE,
    "serve.life_begun": ONCE,
    "serve.listening": ONCE,
    "accept.hello_heard": ONCE,
    "accept.services_made": ONCE,
    "accept.welcomed": ONCE,
    "accept.opened": ONCE,
    "accept.serving": ONCE,
    **EITHER,
    "call.admitted": MANY,
    "call.queued": MANY,
    "call.not_started": ONCE,
    "call.started": MANY,
    "call.attached": MANY,
    "call.ran": MANY,
    "call.counted": MANY,
    "call.answered": MANY,
    "call.ended": MANY,
    "call.suspended": ONCE,
    "stream.item_sent": MANY,
}

#: Where a client can be ended.
CLIENT = {
    "connect.dialled": ONCE,
    "connect.hello_said": ONCE,
    "connect.offered": ONCE,
    "connect.opened": ONCE,
    "connect.served": ONCE,
    **EITHER,
    "request.begun": MANY,
    "request.sent": MANY,
    "request.answered": MANY,
    "request.given_up": SOME,
    "stream.granted": SOME,
}

#: Where a worker can be ended whose second client is killed, or that is told to end itself.
WORKER_ENDS = {
    "drop.client_dropped": ONCE,
    "drop.cleaned": ONCE,
    "stop.parted": ONCE,
    "stop.life_removed": ONCE,
}

#: Where a client can be ended that is told to end.
CLIENT_ENDS = {
    "close.session_ended": ONCE,
}

#: All of a worker's, and all of a client's.
OF_WORKER, OF_CLIENT = {**WORKER, **WORKER_ENDS}, {**CLIENT, **CLIENT_ENDS}
