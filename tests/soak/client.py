"""A client that calls everything without end, whatever becomes of the worker: `client.py NAME`."""

import itertools
import sys
import threading

from pycrust import RpcClient, RpcError

client = RpcClient(sys.argv[1], wait=60, timeout=10)
ended = threading.Event()


def work(task: int) -> None:
    """One task's calls, one kind after the other."""
    for number in itertools.count():
        if ended.is_set():
            return
        try:
            match (number + task) % 8:
                case 0:
                    client.call("fail", number)
                case 1:
                    client.call("nap", 1.0, timeout=0.002)
                case 2:
                    client.call("wait", 0.001)
                case 3:
                    assert sum(client.stream("count", 200)) == 19_900
                case 4:
                    with client.stream("count", 10**9) as stream:
                        next(stream)
                case 5:
                    assert client.call("squares", number) == number * number
                case 6:
                    assert len(client.call("large", 100_000)) == 100_000
                case _:
                    assert client.call("echo", number)[0] == number
        except RpcError:
            continue


threads = [threading.Thread(target=work, args=(task,)) for task in range(4)]
for thread in threads:
    thread.start()
print("calling", flush=True)
sys.stdin.read()
ended.set()
for thread in threads:
    thread.join()
client.close()
