"""Metrics of a worker over HTTP and by the command line, read by Prometheus' own parsers."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from pycrust import RpcClient, RpcEndpoint, Unimplemented
from tests.conftest import ROOT, wait_until
from tests.interop.command_line import PYCRUST, answer, environment, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import Metric

    from tests.conftest import Program

SERVED = """
import os
from pycrust import RpcEndpoint, RpcError, Code
endpoint = RpcEndpoint("metered")

@endpoint.register
def add(a: int, b: int) -> int:
    return a + b

@endpoint.register
def fails(n: int) -> int:
    raise RpcError(Code.NOT_FOUND, "nothing")

endpoint.serve(metrics=0)
print(endpoint.metrics_url, flush=True)
"""
OPEN = "application/openmetrics-text; version=1.0.0"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def get(url: str, path: str = "/metrics", accept: str = "") -> tuple[int, str, str]:
    """Status, type and body."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("GET", path, headers={"Accept": accept} if accept else {})
    response = connection.getresponse()
    found = response.status, response.getheader("Content-Type", ""), response.read().decode()
    connection.close()
    return found


def families(text: str, *, is_open: bool = False) -> dict[str, Metric]:
    read = openmetrics.text_string_to_metric_families if is_open else text_string_to_metric_families
    found = {family.name: family for family in read(text)}
    samples = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in found.values()
        for sample in family.samples
    ]
    assert len(samples) == len(set(samples)), "each value stands there once"
    return found


def scrape(url: str) -> dict[str, Metric]:
    status, _, text = get(url)
    assert status == 200
    return families(text)


def value(found: dict[str, Metric], family: str, sample: str | None = None, **labels: str) -> float:
    """The sum of the samples with these labels."""
    samples = found[family].samples if family in found else []
    return sum(
        one.value for one in samples if one.name == (sample or one.name) and labels.items() <= one.labels.items()
    )


@pytest.fixture
def metered(start: Callable[..., Program]) -> tuple[Program, str]:
    program = start(sys.executable, "-c", f"import sys{SERVED}sys.stdin.read()", stdin=subprocess.PIPE)
    assert program.line().startswith("serving metered")
    return program, program.line()


