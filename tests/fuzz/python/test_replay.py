"""Every input that fuzzing has found or that failed once, and a fixed batch made of them, through its target."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.python.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
#: Inputs that are made of a corpus, at most, and seconds for them.
MUTATED, SECONDS = 3000, 1.5


def run(target: Callable[[bytes], None], what: str, data: bytes) -> None:
    try:
        target(data)
    except Exception as error:
        error.add_note(f"{what}: {data.hex()}")
        raise


def inputs(name: str) -> list[Path]:
    """The corpus' files, and beside it those that failed once, if any did."""
    corpus = sorted((HERE / "corpora" / name).iterdir())
    assert corpus, "an empty corpus tests nothing"
    return [*corpus, *sorted((HERE / "regressions" / name).glob("*"))]


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_holds(name):
    for path in inputs(name):
        run(TARGETS[name], path.name, path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_made_of_the_corpus_holds(name):
    known = [path.read_bytes() for path in inputs(name)]
    chance = random.Random(1)
    until = time.monotonic() + SECONDS
    for _ in range(MUTATED):
        if time.monotonic() > until:
            break
        run(TARGETS[name], "an input made of them", mutated(chance, known))


def mutated(chance: random.Random, inputs: list[bytes]) -> bytes:
    """An input made of two others."""
    made = bytearray(chance.choice(inputs))
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(made))
        match chance.randrange(5):
            case 0 if at < len(made):
                made[at] = chance.randrange(256)
            case 1 if at < len(made):
                made[at] ^= 1 << chance.randrange(8)
            case 2:
                made.insert(at, chance.randrange(256))
            case 3:
                del made[at : at + chance.randint(0, 8)]
            case _:
                other = chance.choice(inputs)
                begin = chance.randint(0, len(other))
                made[at:at] = other[begin : begin + chance.randint(0, 32)]
    return bytes(made[:4096])
