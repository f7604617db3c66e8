"""A client that calls everything without end, whatever becomes of the worker: `client.py NAME`."""

import itertools
import sys
import threading

from pycrust import RpcClient, RpcError

client = RpcClient(sys.argv[1], wait=60, timeout=10)
ended = threading.Event()
#: What went wrong beyond errors of calls.
wrong: list[BaseException] = []


def dropped(_number: int) -> None:
    """Takes one item of a stream that has no end."""
    with client.stream("count", 10**9) as stream:
        next(stream)


def weighted(number: int) -> None:
    """Calls a handler with a model that is reloaded."""
    own, product = client.call("weighted", number)
    assert own == number
    assert product % max(number, 1) == 0


def equal(value: object, expected: object) -> None:
    assert value == expected


KINDS = [
    lambda number: client.call("fail", number),
    lambda _: client.call("nap", 1.0, timeout=0.002),
    lambda _: client.call("wait", 0.001),
    lambda _: equal(sum(client.stream("count", 200)), 19_900),
    dropped,
    lambda number: equal(client.call("squares", number), number * number),
    lambda _: equal(client.call("large", 100_000), bytes(100_000)),
    weighted,
    lambda number: equal(client.call("doubled", number), 2 * number),
    lambda number: equal(client.call("echo", number)[0], number),
]


def work(task: int) -> None:
    """One task's calls, one kind after the other."""
    for number in itertools.count():
        if ended.is_set():
            return
        try:
            KINDS[(number + task) % len(KINDS)](number)
        except RpcError:
            continue
        except BaseException as error:
            wrong.append(error)
            raise


threads = [threading.Thread(target=work, args=(task,)) for task in range(4)]
for thread in threads:
    thread.start()
print("calling", flush=True)
sys.stdin.read()
ended.set()
for thread in threads:
    thread.join()
client.close()
sys.exit(len(wrong))
