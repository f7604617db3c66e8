"""The Python side of `market_maker`: where to quote, decided on every change of the book."""

import math

from pydantic import BaseModel, Field

from pycrust import RpcEndpoint

endpoint = RpcEndpoint("quoting")


class Book(BaseModel):
    """What is known when quotes are decided on; prices are in ticks, sizes in lots."""

    at_ns: int = Field(description="Nanoseconds of the market's time.")
    bid_tick: int
    ask_tick: int
    bid_lots: int
    ask_lots: int
    imbalance: float = Field(description="Of the best levels: from -1, all want to sell, to 1.")
    volatility: float = Field(description="Ticks that the middle moves at a change, on average.")
    flow: float = Field(description="Lots bought less lots sold, lately.")
    position: int = Field(description="Lots that we have.")
    our_bid: int | None
    our_ask: int | None


class Quotes(BaseModel):
    """Where to quote; nothing on a side without a price."""

    bid_tick: int | None
    ask_tick: int | None
    lots: int = Field(default=1, ge=0)


HALF_SPREAD = 1.0
MAX_POSITION = 20


@endpoint.register
def quote(book: Book) -> Quotes:
    """Both sides, equally far from the middle, as long as we have not too much."""
    middle = (book.bid_tick + book.ask_tick) / 2
    return Quotes(
        bid_tick=math.floor(middle - HALF_SPREAD) if book.position < MAX_POSITION else None,
        ask_tick=math.ceil(middle + HALF_SPREAD) if book.position > -MAX_POSITION else None,
    )


if __name__ == "__main__":
    endpoint.listen()
