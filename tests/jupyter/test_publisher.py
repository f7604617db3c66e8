"""The view's messages, from a real kernel to a client that speaks for a browser."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernels import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernels import Kernel

SERVE = """\
import threading
from pycrust import RpcEndpoint
from pycrust.jupyter.widget import LiveView
endpoint = RpcEndpoint("calculator")
@endpoint.register()
def ping(): return "pong"
line = endpoint.serve()
view = LiveView(endpoint)
print(view.model_id)"""
THREADS = "print([thread.name for thread in threading.enumerate() if thread.name == 'pycrust-view'])"


class Browser:
    """Says what a view says, hears what it hears."""

    def __init__(self, kernel: Kernel, model: str, view: str = "one") -> None:
        self.kernel, self.model, self.view = kernel, model, view

    def say(self, kind: str | None, **more: object) -> None:
        content = {
            "comm_id": self.model,
            "data": {"method": "custom", "content": {"kind": kind, "view": self.view, **more}},
        }
        session = self.kernel.client.session
        self.kernel.client.shell_channel.send(session.msg("comm_msg", content))

    def hear(self, wanted: Callable[[dict[str, Any]], bool]) -> tuple[dict[str, Any], Any]:
        """The next message to this view that is `wanted`; what comes before it is dropped."""
        while True:
            message = self.kernel.client.get_iopub_msg(timeout=PATIENCE)
            if message["msg_type"] != "comm_msg" or message["content"]["comm_id"] != self.model:
                continue
            content = message["content"]["data"].get("content", {})
            if wanted(content):
                return content, message["buffers"]

    def next(self, kind: str) -> dict[str, Any]:
        return self.hear(lambda content: content.get("kind") == kind)[0]


@pytest.fixture
def browser(kernel: Kernel) -> Browser:
    return Browser(kernel, kernel.run(SERVE).split()[-1])


def test_hello_is_answered_by_a_snapshot_and_numbered_updates(kernel: Kernel, browser: Browser) -> None:
    browser.say("hello")
    snapshot = browser.next("snapshot")
    assert (snapshot["endpoint"], snapshot["names"], snapshot["serving"]) == ("calculator", ["ping"], True)
    assert len(snapshot["rows"][0]) == 16
    assert snapshot["pid"] == kernel.pid
    numbers = [browser.next("update")["seq"] for _ in range(5)]
    assert numbers == list(range(snapshot["seq"] + 1, snapshot["seq"] + 6))


def test_updates_name_only_what_changed(kernel: Kernel, browser: Browser) -> None:
    kernel.run("@endpoint.register()\ndef pong(): return 'ping'")
    browser.say("hello")
    assert browser.next("snapshot")["names"] == ["ping", "pong"]
    update = browser.next("update")
    assert update["rows"] == []
    assert len(json.dumps(update)) < 250
    kernel.begin("@endpoint.register()\ndef pong(): return 'ping, again'")
    changed = browser.hear(lambda content: bool(content.get("rows")))[0]
    assert [row[:2] for row in changed["rows"]] == [[1, 2]]
    kernel.begin("@endpoint.register()\ndef another(): return 1")
    assert browser.next("snapshot")["names"] == ["another", "ping", "pong"]


def test_the_front_end_is_a_message_not_a_part_of_the_state(browser: Browser) -> None:
    browser.say("code")
    _, buffers = browser.hear(lambda content: content.get("kind") == "code")
    assert bytes(buffers[0]).startswith(b"// Built by")


HOLD = "import ctypes; ctypes.PyDLL(None).usleep(1_500_000)"
HOLD_AT_WORK = """\
import ctypes
glance = endpoint.glance
def held():
    endpoint.glance = glance
    ctypes.PyDLL(None).usleep(1_500_000)
    return glance()
