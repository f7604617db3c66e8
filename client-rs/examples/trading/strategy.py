"""The strategy that `trading` asks: the cells of a notebook, or a script."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from pycrust import RpcEndpoint


class Tick(BaseModel):
    """The best prices have changed."""

    kind: Literal["tick"]
    symbol: str
    bid: Decimal
    ask: Decimal


class Fill(BaseModel):
    """Somebody traded with our quotes."""

    kind: Literal["fill"]
    symbol: str
    side: Literal["bought", "sold"]
    price: Decimal
    size: int


class Quote(BaseModel):
    """Offer to buy and to sell."""

    action: Literal["quote"] = "quote"
    bid: Decimal
    ask: Decimal
    size: int


class Pull(BaseModel):
    """Offer nothing."""

    action: Literal["pull"] = "pull"
    reason: str


Event = Annotated[Tick | Fill, Field(discriminator="kind")]
Decision = Annotated[Quote | Pull, Field(discriminator="action")]

endpoint = RpcEndpoint("strategy")
WIDTH = Decimal("0.02")


@endpoint.register
def decide(event: Event) -> Decision:
    """Quotes around the middle; after a trade, waits for the next prices."""
    if isinstance(event, Fill):
        return Pull(reason=f"{event.side} {event.size}")
    middle = (event.bid + event.ask) / 2
    return Quote(bid=middle - WIDTH / 2, ask=middle + WIDTH / 2, size=5)


if __name__ == "__main__":
    endpoint.listen()
