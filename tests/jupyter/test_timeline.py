from __future__ import annotations

import time

from pycrust.jupyter.view.minute import History
from pycrust.jupyter.view.timeline import Timeline
from pycrust.versions.events import EventLog


def stats(*methods: dict, **more: object) -> dict:
    return {"endpoint": "calculator", "methods": list(methods), **more}


def method(name: str, version: int, by_code: object = ()) -> dict:
    return {"name": name, "version": version, "by_code": by_code}


def told(log: Timeline) -> list[tuple[str, str, list[str]]]:
    return [(kind, text, marks) for _, _, kind, text, marks, _ in log.fresh()]


def parts(log: Timeline) -> list[list[str]]:
    return [[text for _, text in row[5]] for row in log.all()]


def test_errors_of_a_method_and_code_are_one_line_with_its_bursts() -> None:
    log = Timeline()
    log.look(stats(method("add", 1, [(3, 7)])), 1000)
    for count in (9, 12):
        log.look(stats(method("add", 1, [(3, count)])), 2000)
    log.tell(2000)
    assert told(log) == [("error", "5 × add v1: INVALID_ARGUMENT", [])]  # noqa: RUF001
    log.look(stats(method("add", 1, [(3, 13)])), 5000)
    log.tell(5000)
    assert told(log) == [("error", "6 × add v1: INVALID_ARGUMENT", [])]  # noqa: RUF001
    log.look(stats(method("add", 1, [(3, 14), (99, 1)])), 60_000)
    log.tell(60_000)
    assert [text for _, text, _ in told(log)] == [
        "7 × add v1: INVALID_ARGUMENT",  # noqa: RUF001
        "1 × add v1: code 99",  # noqa: RUF001
    ]
    assert parts(log) == [["6 in 3 s", "1"], []], "when its errors came"
    assert [at for at, *_ in log.all()[0][5]] == [2000, 60_000]
    log.look(stats(method("add", 2, [(3, 15)])), 60_100)
    log.tell(61_000)
    assert [text for _, text, _ in told(log)] == ["1 × add v2: INVALID_ARGUMENT"], "another version's"  # noqa: RUF001


def test_no_more_than_one_line_a_second_is_new_and_none_is_lost() -> None:
    log = Timeline()
    names = [f"m{number}" for number in range(41)]
    log.look(stats(*(method(name, 1) for name in names)), 1000)
    lines = []
    for step in range(1, 61 * 5):
        at = 1000 + 200 * step
        log.look(stats(*(method(name, 1, [(2, step * (place + 1))]) for place, name in enumerate(names))), at)
        log.tell(at)
        lines.append({row[0]: row[3] for row in log.fresh()})
    seen: set[int] = set()
    for second in range(0, 60 * 5, 5):
        new = set().union(*lines[second : second + 5]) - seen
        assert len(new) <= 1
        seen |= new
    assert len(seen) == 41
    assert lines[0] == {1: "41 × m40 v1: UNKNOWN"}, "the most numerous first"  # noqa: RUF001
    assert lines[-1][41] == "304 × m0 v1: UNKNOWN"  # noqa: RUF001


def visit(name: str, connection: int, at: int, *, came: bool = True, reason: str = "") -> dict:
    return {"at_ns": at, "connection": connection, "came": came, "pid": 7, "name": name, "reason": reason}


def test_clients_come_and_go_once() -> None:
    log = Timeline()
    at = time.monotonic_ns()
    came, went = visit("load", 1, at), visit("load", 1, at + 5, came=False, reason="process died")
    log.look(stats(visits=[came]), 1000)
    log.tell(1000)
    log.look(stats(visits=[came, went]), 1200)
    log.tell(1200)
    assert [text for _, text, _ in told(log)] == ["load (pid 7) connected"]
    log.tell(2000)
    assert [text for _, text, _ in told(log)] == ["load (pid 7) disconnected: process died"]
    assert abs(log.all()[0][1] - time.time() * 1000) < 60_000


def test_many_clients_at_once_are_one_line() -> None:
    log = Timeline()
    at = time.monotonic_ns()
    visits = [visit(f"c{number}", number + 1, at + number) for number in range(15)]
    log.look(stats(visits=[*visits, visit("c0", 1, at + 20, came=False)]), 1000)
    log.look(stats(method("add", 1, [(3, 1)])), 1000)
    log.tell(1000)
    assert told(log) == [("client", "16 clients: 15 connected, 1 disconnected", [])]
    assert parts(log)[0][0] == "c0 (pid 7) connected"
    log.tell(2000)
    assert told(log) == [("error", "1 × add v1: INVALID_ARGUMENT", [])]  # noqa: RUF001


def test_what_an_endpoint_notes_is_taken_over() -> None:
    noted, log = EventLog(), Timeline()
    noted.add("publish", "add", 1, "calculator.add v1")
    noted.add("publish", "add", 2, "calculator.add v1 → v2")
    log.look_at_notes(noted, "calculator")
    noted.add("refused", "add", 0, "the cell failed")
    noted.add("remove", "add", 3, "calculator.add removed")
    log.look_at_notes(noted, "calculator")
    assert told(log) == [
        ("method", "add v1", []),
        ("swap", "add v1 → v2", ["add v2"]),
        ("refused", "the cell failed", []),
        ("method", "add removed", ["add removed"]),
    ]
    assert told(log) == []


def test_what_a_cell_does_to_several_methods_is_one_line() -> None:
    noted, log = EventLog(), Timeline()
    for name in "abcde":
        noted.add("publish", name, 2, f"calculator.{name} v1 → v2")
    log.look_at_notes(noted, "calculator")
    assert told(log) == [
        ("swap", "5 changes: a v1 → v2, b v1 → v2, c v1 → v2 and 2 more", ["a v2", "b v2", "c v2", "d v2", "e v2"]),
    ]
    assert parts(log) == [[f"{name} v1 → v2" for name in "abcde"]]


def test_rates_are_differences_over_a_second_and_a_minute_is_kept() -> None:
    history = History()
    for step in range(400):
        point = history.add(step * 200, step * 10, step, 5, 0)
    assert point == (79_800, 50.0, 5.0, 5, None)
    assert len(history.points()) == 306
    assert history.recent() == [500, 50]
    assert history.add(80_000, 3, 0, 0, 0)[1:] == (None, None, None, None)
