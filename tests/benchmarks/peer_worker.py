"""The same handler behind what one would use instead: `peer_worker.py KIND PATH`."""

from __future__ import annotations

import contextlib
import ctypes
import json
import signal
import socket
import struct
import sys
import threading
from pathlib import Path

from tests.benchmarks.handler import validated_add


def serve_socket(path: str) -> None:
    """What one writes by hand: MessagePack behind a length, a thread for each connection."""
    import msgpack

    def serve(connection: socket.socket) -> None:
        with connection:
            received = b""
            while True:
                while len(received) < 4 or len(received) < 4 + (length := struct.unpack_from("<I", received)[0]):
                    more = connection.recv(4096)
                    if not more:
                        return
                    received += more
                body, received = received[4 : 4 + length], received[4 + length :]
                answer = msgpack.packb(validated_add(msgpack.unpackb(body)))
                connection.sendall(struct.pack("<I", len(answer)) + answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        ready()
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


def serve_zeromq(path: str) -> None:
    """ZeroMQ: request and reply, MessagePack inside."""
    import msgpack
    import zmq

    with zmq.Context() as context, context.socket(zmq.REP) as replies:
        replies.linger = 0
        replies.bind(f"ipc://{path}")
        ready()
        while True:
            replies.send(msgpack.packb(validated_add(msgpack.unpackb(replies.recv()))))


def serve_grpc(path: str) -> None:
    """gRPC: protobuf messages, grpcio's own server."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="bench.proto", package="bench", syntax="proto3")
    args = file.message_type.add(name="AddArgs")
    for number, name in enumerate("ab", 1):
        args.field.add(name=name, number=number, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    file.message_type.add(name="Sum").field.add(
        name="value", number=1, type=field.TYPE_INT64, label=field.LABEL_OPTIONAL
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    request = message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.AddArgs"))
    answer = message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.Sum"))

    method = grpc.unary_unary_rpc_method_handler(
        lambda given, _context: answer(value=validated_add({"a": given.a, "b": given.b})),
        request_deserializer=request.FromString,
        response_serializer=answer.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Calculator", {"Add": method}),))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    ready()
    server.wait_for_termination()


class Message(ctypes.Structure):
    """One message of iceoryx2, either way."""

    _fields_ = [("len", ctypes.c_uint64), ("bytes", ctypes.c_uint8 * 56)]

    @staticmethod
    def type_name() -> str:
        return "Message"


def serve_iceoryx2(path: str, *, polled: bool) -> None:
    """iceoryx2's own Python package: publish-subscribe each way, MessagePack inside, its events for sleeping."""
    import iceoryx2
    import msgpack

    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    config = iceoryx2.config.default()
    config.global_cfg.root_path = iceoryx2.Path.new(path)
    config.global_cfg.prefix = iceoryx2.FileName.new("pycpeer_")
    node = (
        iceoryx2.NodeBuilder.new()
        .config(config)
        .signal_handling_mode(iceoryx2.SignalHandlingMode.Disabled)
        .create(iceoryx2.ServiceType.Ipc)
    )

    def service(name: str):
        named = node.service_builder(iceoryx2.ServiceName.new(name))
        return named.publish_subscribe(Message).open_or_create()

    def event(name: str):
        return node.service_builder(iceoryx2.ServiceName.new(name)).event().open_or_create()

    services = [service("requests"), service("answers"), event("requests"), event("answers")]
    requests = services[0].subscriber_builder().create()
    answers = services[1].publisher_builder().create()
    listener = services[2].listener_builder().create()
    notifier = services[3].notifier_builder().create()
    ready()
    while True:
        sample = requests.receive()
        if sample is None:
            if not polled:
                listener.timed_wait(iceoryx2.Duration.from_millis(100))
            continue
        message = sample.payload().contents
        arguments = msgpack.unpackb(bytes(message.bytes[: message.len]))
        sample.delete()
        body = msgpack.packb(validated_add(arguments))
        answer = Message(len=len(body))
        ctypes.memmove(answer.bytes, body, len(body))
        answers.send_copy(answer)
        if not polled:
            notifier.notify()


def serve_zenoh(path: str) -> None:
    """Zenoh: a queryable, MessagePack inside."""
    import msgpack
    import zenoh

    config = zenoh.Config()
    for key, value in {
        "mode": "peer",
        "listen/endpoints": [f"unixsock-stream/{path}"],
        "scouting/multicast/enabled": False,
        "transport/unicast/lowlatency": True,
        "transport/unicast/qos/enabled": False,
    }.items():
        config.insert_json5(key, json.dumps(value))
    with zenoh.open(config) as session:
        queryable = session.declare_queryable("bench/add", complete=True)
        ready()
        while True:
            with queryable.recv() as query:
                arguments = msgpack.unpackb(query.payload.to_bytes())
                query.reply("bench/add", msgpack.packb(validated_add(arguments)))


def serve_dora(_path: str) -> None:
    """dora: the server's side of its service pattern, started by `dora run`."""
    import pyarrow as pa
    from dora import Node

    node = Node()
    for event in node:
        if event["type"] == "STOP":
            break
        if event["type"] == "INPUT":
            [arguments] = event["value"].to_pylist()
            answer = pa.array([{"sum": validated_add(arguments)}])
            node.send_service_response("response", answer, event["metadata"])


def serve_tachyon(path: str) -> None:
    """Tachyon: its RPC over two rings, MessagePack inside; it polls, then sleeps."""
    import msgpack
    import tachyon

    # Said before the caller connects, which listening waits for.
    ready()
    with tachyon.RpcBus.rpc_listen(path, 1 << 16, 1 << 16) as bus:
        while True:
            with bus.serve() as request:
                call = request.correlation_id
                with memoryview(request) as body:
                    arguments = msgpack.unpackb(body)
            bus.reply(call, msgpack.packb(validated_add(arguments)), 2)


def ready() -> None:
    print("ready", flush=True)


SERVERS = {
    "dora": serve_dora,
    "grpc": serve_grpc,
    "iceoryx2": lambda path: serve_iceoryx2(path, polled=False),
    "iceoryx2-polled": lambda path: serve_iceoryx2(path, polled=True),
    "socket": serve_socket,
    "tachyon": serve_tachyon,
    "zenoh": serve_zenoh,
    "zeromq": serve_zeromq,
}


def main() -> None:
    kind, path = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        SERVERS[kind](path)
    finally:
        with contextlib.suppress(OSError):
            Path(path).unlink()


if __name__ == "__main__":
    main()
