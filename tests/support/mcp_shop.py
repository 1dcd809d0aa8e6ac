"""An MCP server of the tests: `mcp_shop.py FOLDER stdio|http [PORT]`. What its tools do is in files of the folder."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import mcp_types
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.resolve import Elicit, Resolve
from pydantic import BaseModel
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

FOLDER = Path(sys.argv[1])
shop = MCPServer("shop")

DOT = (  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
READS = mcp_types.ToolAnnotations(read_only_hint=True)
TWICE = mcp_types.ToolAnnotations(idempotent_hint=True, destructive_hint=True)


class Booking(BaseModel):
    """What a customer is asked."""

    day: str
    people: int = 2


class Consent(BaseModel):
    """What is asked before an order."""

    sure: bool


def note(file: str, line: object) -> None:
    """Writes down that something happened."""
    with (FOLDER / file).open("a") as notes:
        notes.write(f"{line}\n")


logging.disable(logging.WARNING)
note("started", os.getpid())


@shop.tool(annotations=READS)
def stock(article: str) -> int:
    """Pieces in stock."""
    note("looked", article)
    return {"rope": 12}.get(article, 0)


@shop.tool(annotations=READS)
async def wait(name: str, ctx: Context[Any, Any]) -> str:
    """Waits until a file exists."""
    note("waits", name)
    try:
        while not (FOLDER / name).exists():
            await ctx.report_progress(1, 2, "waiting")
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        note("cancelled", name)
        raise
    return f"{name} came"


@shop.tool()
async def pay(amount: int) -> str:
    """Pays, and waits until a file exists."""
    note("paid", amount)
    while not (FOLDER / "receipt").exists():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return f"paid {amount}"


@shop.tool(annotations=TWICE)
async def book(name: str, ctx: Context[Any, Any]) -> str:
    """Books a table, and asks in the middle of the call."""
    note("asked", name)
    answer = await ctx.elicit(f"When does {name} come?", Booking)
    if answer.action != "accept":
        return f"{answer.action}: {name} does not come"
    note("booked", f"{name} {answer.data.day} {answer.data.people}")
    return f"booked {answer.data.day} for {answer.data.people}"


def consent(article: str) -> Elicit[Consent]:
    """Asks whether an article is to be ordered."""
    return Elicit(f"Order {article}?", Consent)


@shop.tool()
async def order(article: str, consent: Annotated[Consent, Resolve(consent)]) -> str:
    """Orders an article, after a question."""
    if not consent.sure:
        return "not ordered"
    note("ordered", article)
    return f"ordered {article}"


@shop.tool(name="dotted.name/with a space")
def dotted() -> str:
    """Has a name that models do not accept."""
    return "dotted"


@shop.tool()
def fails() -> str:
    """Fails."""
    raise ValueError("out of rope")


@shop.tool()
def everything() -> list[Any]:
    """Returns content of each kind."""
    return [
        mcp_types.TextContent(text="words"),
        mcp_types.ImageContent(data=DOT, mime_type="image/png"),
        mcp_types.ImageContent(data="aGVsbG8=", mime_type="image/png"),
        mcp_types.EmbeddedResource(
            resource=mcp_types.TextResourceContents(uri="memo://a", mime_type="text/plain", text="a memo")
        ),
        mcp_types.EmbeddedResource(
            resource=mcp_types.BlobResourceContents(uri="memo://b", mime_type="image/gif", blob="aGVsbG8=")
        ),
        mcp_types.ResourceLink(name="more", uri="memo://c"),
    ]


@shop.tool()
def environment() -> dict[str, str]:
    """Returns the environment of the server."""
    return dict(os.environ)


if (FOLDER / "family").exists():  # a child that leaves the group of its parent
    note("started", subprocess.Popen(["sleep", "1000"], start_new_session=True).pid)
if (FOLDER / "new_list").exists():
    shop.remove_tool("stock")


async def serve(port: int) -> None:
    """Serves over HTTP, for those who have the token."""
    import uvicorn

    app = shop.streamable_http_app()

    async def checked(request: Request, call_next: Any) -> Response:
        note("authorizations", request.headers.get("authorization"))
        if request.headers.get("authorization") != "Bearer sesame":
            return JSONResponse({"error": "no token"}, status_code=401)
        answer: Response = await call_next(request)
        return answer

    app.add_middleware(BaseHTTPMiddleware, dispatch=checked)
    served = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    serving = asyncio.create_task(served.serve())
    while not served.started:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    note("serving", port)
    await serving


if __name__ == "__main__":
    if sys.argv[2] == "stdio":
        shop.run("stdio")
    else:
        asyncio.run(serve(int(sys.argv[3])))
