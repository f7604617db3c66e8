"""Serving in real time: what the kernel shows of the threads that serve, and what the collector does meanwhile."""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from pycrust import RealTime, RpcClient, RpcEndpoint, Unavailable
from pycrust.calls.current import running_call
from tests.conftest import ROOT, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Another user of the machine, who has no rights.
OTHER = 4711
MAY_LOCK, MAY_COME_FIRST = 14, 23  # CAP_IPC_LOCK, CAP_SYS_NICE
LAST = max(os.sched_getaffinity(0))


def status(name: str, thread: str = "self") -> str:
    return re.search(rf"^{name}:\s*(.*)$", Path(f"/proc/{thread}/status").read_text(), re.MULTILINE)[1]


def locked_kib() -> int:
    return int(status("VmLck").split()[0])


def may(capability: int) -> bool:
    return bool(int(status("CapEff"), 16) >> capability & 1)


permitted = pytest.mark.skipif(
    not (may(MAY_LOCK) and may(MAY_COME_FIRST)), reason="this user may ask for no priority or lock no memory"
)


def serving_threads() -> list[int]:
    """The kernel's numbers of the dispatch threads, the watchdog and the sender."""
    tasks = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    own = r"pycrust-(\d+|watchdo|sender)$"  # 15 characters, as the kernel keeps them
    return [task for task in tasks if re.match(own, Path(f"/proc/self/task/{task}/comm").read_text().strip())]


def as_the_kernel_has_it(thread: int) -> tuple[int, int, set[int]]:
    scheduler = os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK
    return scheduler, os.sched_getparam(thread).sched_priority, os.sched_getaffinity(thread)


@permitted
def test_threads_that_serve_have_it_until_they_end(endpoint, capsys):
    @endpoint.register
    def own() -> int:
        return threading.get_native_id()

    before = as_the_kernel_has_it(os.getpid())
    assert locked_kib() == 0
    endpoint.serve(realtime=RealTime(cores=[LAST], priority=7, lock_memory=True))
    wait_until(lambda: len(endpoint.stats()["realtime"]["threads"]) == 4, "threads that have begun")
    threads = endpoint.stats()["realtime"]["threads"]
    assert sorted(row["thread"] for row in threads) == sorted(serving_threads())
    for row in threads:
        assert as_the_kernel_has_it(row["thread"]) == (os.SCHED_FIFO, 7, {LAST})
        assert (row["policy"], row["priority"], row["cores"]) == ("SCHED_FIFO", 7, [LAST])
        assert os.sched_getscheduler(row["thread"]) & os.SCHED_RESET_ON_FORK
    with RpcClient(endpoint.name) as client:
        assert client.call("own") in serving_threads()
    assert locked_kib() > 0
    stats = endpoint.stats()
    assert (stats["realtime"]["memory_locked"], stats["realtime"]["missing"]) == (True, [])
    assert f"real time: 4 threads · SCHED_FIFO 7 on core {LAST} · memory locked" in str(stats)
    assert as_the_kernel_has_it(os.getpid()) == before, "the thread that asked is left alone"
    endpoint.stop()
    assert (locked_kib(), serving_threads()) == (0, [])
    assert "realtime" not in endpoint.stats()
    assert capsys.readouterr().out.count("\n") == 1
    with endpoint:
        wait_until(lambda: len(serving_threads()) == 4, "threads of the next life")
        wait_until(
            lambda: {as_the_kernel_has_it(thread)[:2] for thread in serving_threads()} == {(os.SCHED_OTHER, 0)},
            "threads as usual",
        )


@permitted
def test_a_thread_that_outlives_the_stop_is_as_usual(endpoint):
    begun, release = threading.Event(), threading.Event()
    seen = []

    @endpoint.register
    def stays() -> None:
        seen.append(threading.get_native_id())
        begun.set()
        release.wait()

    endpoint.serve(realtime=RealTime(cores=[LAST], priority=7, lock_memory=True))
    with RpcClient(endpoint.name) as client:

        def calls() -> None:
            with pytest.raises(Unavailable):
                client.call("stays")

        calling = threading.Thread(target=calls)
        calling.start()
        begun.wait()
        assert as_the_kernel_has_it(seen[0]) == (os.SCHED_FIFO, 7, {LAST})
        endpoint.stop(0.0)
        assert as_the_kernel_has_it(seen[0]) == (os.SCHED_OTHER, 0, os.sched_getaffinity(0))
        assert locked_kib() == 0
        release.set()
        calling.join()


