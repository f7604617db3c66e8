"""Quotes behind ZeroMQ or a Unix socket: what `client-rs/examples/market_maker/quoting.py` is measured beside.

`market_server zeromq` is a REP socket, `market_server socket` reads a length and what follows; either decodes the
book with msgspec, which checks its types, and decides as `quoting.py` does.
"""

from __future__ import annotations

import math
import socket
import sys
import tempfile
import threading

import msgspec
import zmq


class Book(msgspec.Struct, array_like=True, gc=False):
    """What is known when quotes are decided on."""

    at_ns: int
    bid_tick: int
    ask_tick: int
    bid_lots: int
    ask_lots: int
    imbalance: float
    volatility: float
    flow: float
    position: int
    our_bid: int | None
    our_ask: int | None


class Quotes(msgspec.Struct, array_like=True, gc=False):
    """Where to quote."""

    bid_tick: int | None
    ask_tick: int | None
    lots: int = 1


HALF_SPREAD = 1.0
MAX_POSITION = 20

decode = msgspec.msgpack.Decoder(Book).decode
encode = msgspec.msgpack.Encoder().encode


def quote(book: Book) -> Quotes:
    middle = (book.bid_tick + book.ask_tick) / 2
    return Quotes(
        bid_tick=math.floor(middle - HALF_SPREAD) if book.position < MAX_POSITION else None,
        ask_tick=math.ceil(middle + HALF_SPREAD) if book.position > -MAX_POSITION else None,
    )


def answer(request: bytes | memoryview) -> bytes:
    """The version that decides, which here is written by hand, and its quotes."""
    return encode((1, quote(decode(request))))


def over_zeromq(address: str) -> None:
    replies = zmq.Context.instance().socket(zmq.REP)
    replies.bind(address)
    while True:
        replies.send(answer(replies.recv()))


def over_a_socket(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    stream = connection.makefile("rb")
    while head := stream.read(4):
        answered = answer(stream.read(int.from_bytes(head, "little")))
        connection.sendall(len(answered).to_bytes(4, "little") + answered)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="market-") as directory:
        path = f"{directory}/quotes"
        if sys.argv[1] == "zeromq":
            path = f"ipc://{path}"
            thread = threading.Thread(target=over_zeromq, args=(path,), daemon=True)
        else:
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(path)
            listening.listen()
            thread = threading.Thread(target=over_a_socket, args=(listening,), daemon=True)
        thread.start()
        print("ready", path, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