class TestWhatIsTold:
    def test_it_agrees_with_what_rust_programs_counted(self, metered, call):
        _, url = metered
        told = call("metered", "add", {"a": 1, "b": 2}, calls=700)
        failed = call("metered", "fails", [1], calls=30)
        assert (told["calls"], told["errors"], failed["errors"]) == (700, {}, {"NOT_FOUND": 30})
        found = scrape(url)
        assert value(found, "pycrust_calls", method="add", code="OK", version="1") == 700
        assert value(found, "pycrust_calls", method="add") == 700
        assert value(found, "pycrust_calls", method="fails", code="NOT_FOUND") == 30
        stage = "pycrust_call_stage_seconds"
        assert value(found, stage, f"{stage}_count", stage="handler", method="add") == 700

    def test_it_agrees_with_what_a_rust_client_measured(self, metered):
        _, url = metered
        with RpcClient("metered") as client:
            seen = client.load("add", [1, 2], seconds=60, concurrency=3, calls=900)
            assert (seen["sent"], seen["ok"], seen["unsent"], seen["versions"]) == (900, 900, 0, {1: 900})
            trip, stage = "pycrust_call_duration_seconds", "pycrust_call_stage_seconds"
            wait_until(lambda: value(scrape(url), trip, f"{trip}_count", method="add") == 900, "the measurements")
            found, measured = scrape(url), dict(seen["stages"])
        for name, spread in measured.items():
            family, labels = (trip, {}) if name == "round_trip" else (stage, {"stage": name})
            labels |= {"method": "add"}
            assert value(found, family, f"{family}_count", **labels) == spread["count"] == 900
            total = value(found, family, f"{family}_sum", **labels)
            assert total == pytest.approx(spread["mean_ns"] * 900 / 1e9, rel=0.01)
            buckets = [
                (float(one.labels["le"]), one.value)
                for one in found[family].samples
                if one.name.endswith("_bucket") and labels.items() <= one.labels.items()
            ]
            assert [bound for bound, _ in buckets] == sorted(bound for bound, _ in buckets)
            for quantile, key in ((0.5, "p50_ns"), (0.9, "p90_ns"), (0.99, "p99_ns")):
                at = next(at for at, (_, below) in enumerate(buckets) if below >= quantile * 900)
                least = buckets[at - 1][0] if at else 0.0
                assert least * 0.99 <= spread[key] / 1e9 <= buckets[at][0] * 1.01, (name, key)
        answered = "pycrust_call_answered_seconds"
        parts = sum(spread["mean_ns"] for name, spread in measured.items() if name not in {"round_trip", "return"})
        assert value(found, answered, f"{answered}_sum") == pytest.approx(parts * 900 / 1e9, rel=0.01)

    def test_it_agrees_with_the_statistics(self, metered, call):
        _, url = metered
        call("metered", "add", [1, 2], calls=40)
        call("metered", "fails", [1], calls=7)
        with RpcClient("metered") as client:
            stats, found = client.call("pycrust.stats"), scrape(url)
        for method in stats["methods"]:
            of = {"method": method["name"]}
            assert value(found, "pycrust_calls", **of) == method["calls"]
            assert (
                value(found, "pycrust_calls", **of) - value(found, "pycrust_calls", code="OK", **of)
                == method["errors"]
            )
            assert value(found, "pycrust_method_version", **of) == method["version"]
            assert value(found, "pycrust_calls_in_flight", **of) == method["in_flight"] == 0
        assert value(found, "pycrust_clients") == len(stats["clients"]) == 1
        assert value(found, "pycrust_unknown_method_calls") == stats["unknown_method_calls"]

    def test_both_formats_have_the_same_values(self, metered, call):
        _, url = metered
        call("metered", "add", [1, 2], calls=20)
        with RpcClient("metered") as client:
            client.request("add", traceparent=TRACE).call(3, 4)
        _, kind, text = get(url)
        assert kind == "text/plain; version=0.0.4; charset=utf-8"
        status, kind, is_open = get(url, accept=f"{OPEN},text/plain;version=0.0.4;q=0.5")
        assert (status, kind) == (200, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        plain, opened = families(text), families(is_open, is_open=True)
        told = value(opened, "pycrust_calls", method="add")
        assert told == value(plain, "pycrust_calls", method="add") == 21
        assert opened["pycrust_call_duration_seconds"].unit == "seconds"
        assert set(opened) <= set(plain) | {"pycrust_worker"}
        exemplars = [
            (float(one.labels["le"]), one.exemplar)
            for one in opened["pycrust_call_answered_seconds"].samples
            if one.exemplar is not None
        ]
        ((bound, exemplar),) = exemplars
        assert exemplar.labels == {"trace_id": TRACE.split("-")[1], "span_id": TRACE.split("-")[2]}
        assert 0 < exemplar.value <= bound
        assert "# {" not in text

    def test_health(self, metered):
        _, url = metered
        assert get(url, "/healthz")[::2] == (200, "serving\n")
        status, _, text = get(url, "/else")
        assert (status, "/metrics" in text) == (404, True)

    def test_every_query_of_the_dashboard_finds_its_metric(self, metered):
        _, url = metered
        with RpcClient("metered") as client:
            client.call("add", 1, 2)
            wait_until(lambda: value(scrape(url), "pycrust_call_duration_seconds"), "the client's measurements")
        exported = {sample.name for family in scrape(url).values() for sample in family.samples}
        board = json.loads((ROOT / "docs/grafana.json").read_text())
        queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
        queries += [one["query"] for one in board["templating"]["list"]]
        named = {name for query in queries for name in re.findall(r"\bpycrust_\w+", query)}
        assert len(named) > 20
        assert named <= exported
        assert {name for name in exported if "bucket" in name} <= named | {"pycrust_call_answered_seconds_bucket"}


class TestWhileSomethingElseGoesOn:
    def test_it_answers_while_the_interpreter_is_held(self, start):
        read, write = os.pipe()
        program = start(
            sys.executable,
            "-c",
            f"import sys, ctypes{SERVED}"
            "@endpoint.register\n"
            "def hold(fd: int) -> int:\n"
            "    return ctypes.PyDLL(None).read(fd, ctypes.create_string_buffer(1), 1)\n"
            "sys.stdin.read()",
            stdin=subprocess.PIPE,
            pass_fds=[read],
        )  # fmt: skip
        program.line()
        url = program.line()
        with RpcClient("metered") as client:
            wait_until(lambda: "hold" in {one["name"] for one in client.call("pycrust.methods")}, "the method")
            import threading

            held = threading.Thread(target=client.call, args=("hold", read))
            held.start()
            wait_until(lambda: value(scrape(url), "pycrust_running_calls") == 1, "the call to run")
            with RpcClient("metered") as other:
                late = threading.Thread(target=other.call, args=("add", 1, 2))
                late.start()
                wait_until(
                    lambda: value(scrape(url), "pycrust_calls_in_flight", method="add") == 1, "the call that waits"
                )
                assert get(url, "/healthz")[0] == 200
                assert held.is_alive()
                os.write(write, b"x")
                held.join(60)
                late.join(60)
        os.close(read)
        os.close(write)

    def test_hostile_peers_cost_it_little(self, metered, call):
        program, url = metered
        before = value(scrape(url), "pycrust_worker_open_fds")
        address = (urlsplit(url).hostname, urlsplit(url).port)
        sockets = []
        requests = [b"GET /metrics HT", b"", b"\0" * 1000, b"GET /metrics HTTP/1.1\r\n\r\n"]
        with contextlib.ExitStack() as opened:
            for number in range(300):
                peer = opened.enter_context(socket.create_connection(address, timeout=60))
                with contextlib.suppress(ConnectionError):
                    peer.sendall(requests[number % 4])
                sockets.append(peer)
            endless = opened.enter_context(socket.create_connection(address, timeout=60))
            with contextlib.suppress(ConnectionError):
                for _ in range(10_000):
                    endless.sendall(b"GET /" + b"x" * 4096)
            told = call("metered", "add", [1, 2], calls=200)
            assert (told["calls"], told["errors"]) == (200, {})
            found = scrape(url)
            assert value(found, "pycrust_calls", method="add") == 200
            assert value(found, "pycrust_worker_open_fds") - before < 60
        assert get(url, "/healthz")[0] == 200
        names = [(one / "comm").read_text().strip() for one in Path(f"/proc/{program.pid}/task").iterdir()]
        assert names.count("pycrust-metrics") == 1

    @pytest.mark.parametrize(
        ("request_line", "status"),
        [
            ("POST /metrics HTTP/1.1", 405), ("GET /metrics HTTP/2", 505), ("GET  /metrics HTTP/1.1", 400),
            ("GET /" + "x" * 20_000 + " HTTP/1.1", 431), ("\x01\x02", 400), ("get /metrics HTTP/1.1", 405),
        ],
    )  # fmt: skip
    def test_what_is_no_request(self, metered, request_line, status):
        _, url = metered
        with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=60) as peer:
            peer.sendall(f"{request_line}\r\n\r\n".encode())
            answered = peer.makefile("rb").read().decode()
        assert answered.startswith(f"HTTP/1.1 {status} ")
        assert get(url)[0] == 200