endpoint.glance = held"""


@pytest.mark.parametrize("cell", [HOLD, HOLD_AT_WORK], ids=["asleep", "at work"])
def test_the_log_says_that_the_interpreter_was_held(kernel: Kernel, browser: Browser, cell: str) -> None:
    browser.say("hello")
    browser.next("update")
    kernel.begin(cell)
    browser.hear(lambda content: re.search(r"the interpreter was held for \d", json.dumps(content)))


SOON = "from pycrust.jupyter.view import publisher; publisher.SILENCE_S = publisher.GRACE_S = 0.5"


@pytest.mark.parametrize("how", ["goodbye", "close", "stop", "silence"])
def test_no_thread_while_nobody_looks(kernel: Kernel, browser: Browser, how: str) -> None:
    assert "[]" in kernel.run(THREADS)
    browser.say("hello")
    browser.next("update")
    assert "['pycrust-view']" in kernel.run(THREADS)
    if how == "goodbye":
        browser.say("goodbye")
    elif how == "close":
        kernel.run("view.close()")
    elif how == "silence":
        kernel.run(SOON)
    else:
        kernel.run("endpoint.stop()")
    while "[]" not in kernel.run(THREADS):
        pass


def test_updates_go_on_while_a_cell_is_busy_and_views_cannot_be_heard(kernel: Kernel, browser: Browser) -> None:
    browser.say("hello")
    first = browser.next("snapshot")["seq"]
    # In the busy cell itself: before it, a slow machine could let the view be silent for too long.
    kernel.begin(f"{SOON}\nthreading.Event().wait(3)")
    assert [browser.next("update")["seq"] for _ in range(10)] == list(range(first + 1, first + 11))


def test_two_views_share_one_thread(kernel: Kernel, browser: Browser) -> None:
    other = Browser(kernel, kernel.run("other = LiveView(endpoint); print(other.model_id)").split()[-1], "two")
    for each in (browser, other):
        each.say("hello")
        each.next("snapshot")
    assert "['pycrust-view']" in kernel.run(THREADS)
    browser.say("goodbye")
    other.next("update")
    assert "['pycrust-view']" in kernel.run(THREADS)


def test_a_view_that_outlives_a_stop_goes_on_when_the_endpoint_serves_again(
    kernel: Kernel, browser: Browser
) -> None:
    browser.say("hello")
    browser.next("update")
    kernel.run("endpoint.stop()")
    while "[]" not in kernel.run(THREADS):
        pass
    kernel.run("line = endpoint.serve()")
    browser.say("alive")
    browser.next("update")
    assert "['pycrust-view']" in kernel.run(THREADS)


def test_an_endpoint_shown_again_is_the_same_view(kernel: Kernel, browser: Browser) -> None:
    shown = "data, metadata = endpoint._repr_mimebundle_()\nprint(data['application/vnd.jupyter.widget-view+json'])"
    first = kernel.run(shown)
    assert kernel.run(shown) == first
    assert browser.model not in first  # a view that a user makes is their own


def test_nonsense_from_a_view_is_ignored(kernel: Kernel, browser: Browser) -> None:
    for kind in ("", "x" * 10_000, "hello\0", None):
        browser.say(kind)
    browser.say("hello")
    browser.next("snapshot")
    assert "2" in kernel.run("print(1 + 1)")


def test_a_notebook_keeps_at_most_4_kb_of_a_view(kernel: Kernel, browser: Browser) -> None:
    kernel.run("for n in range(60): endpoint.register('m' * 200 + str(n))(lambda: None)")
    assert browser.model
    sizes = kernel.run(
        "import json\n"
        "data, metadata = view._repr_mimebundle_()\n"
        "state = [view.get_state(), view.layout.get_state()]\n"
        "print(len(json.dumps([data, metadata, state], default=str).encode()), sorted(data))"
    )
    assert int(sizes.split()[0]) <= 4096
    assert "text/html" in sizes
    assert "widget-view" in sizes


def test_a_view_that_watches_is_told_of_calls_and_a_paused_one_is_not(kernel: Kernel, browser: Browser) -> None:
    kernel.run("from pycrust import RpcClient\nclient = RpcClient('calculator')\nclient.call('ping')")
    browser.say("hello")
    browser.say("watch", to=7, filter="ping")
    calls = browser.next("calls")
    assert (calls["view"], calls["to"], [row[1] for row in calls["rows"]]) == ("one", 7, ["ping"])
    kernel.begin("client.call('ping')")
    lists = browser.hear(lambda content: len(content.get("lists", [{}])[0].get("rows", ())) == 2)[0]["lists"]
    assert lists[0]["summary"].startswith("last 2 of 2 kept")
    assert [row[:4] for row in lists[0]["rows"]] == [["2", "ping", 1, "OK"], ["1", "ping", 1, "OK"]]
    browser.say("watch", to=7, filter="ping >5")
    assert browser.next("calls")["wrong"]["position"] == 6
    browser.say("call", to=7, call="1")
    assert browser.next("call")["call"]["result"]["rows"] == [[0, "", "'pong'"]]
    browser.say("call", to=7, call="99")
    assert "no longer kept" in browser.next("call")["gone"]
    browser.say("replay", to=7, call="1", on="live")
    assert "The same answer from v1" in browser.next("replayed")["said"]
    browser.say("test", to=7, call="1")
    assert "def test_" in browser.next("test")["code"]
    browser.say("interrupt", to=7, call="1")
    assert "ended already" in browser.next("interrupted")["said"]
    browser.say("watch", to=7, paused=True)
    kernel.run("client.call('ping')\nclient.close()")
    assert all("lists" not in browser.next("update") for _ in range(5))


def test_rates_of_recording_are_shown_and_set(kernel: Kernel, browser: Browser) -> None:
    browser.say("hello")
    known = browser.next("snapshot")["recording"]
    assert (known["on"], known["calls_per_second"], known["bytes_per_second"], known["slow_ms"]) == (
        True,
        2000,
        64,
        10,
    )
    browser.say("record", to=7, settings={"calls_per_second": 500, "bytes_per_second": 0.5, "slow_ms": 2.5})
    done = browser.next("recording")
    assert "every call up to 500 calls/s and 0.5 MiB/s" in done["recording"]["text"]
    assert (
        browser.hear(lambda content: content.get("recording", known) != known)[0]["recording"] == done["recording"]
    )
    names = "on", "calls_per_second", "bytes_per_second", "slow_ms"
    shown = f"print(*[endpoint.recording.settings[name] for name in {names}])"
    assert kernel.run(shown).split() == ["True", "500", str(1 << 19), "2.5"]
    wrong: list[tuple[object, str, str]] = [
        ({"calls_per_second": "many", "on": False}, "calls_per_second", "'many' is no number"),
        ({"calls_per_second": 0}, "calls_per_second", "from 1 to 10,000,000, not 0"),
        ({"slow_ms": -1}, "slow_ms", "from 0"),
        ({"bytes_per_second": True}, "bytes_per_second", "no number"),
        ("nonsense", "", "no settings"),
    ]
    for settings, field, reason in wrong:
        browser.say("record", to=7, settings=settings)
        refused = browser.next("recording")
        assert (refused["field"], reason in refused["wrong"]) == (field, True), refused
    assert kernel.run(shown).split()[:2] == ["True", "500"]
    browser.say("record", to=7, settings={"on": False})
    assert browser.next("recording")["recording"]["text"] == "nothing"
    kernel.run("endpoint.recording.resume()")
    browser.hear(lambda content: content.get("recording", {}).get("on") is True)


def test_a_call_is_made_again_on_a_function_of_the_notebook(kernel: Kernel, browser: Browser) -> None:
    kernel.run(
        "from pycrust import RpcClient\nclient = RpcClient('calculator')\nclient.call('ping')\nclient.close()\n"
        "def pang(): return 'pang'\nnumber = 5\nruns = []\ndef fails(): runs.append(1) or 1 / 0"
    )
    browser.say("watch", to=7, filter="")
    browser.next("calls")
    browser.say("call", to=7, call="1")
    shown = browser.next("call")["call"]
    assert shown["targets"] == [["live", "the live version"], ["function", "a function of yours"]]
    assert shown["functions"] == ["fails", "pang", "ping"]
    browser.say("replay", to=7, call="1", on="function", function="pang")
    again = browser.next("replayed")
    assert again["said"].startswith("Another answer from pang, in ")
    assert "on v1 now" in again["said"]
    assert again["diff"] == [["-", "result: 'pong'"], ["+", "result: 'pang'"]]
    browser.say("replay", to=7, call="1", on="function", function="fails")
    assert ["+", "type: 'ZeroDivisionError'"] in browser.next("replayed")["diff"]
    assert kernel.run("print(runs)") == "[1]\n"
    for name, reason in (
        ("pagn", "did you mean pang?"), ("nothing", "run the cell that defines it"), ("number", "type int"),
        ("quit", "a function is needed"), ("", "Write the name"), ("__import__('os').abort()", "knows no"),
    ):  # fmt: skip
        browser.say("replay", to=7, call="1", on="function", function=name)
        assert reason in browser.next("failed")["said"]


def test_a_version_whose_globals_changed_is_marked(kernel: Kernel, browser: Browser) -> None:
    kernel.run("offset = 1\n@endpoint.register()\ndef add(a: int) -> int: return a + offset")
    browser.say("hello")
    assert browser.next("snapshot")["rebound"] == {}
    kernel.begin("offset = 2")
    assert browser.hear(lambda content: content.get("rebound"))[0]["rebound"] == {"add": ["offset"]}
    kernel.begin("@endpoint.register()\ndef add(a: int) -> int: return offset + a")
    assert browser.hear(lambda content: content.get("rebound") == {})[0]


def test_without_the_widget_there_is_a_table(kernel: Kernel) -> None:
    kernel.run(SERVE)
    forms = kernel.run("import sys\nsys.modules['anywidget'] = None\nprint(sorted(endpoint._repr_mimebundle_()))")
    assert "text/html" in forms
    assert "widget" not in forms
