"""What a view lets its user do: replays on versions and functions, a test to paste, rates of recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jupyter.browser import looks
from tests.jupyter.browser.lab import OTHER_KERNEL, Lab, Notebook
from tests.jupyter.browser.service import ADD, SERVE, SHOW, traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

#: Calls with what the Rust load generator can't send: arrays, and arguments as a stream.
CLIENT = "from pycrust import RpcClient\nclient = RpcClient('calculator')"
FUNCTIONS = """\
def subtract(a: int, b: int) -> int:
    return a - b
number = 5"""
CAMERA = """\
import numpy as np
from collections.abc import Iterator

@endpoint.register
def brightest(image: np.ndarray) -> int:
    return int(image.max())

@endpoint.register
def mean(values: Iterator[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)"""
SEE = """\
image = np.zeros((32, 48, 3), "uint8")
image[:, :, 0] = 255
client.call("brightest", image=image)"""
UPLOAD = "client.request('mean').upload([1.0, 2.0, 6.0])"
OFFSET = """\
offset = 1
@endpoint.register()
def shifted(a: int) -> int:
    return a + offset"""
TALK = """\
@endpoint.register()
def talk(word: str) -> str:
    print("said by the handler:", word)
    thread = threading.Thread(target=print, args=("said by its thread:", word))
    thread.start()
    thread.join()
    return word"""


def shown(notebook: Notebook, text: str) -> Locator:
    """Chooses the newest call that says `text`; gives the panel once it shows it."""
    row = notebook.page.get_by_test_id("call-row").filter(has_text=text).first
    row.click()
    detail = notebook.page.get_by_test_id("call-detail")
    key = row.get_attribute("data-key")
    detail.locator(".pycrust-detail-facts", has_text=f"call {key} ").wait_for()
    return detail


def at_all_widths(notebook: Notebook, name: str) -> None:
    """Looks at the view as it is in both themes and three widths."""
    for theme in ("Light", "Dark"):
        notebook.theme(theme)
        notebook.page.locator(f'[data-testid=pycrust-dashboard][data-theme="{theme.lower()}"]').wait_for()
        for width in (1400, 800, 480):
            notebook.page.set_viewport_size({"width": width, "height": 1900})
            notebook.page.wait_for_timeout(600)  # the chart follows its box in the next frames
            notebook.picture(f"{name}-{theme.lower()}-{width}")
            assert looks.outside(notebook) == []
            assert looks.overlapping(notebook) == []
        assert looks.contrast_below(notebook, 4.5) == []
    assert looks.accessibility_faults(notebook) == []
    notebook.page.set_viewport_size({"width": 1400, "height": 1100})


def test_a_call_is_replayed_on_an_earlier_version_and_on_a_function(lab: Lab, rust: Callable) -> None:
    with lab.opened([SERVE, ADD, SHOW, FUNCTIONS]) as notebook:
        for cell in range(4):
            notebook.run(cell)
        notebook.row("add").wait_for()
        notebook.run(1, ADD.replace("a + b", "a * b"))
        notebook.wait(lambda: notebook.row("add").get_attribute("data-version") == "2", "version 2")
        traffic(rust, "--calls", 1, arguments={"a": 3, "b": 4}).finish()
        notebook.wait(lambda: notebook.count("call-row") == 1, "the call")
        detail = shown(notebook, "add")
        on, replay = notebook.page.get_by_test_id("replay-on"), notebook.page.get_by_test_id("replay")
        diff, said = notebook.page.get_by_test_id("replay-diff"), detail.locator(".pycrust-said")

        on.select_option("1")
        replay.click()
        diff.wait_for()
        assert "Another answer from v1" in said.inner_text()
        assert diff.locator('[data-sign="-"]').inner_text().endswith("12")
        assert diff.locator('[data-sign="+"]').inner_text().endswith("7")
        on.select_option("live")
        replay.click()
        notebook.wait(lambda: "The same answer from v2" in said.inner_text(), "the live version's answer")

        function = notebook.page.get_by_test_id("replay-function")
        assert function.is_hidden()
        on.select_option("function")
        assert function.evaluate("field => field === document.activeElement")
        offered = detail.locator("datalist option").evaluate_all("all => all.map(option => option.value)")
        assert offered == ["add", "ping", "subtract"]
        for name, reason in (("subtrakt", "did you mean subtract?"), ("number", "a value of type int")):
            function.fill(name)
            function.press("Enter")
            notebook.wait(lambda reason=reason: reason in said.inner_text(), "why it can't be")
        function.fill("subtract")
        function.press("Enter")
        notebook.wait(lambda: "Another answer from subtract" in said.inner_text(), "the function's answer")
        assert diff.locator('[data-sign="+"]').inner_text().endswith("result: -1")
        at_all_widths(notebook, "replay-on-function")


def test_a_call_is_copied_as_a_test(lab: Lab, rust: Callable) -> None:
    with lab.opened([SERVE, ADD, SHOW]) as notebook:
        for cell in range(3):
            notebook.run(cell)
        notebook.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        notebook.row("add").wait_for()
        traffic(rust, "--calls", 1, arguments={"a": 20, "b": 22}).finish()
        notebook.wait(lambda: notebook.count("call-row") == 1, "the call")
        detail = shown(notebook, "add")
        notebook.page.get_by_test_id("copy-test").click()
        notebook.wait(lambda: "Copied as a test" in detail.inner_text(), "the test to be copied")
        copied = notebook.page.evaluate("navigator.clipboard.readText()")
        assert "def test_" in copied
        assert "42" in copied
        compile(copied, "copied", "exec")
        assert copied == detail.locator("pre").first.text_content()


def test_rates_of_recording_are_set_by_keyboard(lab: Lab, rust: Callable) -> None:
    settings = "s = endpoint.recording.settings; s['on'], s['calls_per_second'], s['slow_ms']"
    with lab.opened([SERVE, ADD, SHOW, settings]) as notebook:
        for cell in range(3):
            notebook.run(cell)
        notebook.row("add").wait_for()
        page = notebook.page
        opens, now = page.get_by_test_id("recording"), page.get_by_test_id("recording-now")
        assert now.is_hidden()
        opens.focus()
        page.keyboard.press("Enter")
        assert "every call up to 2,000 calls/s and 64 MiB/s" in now.inner_text()
        assert opens.get_attribute("aria-expanded") == "true"
        calls = page.get_by_test_id("recording-calls_per_second")
        assert calls.input_value() == "2000"
        page.keyboard.press("Tab")
        assert calls.evaluate("field => field === document.activeElement"), "the fields follow their button"
        page.keyboard.press("Control+a")
        page.keyboard.type("5x")
        page.keyboard.press("Enter")
        said = page.get_by_test_id("recording-said")
        notebook.wait(lambda: "calls a second: '5x' is no number" in said.inner_text(), "what is wrong")
        assert calls.get_attribute("aria-invalid") == "true"
        at_all_widths(notebook, "recording")
        calls.fill("50")
        calls.press("Enter")
        notebook.wait(lambda: "every call up to 50 calls/s" in now.inner_text(), "the new rate")
        assert said.inner_text() == "Applied."
        assert "(True, 50, 10.0)" in notebook.run(3)
        load = traffic(rust)
        notebook.wait(lambda: "recorded" in notebook.view.locator(".pycrust-count").inner_text(), "a sample")
        load.stop()
        page.get_by_test_id("recording-on").uncheck()
        page.get_by_test_id("recording-apply").click()
        notebook.wait(lambda: now.inner_text() == "Recorded: nothing", "recording to be off")
        notebook.run(3, "endpoint.recording(on=True, calls_per_second=2000); None")
        notebook.view.locator(".pycrust-header").click()  # what is being edited is left alone
        notebook.run(3, "endpoint.recording(slow_ms=5); None")
        notebook.wait(lambda: "5 ms and more is slow" in now.inner_text(), "what a cell has changed")
        assert page.get_by_test_id("recording-on").is_checked()


def test_arrays_are_pictures_and_streamed_arguments_are_listed(lab: Lab) -> None:
    with lab.opened([SERVE, CAMERA, SHOW, CLIENT, SEE, UPLOAD, "client.close()"]) as notebook:
        for cell in range(6):
            notebook.run(cell)
        notebook.wait(lambda: notebook.count("call-row") == 2, "the calls")
        detail = shown(notebook, "mean")
        assert "[1, 2, 6]" in detail.inner_text()
        notebook.page.get_by_test_id("replay").click()
        notebook.wait(lambda: "The same answer" in detail.inner_text(), "the stream to be replayed")
        assert "its elements were not recorded" in shown(notebook, "brightest").inner_text()

        notebook.page.get_by_test_id("recording").click()
        arrays = notebook.page.get_by_test_id("recording-max_arrays")
        arrays.fill("64")
        arrays.press("Enter")
        notebook.wait(lambda: "up to 64 KiB a call" in notebook.text("recording-now"), "arrays to be kept")
        notebook.run(4)
        notebook.wait(lambda: notebook.count("call-row") == 3, "the next call")
        detail = shown(notebook, "brightest")
        picture = detail.locator("canvas")
        picture.wait_for()
        assert picture.get_attribute("aria-label") == "Picture of uint8 array, 32 × 48 × 3 · 0 to 255"  # noqa: RUF001
        pixel = "picture => [...picture.getContext('2d').getImageData(5, 5, 1, 1).data]"
        assert picture.evaluate(pixel) == [255, 0, 0, 255]
        assert picture.evaluate("picture => [picture.width, picture.height]") == [48, 32]
        notebook.page.get_by_test_id("replay").click()
        notebook.wait(lambda: "The same answer from v1" in detail.inner_text(), "the replay")
        notebook.picture("inspector-picture")
        notebook.run(6)


def test_a_version_whose_globals_changed_says_so(lab: Lab) -> None:
    with lab.opened([SERVE, OFFSET, SHOW, "offset = 2"]) as notebook:
        for cell in range(3):
            notebook.run(cell)
        chip = notebook.row("shifted").locator(".pycrust-chip")
        chip.wait_for()
        assert (chip.text_content(), chip.get_attribute("title")) == ("v1", None)
        notebook.run(3)
        notebook.wait(lambda: chip.text_content() == "v1*", "the mark")
        assert "Reads offset" in (chip.get_attribute("title") or "")
        assert notebook.row("shifted").get_attribute("data-version") == "1"
        notebook.wait(lambda: "reads offset" in notebook.text("event-log"), "the log to say so")
        notebook.picture("live-view-rebound")
        notebook.run(1, OFFSET.replace("a + offset", "offset + a"))
        notebook.wait(lambda: chip.text_content() == "v2", "the next version")


@pytest.mark.parametrize("kernel", ["python3", OTHER_KERNEL])
def test_what_a_handler_prints_is_with_its_call_and_in_no_cell(lab: Lab, rust: Callable, kernel: str) -> None:
    loop = "for number in range(20):\n    print('said by the cell', number)\n    time.sleep(0.1)"
    with lab.opened([SERVE, TALK, SHOW, loop], kernel=kernel) as notebook:
        for cell in range(3):
            notebook.run(cell)
        notebook.row("talk").wait_for()
        notebook.begin(3)
        notebook.wait(lambda: notebook.busy(3), "the cell to start")
        traffic(rust, "--calls", 5, method="talk", arguments={"word": "hello"}).finish()
        notebook.wait(lambda: notebook.count("call-row") == 5, "the calls")
        printed = shown(notebook, "talk").inner_text()
        assert "said by the handler: hello" in printed
        assert "said by its thread: hello" in printed
        notebook.wait(lambda: not notebook.busy(3), "the cell to end")
        text = "".join(notebook.cell(3).locator(".jp-OutputArea-output").all_text_contents())
        assert "said by the cell 19" in text
        assert "said by the handler" not in text
        assert "said by its thread" not in text
