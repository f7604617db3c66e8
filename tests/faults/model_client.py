"""A client that calls until it is killed: `model_client.py FIRST` numbers its calls from FIRST on."""

import itertools
import sys
import threading

from pycrust import RpcClient, RpcError

client = RpcClient("model", wait=60, timeout=60)
numbers = itertools.count(int(sys.argv[1]))
lock = threading.Lock()


def work() -> None:
    while True:
        with lock:
            number = next(numbers)
        try:
            found, _ = client.call("echo", number)
        except RpcError:
            continue
        if found != number:
            print(f"call {number} got the answer to {found}", file=sys.stderr, flush=True)
            return


threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
print("calling", flush=True)
