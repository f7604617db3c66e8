"""The short way of a widget's message to the browser: put together once, looked through by nobody on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

_DELIMITER = b"<IDS|MSG>"
_NOTHING = b"{}"


def post(comm: Any, content: str) -> None:
    """Sends a custom message of a widget, from any thread.

    A comm's own `send` looks through every value of a message, copies the request that runs at the moment into it
    and encodes each part: at five messages a second, it was most of what a view cost. So the frames of the message
    (https://jupyter-client.readthedocs.io/en/stable/messaging.html) are made here, and given to the kernel's IOPub
    thread as the comm would in the end. The message has no parent: it is no output of whichever cell runs.

    Args:
        comm: The widget's comm.
        content: The message, as JSON.
    """
    try:
        session, socket, topic = comm.kernel.session, comm.kernel.iopub_socket, comm.topic
        parts = [_header(session), _NOTHING, _NOTHING, _body(comm.comm_id, content)]
        frames = [topic, _DELIMITER, session.sign(parts), *parts]
    except AttributeError:  # a kernel of another kind
        comm.send(data={"method": "custom", "content": json.loads(content)})
        return
    socket.send_multipart(frames)


def _header(session: Any) -> bytes:
    header = {
        "msg_id": session.msg_id,
        "msg_type": "comm_msg",
        "username": session.username,
        "session": session.session,
        "date": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "version": "5.3",
    }
    return json.dumps(header).encode()


def _body(comm_id: str, content: str) -> bytes:
    return f'{{"data":{{"method":"custom","content":{content}}},"comm_id":{json.dumps(comm_id)}}}'.encode()
