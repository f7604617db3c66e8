from __future__ import annotations

import time

from pycrust.jupyter.view.minute import History
from pycrust.jupyter.view.timeline import Timeline
from pycrust.versions.events import EventLog


def stats(*methods: dict, **more: object) -> dict:
    return {"endpoint": "calculator", "methods": list(methods), **more}


def method(name: str, version: int, by_code: object = ()) -> dict:
    return {"name": name, "version": version, "by_code": by_code}


def told(log: Timeline) -> list[tuple[str, str, str]]:
    return [(kind, text, mark) for _, _, kind, text, mark in log.fresh()]


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
    noted, log = EventLog(), Timeline()
    noted.add("publish", "add", 1, "calculator.add v1")
    noted.add("publish", "add", 2, "calculator.add v1 → v2")
    log.look_at_notes(noted, "calculator")
    noted.add("refused", "add", 0, "the cell failed")
    noted.add("remove", "add", 3, "calculator.add removed")
    log.look_at_notes(noted, "calculator")
    assert told(log) == [
        ("method", "add v1", ""),
        ("swap", "add v1 → v2", "add v2"),
        ("refused", "the cell failed", ""),
        ("method", "add removed", "add removed"),
    ]
    assert told(log) == []


def test_rates_are_differences_over_a_second_and_a_minute_is_kept() -> None:
    history = History()
    for step in range(400):
        point = history.add(step * 200, step * 10, step, 5, 0)
    assert point == (79_800, 50.0, 5.0, 5, None)
    assert len(history.points()) == 306
    assert history.recent() == [500, 50]
    assert history.add(80_000, 3, 0, 0, 0)[1:] == (None, None, None, None)
