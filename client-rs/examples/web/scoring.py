"""What `web` serves: the cells of a notebook, or a script."""

import sys
import time
from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, Field

from pycrust import RpcEndpoint


class Score(BaseModel):
    """How a text sounds."""

    label: str
    confidence: float


endpoint = RpcEndpoint("scoring")


@endpoint.register
def score(text: Annotated[str, Field(min_length=1)]) -> Score:
    """Judges a text by its exclamation marks."""
    share = text.count("!") / len(text)
    return Score(label="excited" if share else "calm", confidence=1.0 - share)


@endpoint.register
def tokens(prompt: str, count: int = 10, seconds: float = 0.05) -> Iterator[str]:
    """A text, word by word, as a language model writes it."""
    try:
        words = prompt.split()
        for number in range(count):
            yield words[number % len(words)]
            time.sleep(seconds)
    except GeneratorExit:
        print("the reader left", file=sys.stderr, flush=True)
        raise


if __name__ == "__main__":
    endpoint.listen()