@permitted
def test_an_event_loop_has_it_too(endpoint):
    @endpoint.register
    async def own() -> int:
        return threading.get_native_id()

    with RpcClientOf(endpoint, RealTime(cores=[LAST], priority=7)) as client:
        assert as_the_kernel_has_it(client.call("own")) == (os.SCHED_FIFO, 7, {LAST})


class RpcClientOf:
    """A client of an endpoint that serves in real time meanwhile."""

    def __init__(self, endpoint: RpcEndpoint, realtime: RealTime | None) -> None:
        self.endpoint, self.realtime = endpoint, realtime

    def __enter__(self) -> RpcClient:
        self.endpoint.serve(realtime=self.realtime)
        self.client = RpcClient(self.endpoint.name)
        return self.client

    def __exit__(self, *_exception: object) -> None:
        self.client.close()
        self.endpoint.stop()


def test_a_child_that_a_handler_forks_inherits_nothing(endpoint):
    @endpoint.register
    def forks() -> list[str]:
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            scheduler, priority, cores = as_the_kernel_has_it(0)
            told = [scheduler, priority, sorted(cores), locked_kib(), gc.isenabled(), gc.get_freeze_count()]
            os.write(writing, repr(told).encode())
            os._exit(0)
        os.close(writing)
        said = b"".join(iter(lambda: os.read(reading, 4096), b"")).decode()
        os.close(reading)
        os.waitpid(child, 0)
        return [said, repr(gc.isenabled())]

    cores = sorted(os.sched_getaffinity(0))
    with RpcClientOf(endpoint, RealTime(cores=[LAST], priority=7, lock_memory=True)) as client:
        assert client.call("forks") == [repr([os.SCHED_OTHER, 0, cores, 0, True, 0]), "False"]


def test_a_core_that_the_process_may_not_use_is_refused_by_name(endpoint):
    allowed = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
    with pytest.raises(
        ValueError, match=f"core 1000 is none that this process may use: those are {allowed}. `taskset"
    ):
        endpoint.serve(realtime=RealTime(cores=[LAST, 1000]))
    assert not endpoint.serving
    with endpoint:
        assert endpoint.serving


@pytest.mark.skipif(LAST == 0, reason="there is one core")
def test_a_core_outside_of_the_mask_is_refused(start):
    source = """
    import os
    from pycrust import RealTime, RpcEndpoint
    try:
        RpcEndpoint("masked").serve(realtime=RealTime(cores=[LAST]))
    except ValueError as error:
        print(error)
    """
    source = dedent(source).replace("LAST", str(LAST))
    others = ",".join(str(core) for core in os.sched_getaffinity(0) if core != LAST)
    said = start("taskset", "-c", others, sys.executable, "-c", source, cwd=ROOT).finish()
    assert said.startswith(f"core {LAST} is none that this process may use: those are {others.replace(',', ', ')}.")


def test_what_no_process_could_ask_for_is_refused():
    for wrong, error in [
        ({"priority": 0}, ValueError),
        ({"priority": 100}, ValueError),
        ({"priority": True}, TypeError),
        ({"priority": 7.0}, TypeError),
        ({"cores": [-1]}, ValueError),
        ({"cores": ["1"]}, TypeError),
    ]:
        with pytest.raises(error):
            RealTime(**wrong)
    assert RealTime(cores=range(3, 1, -1)).cores == (2, 3)


def test_serving_twice_changes_nothing(endpoint):
    realtime = RealTime(cores=[LAST])
    endpoint.serve(realtime=realtime)
    endpoint.serve()
    endpoint.serve(realtime=RealTime(cores=[LAST]))
    with pytest.raises(ValueError, match="serves already, with realtime=RealTime.cores=.*stop"):
        endpoint.serve(realtime=RealTime(priority=3))
    assert endpoint.serving
    endpoint.stop()
    with endpoint, pytest.raises(ValueError, match="with realtime=None"):
        endpoint.serve(realtime=realtime)


