"""The view of `pycrust top`: tables that are filled once a second."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import App
from textual.binding import Binding
from textual.widgets import DataTable, Footer, Input, Static

from pycrust.cli.asking import others
from pycrust.cli.command import safe
from pycrust.cli.numbers import Interval
from pycrust.cli.top import rows
from pycrust.errors import RpcError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.app import ComposeResult

    from pycrust.client import RpcClient

#: Events that are kept.
_EVENTS = 200


class Top(App[None]):
    """An endpoint on the whole screen.

    Args:
        client: Asks the worker.
        own: What this command calls itself, to leave itself out.
        interval: Seconds between two looks.
    """

    TITLE = "pycrust top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #headline { height: auto; max-height: 4; padding: 0 1; }
    #filter { display: none; height: 3; }
    #methods { height: 2fr; border: round $primary; }
    #details { display: none; height: auto; max-height: 14; border: round $accent; padding: 0 1; }
    #clients { height: 1fr; min-height: 4; border: round $primary; }
    #events { height: 1fr; min-height: 4; border: round $primary; }
    """
    BINDINGS: ClassVar = [
        Binding("q", "quit", "quit"),
        Binding("slash", "filter", "filter"),
        Binding("s", "sort", "sort"),
        Binding("space", "pause", "pause"),
        Binding("escape", "close", "close", show=False),
    ]

    def __init__(self, client: RpcClient, own: str, interval: float) -> None:
        """Looks at nothing yet."""
        super().__init__()
        self._client = client
        self._own = own
        self._interval = interval
        self._seen: Interval | None = None
        self._order = rows.ORDERS[0]
        self._filter = ""
        self._paused = False
        self._opened = ""
        self._visits: set[tuple[int, int, bool]] = set()
        self._events: deque[tuple[str, str]] = deque(maxlen=_EVENTS)
        self._wide: bool | None = None

    def compose(self) -> ComposeResult:
        """The tables, one below the other."""
        yield Static("", id="headline", markup=False)
        yield Input(placeholder="a part of the methods' names; Enter keeps it", id="filter")
        yield _table("methods")
        yield Static("", id="details", markup=False)
        yield _table("clients")
        yield _table("events")
        yield Footer()

    async def on_mount(self) -> None:
        """Looks, and goes on looking."""
        _head(self._rows_of("clients"), rows.CLIENTS)
        _head(self._rows_of("events"), ("time", "what happened"))
        self._rows_of("methods").focus()
        await self.look()
        self.set_interval(self._interval, self.look)

    async def look(self) -> None:
        """Asks the worker, and shows what it answers."""
        if self._paused:
            return
        try:
            stats = await self._client.request("pycrust.stats").acall()
            health = await self._client.request("pycrust.health").acall()
        except RpcError as error:
            if self._has_ended:
                return
            self._say(f"{self._client.name}: {error}\nwaiting for a worker")
            return
        if self._has_ended:
            return
        before = self._seen
        self._seen = Interval(before.now if before else stats, stats)
        self._note(stats, first=before is None)
        self._show(health["status"])

    def _rows_of(self, name: str) -> DataTable[Text]:
        """The table of this name."""
        return self.query_one(f"#{name}", DataTable)  # pyright: ignore[reportUnknownVariableType] - of texts, as made

    # Showing ----------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self.query_one("#headline", Static).update(safe(text))

    @property
    def _has_ended(self) -> bool:
        """Whether it ended while the worker was asked."""
        return not self.query("#headline")

    def _note(self, stats: dict[str, Any], *, first: bool) -> None:
        """Adds what has happened since the last look."""
        for told in stats["visits"]:
            key = (told["at_ns"], told["connection"], told["came"])
            if key not in self._visits and told["name"] != self._own:
                self._events.append(rows.visit(told, stats["at_ns"]))
            self._visits.add(key)
        if self._seen is not None and not first:
            at = time.strftime("%H:%M:%S")
            self._events.extend((at, line) for line in self._seen.swaps)

    def _show(self, status: str) -> None:
        seen = self._seen
        if seen is None:
            return
        clients = others(seen.now, self._own)
        self._say(rows.headline(seen, len(clients), status))
        wide = self.size.width >= rows.WIDE_FROM
        table = self._rows_of("methods")
        if wide is not self._wide:
            self._wide = wide
            table.clear(columns=True)
            _head(table, rows.headings(wide=wide))
        found = rows.methods(seen, self._filter, self._order)
        _fill(table, [(one.name, one.cells(wide=wide)) for one in found])
        chosen = f" · filter {self._filter!r}" if self._filter else ""
        table.border_title = f"methods by {self._order}{chosen}{' · paused' if self._paused else ''}"
        _fill(self._rows_of("clients"), [(str(one["connection"]), rows.client(one)) for one in clients])
        newest = list(enumerate(self._events))[::-1]
        _fill(self._rows_of("events"), [(f"{number} {event}", event) for number, event in newest])
        self._show_details(seen)

    def _show_details(self, seen: Interval) -> None:
        panel = self.query_one("#details", Static)
        found = [one for one in rows.methods(seen, "", "name") if one.name == self._opened]
        panel.display = bool(found)
        if found:
            panel.update(safe(rows.details(found[0])))

    # Keys -------------------------------------------------------------------------------------------------

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on a method opens what is known of it, and closes it again."""
        if event.control is self._rows_of("methods"):  # pyright: ignore[reportUnknownMemberType] - as above
            name = str(event.row_key.value)
            self._opened = "" if self._opened == name else name
            if self._seen is not None:
                self._show_details(self._seen)

    def on_resize(self) -> None:
        """As many columns as there is room for."""
        if self._wide is not None and (self.size.width >= rows.WIDE_FROM) is not self._wide:
            self._show("serving")

    def action_filter(self) -> None:
        """Asks for a part of the methods' names."""
        line = self.query_one("#filter", Input)
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filters as it is written."""
        self._filter = event.value
        self._show("serving")

    def on_input_submitted(self) -> None:
        """Keeps the filter, and goes back to the methods."""
        self.query_one("#filter", Input).display = False
        self._rows_of("methods").focus()

    def action_close(self) -> None:
        """Closes the details and takes the filter away."""
        self._opened = ""
        line = self.query_one("#filter", Input)
        line.value = ""
        line.display = False
        self._rows_of("methods").focus()
        self._show("serving")

    def action_sort(self) -> None:
        """Sorts by the next column that there is an order for."""
        self._order = rows.ORDERS[(rows.ORDERS.index(self._order) + 1) % len(rows.ORDERS)]
        self._show("serving")

    def action_pause(self) -> None:
        """Stands still, or goes on."""
        self._paused = not self._paused
        self._show("paused" if self._paused else "serving")


def _table(name: str) -> DataTable[Text]:
    table: DataTable[Text] = DataTable(id=name, cursor_type="row", zebra_stripes=True)
    table.border_title = name
    return table


def _head(table: DataTable[Text], headings: Iterable[str]) -> None:
    """The columns of a table."""
    table.add_columns(*_cells(table, headings))


def _cells(table: DataTable[Any], cells: Iterable[str]) -> list[Text]:
    """The cells of a row: no markup of whoever has sent them, and numbers to the right."""
    left = rows.TEXTS[str(table.id)]
    return [Text(safe(cell), justify="left" if place < left else "right") for place, cell in enumerate(cells)]


def _fill(table: DataTable[Any], wanted: Sequence[tuple[str, Iterable[str]]]) -> None:
    """Puts rows into a table; the row that the cursor is on stays under it."""
    keys = [str(row.value) for row in table.rows]
    texts = [(key, _cells(table, cells)) for key, cells in wanted]
    if keys == [key for key, _ in texts]:
        for row, (_, cells) in enumerate(texts):
            for column, cell in enumerate(cells):
                if table.get_cell_at((row, column)) != cell:  # pyright: ignore[reportArgumentType] - a pair is a coordinate
                    table.update_cell_at((row, column), cell, update_width=True)  # pyright: ignore[reportArgumentType]
        return
    under = keys[table.cursor_row] if 0 <= table.cursor_row < len(keys) else None
    table.clear()
    for key, cells in texts:
        table.add_row(*cells, key=key)
    new = [key for key, _ in texts]
    if under in new:
        table.move_cursor(row=new.index(under))
