"""The short way of a widget's message to the browser: put together once, looked through by nobody on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any


class Outlet:
    """Sends custom messages of one widget, from any thread.

    A comm's own `send` looks through every value of a message, copies the request that runs at the moment into it
    and encodes each part: at five messages a second, it was most of what a view cost. So the frames of the message
    (https://jupyter-client.readthedocs.io/en/stable/messaging.html) are made here, and given to the kernel's IOPub
    thread as the comm would in the end. A message has no parent: it is no output of whichever cell runs.

    Args:
        comm: The widget's comm.
    """

    def __init__(self, comm: Any) -> None:
        """Finds the way."""
        self.comm = comm
        self._session: Any = None
        try:
            session, self._send = comm.kernel.session, comm.kernel.iopub_socket.send_multipart
            self._topic, self._sign = comm.topic, session.sign
            known = {"msg_type": "comm_msg", "username": session.username, "session": session.session}
            self._header = json.dumps({**known, "version": "5.3"})[:-1]
            self._body = f'{{"comm_id":{json.dumps(comm.comm_id)},"data":{{"method":"custom","content":'
            self._session = session
        except AttributeError:
            pass  # a kernel of another kind: its comm sends

    def post(self, content: str) -> None:
        """Sends a message.

        Args:
            content: The message, as JSON.
        """
        session = self._session
        if session is None:
            self.comm.send(data={"method": "custom", "content": json.loads(content)})
            return
        date = datetime.now(UTC).isoformat()
        header = f'{self._header},"msg_id":"{session.msg_id}","date":"{date[:-6]}Z"}}'
        parts = [header.encode(), b"{}", b"{}", f"{self._body}{content}}}}}".encode()]
        self._send([self._topic, b"<IDS|MSG>", self._sign(parts), *parts])