def test_who_has_no_right_is_told_how_to_get_it_and_served(request):
    source = f"""
    import os, resource, sys
    import pycrust.client
    from pycrust import RealTime, RpcClient, RpcEndpoint
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 20, 1 << 20))
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid({OTHER})
        os.setuid({OTHER})
    os.environ["PYCRUST_RUNTIME_DIR"] = sys.argv[1]
    endpoint = RpcEndpoint("unprivileged")

    @endpoint.register
    def own() -> list[int]:
        return [os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, *os.sched_getaffinity(0)]

    line = endpoint.serve(realtime=RealTime(cores=[{LAST}], priority=50, lock_memory=True))
    assert line.startswith("serving unprivileged") and "\\n" not in line
    with RpcClient("unprivileged") as client:
        assert client.call("own") == [os.SCHED_OTHER, {LAST}]
    stats = endpoint.stats()
    assert not stats["realtime"]["memory_locked"]
    assert len(stats["realtime"]["missing"]) == 2
    assert str(stats).endswith("2 missing"), str(stats)
    endpoint.stop()
    """
    # Not below the test's own folder, into which nobody else may look.
    request.addfinalizer(lambda: shutil.rmtree(own))
    own = Path(tempfile.mkdtemp(prefix="pycrust-unprivileged-"))
    if os.getuid() == 0:
        os.chown(own, OTHER, OTHER)
    outcome = subprocess.run(
        [sys.executable, "-c", dedent(source), str(own)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    _, priority, memory = outcome.stdout.splitlines()
    assert priority == (
        "priority 50 was not given: this user may ask for 0 at most (`ulimit -r`). Put `<user> - rtprio 50` into "
        "/etc/security/limits.conf and log in again, or LimitRTPRIO=50 into a systemd unit, or start a container "
        "with `--ulimit rtprio=50`"
    )
    assert memory == (
        "memory is not locked: this user may lock 1024 KiB (`ulimit -l`), and all of it takes `unlimited`, lest "
        "later allocations fail. Put `<user> - memlock unlimited` into /etc/security/limits.conf and log in again, "
        "or LimitMEMLOCK=infinity into a systemd unit, or start a container with `--ulimit memlock=-1`"
    )
    for line in (priority, memory):
        assert f"WARNING pycrust: unprivileged: {line}" in outcome.stderr


class Cycle:
    """What only the collector frees."""

    def __init__(self) -> None:
        self.own = self


def litter(count: int = 2_000) -> None:
    for _ in range(count):
        Cycle()


class Collector:
    """Notes whether each run of the collector began in a handler."""

    def __init__(self) -> None:
        self.in_handlers: list[bool] = []

    def __call__(self, phase: str, _info: object) -> None:
        if phase == "start":
            self.in_handlers.append(running_call() is not None)


@pytest.fixture
def collector() -> Iterator[Collector]:
    noting = Collector()
    gc.callbacks.append(noting)
    yield noting
    gc.callbacks.remove(noting)


@pytest.mark.parametrize("realtime", [RealTime(), RealTime(collect_between_calls=False), None])
def test_the_collector_runs_between_calls(endpoint, collector, realtime):
    spares = realtime is not None and realtime.collect_between_calls
    last = []

    @endpoint.register
    def litters() -> bool:
        litter()
        last.append(weakref.ref(Cycle()))
        return gc.isenabled()

    with RpcClientOf(endpoint, realtime) as client:
        assert gc.get_freeze_count() > 0 if spares else gc.get_freeze_count() == 0
        assert [client.call("litters") for _ in range(30)] == [not spares] * 30
        assert gc.isenabled(), "between calls"
        assert (True in collector.in_handlers) is not spares
        if realtime is not None:
            collected = endpoint.stats()["realtime"]["collections"]
            assert (sum(collected) > 0) is spares
        if spares:
            wait_until(lambda: last[-1]() is None, "what the last call has left behind")
    assert (gc.isenabled(), gc.get_freeze_count()) == (True, 0)


def test_steps_of_generators_and_batches_are_spared(endpoint, collector):
    from pycrust import Batch

    @endpoint.register
    def steps():
        for _ in range(20):
            litter()
            yield gc.isenabled()

    @endpoint.register(batch=Batch(max_size=4, max_wait_us=0))
    def batched(items: list[int]) -> list[bool]:
        litter()
        return [gc.isenabled() for _ in items]

    with RpcClientOf(endpoint, RealTime()) as client:
        assert list(client.stream("steps")) == [False] * 20
        assert client.call("batched", 1) is False
        assert gc.isenabled()
        assert True not in collector.in_handlers


def test_a_collector_that_is_off_stays_off(endpoint, collector):
    endpoint.register("litters")(litter)
    gc.disable()
    try:
        with RpcClientOf(endpoint, RealTime()) as client:
            for _ in range(5):
                client.call("litters", 2_000)
            assert (gc.isenabled(), gc.get_freeze_count(), collector.in_handlers) == (False, 0, [])
    finally:
        gc.enable()


def test_a_replaced_model_is_freed_though_it_was_frozen(endpoint):
    slot = endpoint.model("policy", load=Cycle)
    first = slot.apply(weakref.ref)
    with RpcClientOf(endpoint, RealTime()):
        assert gc.get_freeze_count() > 0
        slot.reload().result()
        gc.collect()
        assert first() is not None, "the collector does not look at it"
        wait_until(lambda: first() is None, "the slot to look for whoever holds it")
        wait_until(gc.get_freeze_count, "what is left to be frozen again")
