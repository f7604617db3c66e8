"""A worker is awake for callers with a rhythm: rehearsals run nothing of the user's, no thread is left pinned."""

import json
import subprocess

from pycrust import RpcClient
from pycrust.text.statistics import Stats
from tests.conftest import wait_until

SERVE = """
import os
from typing import Annotated
from pydantic import AfterValidator, BaseModel
from pycrust import RpcEndpoint

endpoint = RpcEndpoint("rhythm")
ran, checked, cores = [], [], set()

def check(value: int) -> int:
    checked.append(value)
    return value

class Pure(BaseModel):
    value: int

class Checked(BaseModel):
    value: Annotated[int, AfterValidator(check)]

@endpoint.register(request_model=Pure)
def pure(value: int) -> int:
    ran.append(value)
    cores.add(tuple(sorted(os.sched_getaffinity(0))))
    return value

@endpoint.register(request_model=Checked)
def validated(value: int) -> int:
    ran.append(value)
    return value

@endpoint.register
def seen() -> dict:
    allowed = sorted(os.sched_getaffinity(os.getpid()))
    return {"ran": len(ran), "checked": len(checked), "cores": sorted(cores), "allowed": allowed}

endpoint.serve(%s)
"""


#: A loop of 200 Hz, by the pacer of the Rust client.
PACED = ("load", "--endpoint", "rhythm", "--args", '{"value": 7}', "--pace", "200", "--pacer", "--json", "--method")


def paced(rust, method: str) -> dict:
    """300 calls of the loop; what it reports."""
    return json.loads(rust(*PACED, method, "--calls", "300").finish())


def load(client: RpcClient) -> dict:
    return next(one for one in client.call("pycrust.stats")["clients"] if one["name"] == "load")


def test_calls_of_a_paced_loop_are_expected_and_each_runs_once(worker, rust):
    worker(SERVE % "")
    with RpcClient("rhythm", timeout=60) as client:
        report = paced(rust, "pure")
        assert (report["errors"], report["calls"]) == ({}, 300)
        seen = client.call("seen")
        assert seen["ran"] == 300
        assert seen["cores"] == [seen["allowed"]], "a handler's thread may run where the process may"
        methods = {one["name"]: one for one in client.call("pycrust.stats")["methods"]}
        assert methods["pure"]["calls"] == 300


def test_a_rehearsal_runs_no_validator_of_the_user_s(worker, rust):
    worker(SERVE % "")
    with RpcClient("rhythm", timeout=60) as client:
        assert paced(rust, "validated")["errors"] == {}
        seen = client.call("seen")
        assert (seen["ran"], seen["checked"]) == (300, 300)


def test_the_statistics_tell_hits_and_what_they_took(worker, rust):
    worker(SERVE % "placement='kernel'")
    with RpcClient("rhythm", timeout=60) as client:
        loop = rust(*PACED, "pure", "--until-eof", stdin=subprocess.PIPE)
        wait_until(lambda: client.call("pycrust.stats")["clients"][-1]["name"] == "load", "the loop to connect")
        wait_until(lambda: load(client)["hits"] > 5, "calls for which somebody was awake")
        wait_until(lambda: load(client)["awake_ns"] > 0, "one that was polled for")
        stats = client.call("pycrust.stats")
        assert stats["placement"] == "kernel"
        steady = [other for other in stats["clients"] if other["period_ns"]]
        assert ("1 client in rhythm: awake in time for" in str(Stats(stats))) == bool(steady)
        found = load(client)
        assert found["period_ns"] == 0 or found["period_ns"] > 1_000_000
        loop.finish()