class TestItsLife:
    def threads(self) -> list[str]:
        tasks = Path("/proc/self/task")
        return [
            name for one in tasks.iterdir() if (name := (one / "comm").read_text().strip()) == "pycrust-metrics"
        ]

    def test_it_ends_with_the_endpoint_and_begins_again(self):
        endpoint = RpcEndpoint("metered-life")
        endpoint.serve()
        assert endpoint.metrics_url is None
        endpoint.stop()
        line = endpoint.serve(metrics=0)
        try:
            url = endpoint.metrics_url
            assert url is not None
            assert f"metrics at {url}" in line
            assert url.startswith("http://127.0.0.1:")
            assert get(url)[0] == 200
            assert self.threads() == ["pycrust-metrics"]
            endpoint.serve()  # as it is
            with pytest.raises(ValueError, match="serves already, with metrics='127.0.0.1:0'"):
                endpoint.serve(metrics=1)
        finally:
            endpoint.stop()
        assert endpoint.metrics_url is None
        assert self.threads() == []
        with pytest.raises(ConnectionRefusedError):
            get(url)
        endpoint.serve(metrics=urlsplit(url).netloc)
        try:
            assert endpoint.metrics_url == url
        finally:
            endpoint.stop()

    def test_a_port_that_is_taken(self):
        endpoint = RpcEndpoint("metered-taken")
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(OSError, match=rf'metrics="127.0.0.1:{port}": .*in use.*Give a port'):
                endpoint.serve(metrics=port)
        assert not endpoint.serving
        assert self.threads() == []
        endpoint.serve(metrics=port)
        endpoint.stop()

    @pytest.mark.parametrize("metrics", ["", "here", ":80", "1.2.3.4:x", "::1:80", 70_000, -1])
    def test_what_is_no_address(self, metrics):
        endpoint = RpcEndpoint("metered-nowhere")
        with pytest.raises(ValueError, match="no address to listen at"):
            endpoint.serve(metrics=metrics)
        with pytest.raises(TypeError, match="a port or 'host:port', not bool"):
            endpoint.serve(metrics=True)
        assert not endpoint.serving

    def test_a_forked_child_has_no_part_of_it(self, start):
        program = start(
            sys.executable,
            "-c",
            f"import sys, os{SERVED}"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    sys.stdin.read()\n"
            "    os._exit(0)\n"
            "print(child, flush=True)\n"
            "os.waitpid(child, 0)\n",
            stdin=subprocess.PIPE,
        )  # fmt: skip
        program.line()
        url, child = program.line(), int(program.line())
        assert get(url)[0] == 200
        program.send(signal.SIGKILL)
        program.process.wait()
        assert Path(f"/proc/{child}").exists()
        with pytest.raises(ConnectionRefusedError):
            get(url)
        # Who was killed has left what the next look removes.
        assert run("ls").returncode == 0

    def test_it_goes_with_the_name_to_who_takes_it_over(self, metered, start):
        _, url = metered
        netloc = urlsplit(url).netloc
        other = start(
            sys.executable,
            "-c",
            "import sys\nfrom pycrust import RpcEndpoint\nendpoint = RpcEndpoint('metered')\n"
            f"endpoint.serve(takeover=True, metrics={netloc!r})\nsys.stdin.read()",
            stdin=subprocess.PIPE,
        )
        assert "pid" in other.line()
        start_times = scrape(url)
        assert value(start_times, "pycrust_calls") == 0
        with RpcClient("metered") as client:
            assert client.call("pycrust.health")["pid"] == other.pid


