"""openpi's policy over a websocket, as its own server does: `openpi_server POLICY`, an expression of `policy.py`.

The options and the order of what is done per message are those of `openpi/serving/websocket_policy_server.py` of
https://github.com/Physical-Intelligence/openpi (15a9616): an asyncio server, no compression, no limit on sizes, the
observation unpacked, the policy run on the event loop, the answer packed with its time.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time

import websockets.asyncio.server
import websockets.exceptions

from tests.benchmarks.ported import openpi_frames
from tests.benchmarks.ported.loading import load
from tests.benchmarks.ported.program import ROOT


async def main() -> None:
    module = load(ROOT / "client-rs" / "examples" / "openpi" / "policy.py")
    policy = eval(sys.argv[1], module.__dict__)  # noqa: S307 - the command line is this folder's own

    async def converse(websocket: websockets.asyncio.server.ServerConnection) -> None:
        packer = openpi_frames.Packer()
        await websocket.send(packer.pack({}))
        previous = None
        while True:
            try:
                begun = time.monotonic()
                seen = openpi_frames.unpackb(await websocket.recv())
                inferring = time.monotonic()
                answer = {"actions": policy.infer(seen["images"], seen["state"], seen["prompt"])}
                answer["server_timing"] = {"infer_ms": (time.monotonic() - inferring) * 1000}
                if previous is not None:
                    answer["server_timing"]["prev_total_ms"] = previous * 1000
                await websocket.send(packer.pack(answer))
                previous = time.monotonic() - begun
            except websockets.exceptions.ConnectionClosed:
                break

    serving = websockets.asyncio.server.serve(converse, "127.0.0.1", 0, compression=None, max_size=None)
    async with serving as server:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wait() -> None:
            sys.stdin.read()
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=wait, daemon=True).start()
        host, port = server.sockets[0].getsockname()
        print(f"ready ws://{host}:{port}", flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main())
