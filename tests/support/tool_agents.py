"""An agent whose tools take and return one value of each kind."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

from holdfast import Agent, File, ToolContext, ToolError, tool


class Colour(enum.Enum):
    RED = "red"


class Item(BaseModel):
    name: str
    at: datetime | None = None


@dataclass
class Point:
    x: int


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Clerk(Agent):
    """Its tools return one value of each kind."""

    name = "clerk"

    @tool(read_only=True)
    async def text(self, word: str, times: int = 1) -> str:
        """Returns text."""
        return word * times

    @tool(read_only=True)
    def facts(self) -> dict[str, list[int]]:
        """Returns a dict."""
        return {"a": [1, 2]}

    @tool(read_only=True)
    def item(self, at: datetime) -> Item:
        """Returns a model."""
        return Item(name="rope", at=at)

    @tool(read_only=True)
    def items(self) -> list[Item]:
        """Returns models."""
        return [Item(name="rope"), Item(name="tar")]

    @tool(read_only=True)
    def mixed(self, colour: Colour, point: Point) -> tuple[Colour, Point]:
        """Returns an enum and a dataclass."""
        return colour, point

    @tool(read_only=True)
    def later(self, hours: int) -> datetime | None:
        """Returns a time, or nothing."""
        return NOON + timedelta(hours=hours) if hours else None

    @tool(idempotent=True)
    def file(self, context: ToolContext) -> File:
        """Writes a file."""
        context.workspace.mkdir(parents=True, exist_ok=True)
        (context.workspace / "a.txt").write_text(str(context.context["customer"]))
        return File("a.txt")

    @tool(approval="always")
    def pay(self, amount: int) -> str:
        """Pays."""
        return f"paid {amount}"

    @tool(read_only=True)
    def fails(self) -> int:
        """Fails."""
        raise ToolError("there is no rope")