class TestBounds:
    def test_what_comes_from_outside_is_no_label(self):
        endpoint = RpcEndpoint("metered-bounds")
        with endpoint:
            for number in range(40):
                endpoint.register("swapped")(lambda number=number: number)
                with RpcClient("metered-bounds", client_name=f"one-of-many-{number}") as client:
                    client.call("swapped")
                    with pytest.raises(Unimplemented):
                        client.call(f"never-there-{number}")
            with RpcClient("metered-bounds") as client:
                found = json.dumps(client.call("pycrust.metrics"))
                text = answer("metrics", "metered-bounds")
            assert "never-there" not in found
            assert "one-of-many" not in found
            read = families(text)
            versions = {one.labels["version"] for one in read["pycrust_calls"].samples}
            assert versions == {str(number) for number in range(33, 41)}
            assert value(read, "pycrust_unknown_method_calls") == 40
            assert value(read, "pycrust_swaps", method="swapped") == 39
            assert value(read, "pycrust_clients_connected") >= 41

    def test_methods_that_were_removed_are_told_of_for_a_while(self):
        endpoint = RpcEndpoint("metered-removed")
        with endpoint, RpcClient("metered-removed") as client:
            for number in range(70):
                endpoint.register(f"m{number}")(lambda: 1)
                client.call(f"m{number}")
                endpoint.unregister(f"m{number}")
            endpoint.register("uncalled")(lambda: 1)
            endpoint.unregister("uncalled")
            read = families(answer("metrics", "metered-removed"))
        told = {one.labels["method"] for one in read["pycrust_calls"].samples}
        assert told == {f"m{number}" for number in range(6, 70)}
        assert not read["pycrust_method_version"].samples

    def test_names_are_escaped(self):
        endpoint = RpcEndpoint("metered-names")
        name = 'say "hi" \\ {le="1"} \u00e9\u2028'
        endpoint.register(name)(lambda: 1)
        endpoint.serve(metrics=0)
        try:
            with RpcClient("metered-names") as client:
                client.call(name)
            _, _, text = get(endpoint.metrics_url or "")
            assert value(families(text), "pycrust_calls", method=name) == 1
            _, _, text = get(endpoint.metrics_url or "", accept=OPEN)
            assert value(families(text, is_open=True), "pycrust_calls", method=name) == 1
        finally:
            endpoint.stop()

    def test_calls_that_no_handler_ran(self):
        endpoint = RpcEndpoint("metered-refused")
        endpoint.register("typed")(lambda: 1)
        with endpoint, RpcClient("metered-refused") as client:
            client.call("typed")
            from pycrust import DeadlineExceeded

            with pytest.raises(DeadlineExceeded):
                client.call("typed", timeout=1e-9)
            read = lambda: families(answer("metrics", "metered-refused"))  # noqa: E731
            assert value(read(), "pycrust_calls", version="1", code="OK") == 1
            sent = value(read(), "pycrust_calls")
            assert value(read(), "pycrust_calls", version="0", code="DEADLINE_EXCEEDED") == sent - 1


