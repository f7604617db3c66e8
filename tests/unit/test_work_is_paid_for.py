"""What a few bytes may cost the worker: objects, hashing, and the interpreter while others want it."""

from __future__ import annotations

import itertools
import struct
import threading

import pytest

from pycrust._extension import decode_kept, encode

#: Python's modulus of the hashes of numbers (sys.hash_info.modulus): adding it to an integer changes no hash.
MODULUS = (1 << 61) - 1


def test_keys_that_a_caller_can_make_collide_are_bounded():
    # Eight integers of 64 bits for each hash, so that tuples of six of them have 262,144 with one hash.
    same = [5 + MODULUS * number for number in range(8)]
    tuples = list(itertools.islice(itertools.product(same, repeat=6), 20_000))
    assert len({hash(key) for key in tuples}) == 1
    large = [5 + MODULUS * ((1 << 64) + number) for number in range(65)]
    assert len({hash(key) for key in large}) == 1
    # The maps are put together here: as dictionaries they would cost what they must not cost.
    pairs = b"".join(
        b"\x96" + b"".join(b"\xcf" + struct.pack(">Q", part) for part in key) + b"\xc0" for key in tuples
    )
    for payload in (
        b"\xdf" + struct.pack(">I", len(tuples)) + pairs,
        encode(dict.fromkeys(large)),
        encode([{"deep": dict.fromkeys(large)}]),
    ):
        with pytest.raises(ValueError, match="more than 64 keys of a map have one hash"):
            decode_kept(payload, ())


def test_honest_keys_pass_however_many_they_are():
    grid = {(x, y): x * y for x in range(300) for y in range(300)}
    assert decode_kept(encode(grid), ()) == grid
    large = {(1 << 100) + number: number for number in range(5_000)}
    assert decode_kept(encode(large), ()) == large
    few = dict.fromkeys(5 + MODULUS * ((1 << 64) + number) for number in range(64))
    assert decode_kept(encode(few), ()) == few


def test_a_payload_becomes_no_more_objects_than_the_specification_says():
    most = 8 << 20
    maps = b"\xdd" + struct.pack(">I", most + 1) + b"\x80" * (most + 1)
    with pytest.raises(ValueError, match="more than 8388608 values; many numbers belong in an array"):
        decode_kept(maps, ())
    assert len(decode_kept(b"\xdd" + struct.pack(">I", 1 << 20) + b"\x80" * (1 << 20), ())) == 1 << 20


def test_others_get_the_interpreter_while_much_is_decoded():
    payload = encode(list(range(4_000_000)))
    turns, counted, ended = [0], [], threading.Event()

    def decode() -> None:
        counted.append(turns[0])
        decode_kept(payload, ())
        counted.append(turns[0])
        ended.set()

    thread = threading.Thread(target=decode)
    thread.start()
    while not ended.is_set():
        turns[0] += 1
    thread.join()
    before, after = counted
    assert after > before, "nobody else ran between its first and its last value"
