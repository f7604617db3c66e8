from __future__ import annotations

import datetime as dt
import time
from types import SimpleNamespace

from pycrust.jupyter.view.events import Timeline
from pycrust.jupyter.view.history import History


def stats(*methods: dict, **more: object) -> dict:
    return {"endpoint": "calculator", "methods": list(methods), **more}


def method(name: str, version: int, by_code: object = ()) -> dict:
    return {"name": name, "version": version, "by_code": by_code}


def told(log: Timeline) -> list[tuple[str, str, str]]:
    return [(kind, text, mark) for _, _, kind, text, mark in log.fresh()]


def test_swaps_are_noticed_from_the_second_look_on() -> None:
    log = Timeline()
    log.look(stats(method("add", 3)), 1000)
    assert told(log) == []
    log.look(stats(method("add", 4), method("mul", 1)), 1200)
    assert told(log) == [("swap", "add v3 → v4", "add v4"), ("method", "mul v1 added", "")]
    log.look(stats(method("mul", 1)), 1400)
    assert told(log) == [("method", "add removed", "add removed")]
    assert told(log) == []


def test_errors_that_go_on_are_one_line() -> None:
    log = Timeline()
    log.look(stats(method("add", 1, [(3, 7)])), 1000)
    for count in (9, 12):
        log.look(stats(method("add", 1, [(3, count)])), 2000)
    assert told(log) == [("error", "5 × add v1: INVALID_ARGUMENT", "")]  # noqa: RUF001
    log.look(stats(method("add", 1, [(3, 13)])), 3000)
    assert told(log) == [("error", "6 × add v1: INVALID_ARGUMENT", "")]  # noqa: RUF001
    log.look(stats(method("add", 1, [(3, 14), (99, 1)])), 60_000)
    assert [text for _, text, _ in told(log)] == [
        "1 × add v1: INVALID_ARGUMENT",  # noqa: RUF001
        "1 × add v1: code 99",  # noqa: RUF001
    ]
    assert len(log.all()) == 3


def test_clients_come_and_go_once() -> None:
    log = Timeline()
    at = time.monotonic_ns()
    came = {"at_ns": at, "connection": 1, "came": True, "pid": 7, "name": "load", "reason": ""}
    went = {**came, "at_ns": at + 5, "came": False, "reason": "process died"}
    log.look(stats(visits=[came]), 1000)
    log.look(stats(visits=[came, went]), 1200)
    assert [text for _, text, _ in told(log)] == [
        "load (pid 7) connected",
        "load (pid 7) disconnected: process died",
    ]
    assert abs(log.all()[0][1] - time.time() * 1000) < 60_000


def test_what_an_endpoint_notes_is_taken_over() -> None:
    now = dt.datetime.now().astimezone()

    def event(number: int, kind: str, version: int, text: str) -> SimpleNamespace:
        return SimpleNamespace(number=number, time=now, kind=kind, subject="add", version=version, text=text)

    events = [event(1, "publish", 1, "calculator.add v1"), event(2, "publish", 2, "calculator.add v1 → v2")]
    events.append(event(3, "refused", 0, "the cell failed"))
    noted = SimpleNamespace(since=lambda number: [one for one in events if one.number > number])
    log = Timeline()
    log.look(stats(method("add", 2)), 1000, noted)
    log.look(stats(method("add", 3)), 1200, noted)
    assert told(log) == [
        ("method", "add v1", ""),
        ("swap", "add v1 → v2", "add v2"),
        ("refused", "the cell failed", ""),
    ]


def test_rates_are_differences_over_a_second_and_a_minute_is_kept() -> None:
    history = History()
    for step in range(400):
        point = history.add(step * 200, step * 10, step, 5, 0)
    assert point == (79_800, 50.0, 5.0, 5, None)
    assert len(history.points()) == 306
    assert history.recent() == [500, 50]
    assert history.add(80_000, 3, 0, 0, 0)[1:] == (None, None, None, None)