class TestCommand:
    def test_an_endpoint_s(self, metered, call):
        _, url = metered
        call("metered", "add", [1, 2], calls=5)
        printed, scraped = families(answer("metrics", "metered")), scrape(url)
        assert set(printed) == set(scraped) | {"pycrust_endpoint_answered"}
        assert value(printed, "pycrust_calls", method="add", endpoint="metered") == 5
        is_open = families(answer("metrics", "metered", "--format", "openmetrics"), is_open=True)
        assert value(is_open, "pycrust_calls") == 5
        as_json = json.loads(answer("metrics", "metered", "--json"))
        assert "pycrust_calls" in {family["name"] for family in as_json["families"]}

    def test_wrong_usage(self, worker):
        worker(SERVED)
        for arguments, status, said in [
            (["metrics"], 2, "give an endpoint's NAME, or --listen"),
            (["metrics", "nobody"], 3, 'no worker serves "nobody"'),
            (["metrics", "--listen", "x"], 2, "no address to listen at"),
            (["metrics", "metered", "--format", "x"], 2, "openmetrics"),
        ]:
            done = run(*arguments)
            assert (done.returncode, done.stdout) == (status, "")
            assert said in done.stderr

    def test_those_of_all_in_one_place(self, worker, start, call):
        worker(SERVED)
        stuck = worker(SERVED.replace("metered", "metered.stuck"))
        call("metered", "add", [1, 2], calls=4)
        call("metered.stuck", "add", [1, 2], calls=3)
        exporter = start(*PYCRUST, "metrics", "--listen", "0", "--json", cwd=ROOT, env=environment())
        lines = [exporter.line() for _ in range(3)]
        url = json.loads("".join(lines))["url"]
        found = scrape(url)
        assert value(found, "pycrust_calls", endpoint="metered") == 4
        assert value(found, "pycrust_calls", endpoint="metered.stuck") == 3
        assert value(found, "pycrust_endpoint_answered") == 2
        status, _, text = get(url, accept=OPEN)
        assert status == 200
        assert value(families(text, is_open=True), "pycrust_calls") == 7
        stuck.send(signal.SIGSTOP)
        try:
            found = scrape(url)
            assert value(found, "pycrust_endpoint_answered", endpoint="metered.stuck") == 0
            assert value(found, "pycrust_calls") == 4
        finally:
            stuck.send(signal.SIGCONT)
        exporter.send(signal.SIGTERM)
        exporter.finish()
        with pytest.raises(ConnectionRefusedError):
            get(url)

    def test_a_worker_that_lies(self):
        """What another process says is put under its own name, and what is wrong is left out."""
        from pycrust._extension import encode, metrics_text

        series = {"labels": [["endpoint", "other"], ["x", 'a"\n']], "value": 3.0}
        lying = {"families": [
            {"name": "pycrust_calls", "kind": "counter", "help": "h\n# EOF", "series": [series, series]},
            {"name": "no name", "kind": "gauge", "help": "", "series": [series]},
            {"name": "pycrust_endpoint_answered", "kind": "gauge", "help": "", "series": [series]},
            {"name": "h", "kind": "histogram", "help": "", "bounds": [1.0],
             "series": [{**series, "counts": [1] * 9}]},
        ]}  # fmt: skip
        text = metrics_text([("liar", encode(lying)), ("torn", encode(lying)[:-9]), ("nil", encode(None))])
        read = families(text)
        assert [one.labels for one in read["pycrust_calls"].samples] == [{"endpoint": "liar", "x": 'a"\n'}]
        answered = {one.labels["endpoint"]: one.value for one in read["pycrust_endpoint_answered"].samples}
        assert answered == {"liar": 1, "torn": 0, "nil": 0}
