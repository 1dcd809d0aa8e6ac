"""Tools for HTTP: read a page, save a file, call an API."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from holdfast.agents.tool import Tool, ToolContext, ToolError, tool
from holdfast.errors import AgentDefinitionError
from holdfast.http_access import HostPattern
from holdfast.tools.fetching import DEADLINE, Fetched, Fetcher, WebRequest
from holdfast.tools.web_text import is_text, summary_of, text_of
from holdfast.tools.workspace import Workspace, relative_path, shown
from holdfast.types import ToolResult

SHOWN_CHARS = 50_000  # of a text in one result; some 12,000 tokens
SHOWN_OF_ERROR = 4_000  # characters of the body of an error, such as what an API says about wrong arguments
MAX_FILE_BYTES = 50 * 1024 * 1024  # of a file that is saved
FILE_DEADLINE = 120.0  # seconds for one
CALL_TIMEOUT = 15.0  # seconds that a tool may take beyond the deadline of its request, to read and to save the answer

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ADVICE = {
    400: "the request is not accepted: correct it",
    401: "it is only for people who are signed in, which this tool is not: use another source",
    403: "access is refused: use another source",
    404: "there is nothing at this address: check it, or search for the right one",
    405: "this method is not accepted there",
    410: "the document has been removed: use another source",
    429: "there were too many requests: wait before the next one, or use another source",
}


@tool(read_only=True, timeout=DEADLINE + CALL_TIMEOUT)
async def fetch_url(url: str, start: Annotated[int, Field(ge=0)] = 0, *, context: ToolContext) -> str:
    """Read a web page, a text file or the answer of an API over HTTP (GET).

    The first line of the result has the status, the address after redirects, the type and the size. Pages are shown as
    text with their links; JSON and other text as they are. Of a long text, 50,000 characters are shown.

    Args:
        url: Whole address, which begins with http:// or https://.
        start: The first character to show of a text of which an earlier call has shown the beginning.
        context: Context of the call, with the hosts that may be reached.
    """
    answer = await Fetcher(context.http).fetch(WebRequest(url))
    await _check_status(answer)
    if not is_text(answer):
        raise ToolError(f"{summary_of(answer)} is not text: download_file saves it to the workspace, if you have it")
    return _page(answer, await text_of(answer), start)


@tool(idempotent=True, timeout=FILE_DEADLINE + CALL_TIMEOUT)
async def download_file(url: str, path: str, *, context: ToolContext) -> ToolResult:
    """Save what is at an address of the web to a file of the workspace, as it is. An existing file is replaced.

    Args:
        url: Whole address, which begins with http:// or https://.
        path: File to write, relative to the workspace.
        context: Context of the call, with the workspace.
    """
    file_path = relative_path(path)
    fetcher = Fetcher(context.http, deadline=FILE_DEADLINE, max_bytes=MAX_FILE_BYTES)
    answer = await fetcher.fetch(WebRequest(url))
    await _check_status(answer)
    if not answer.is_whole:
        raise ToolError(f"{url} is larger than {MAX_FILE_BYTES:,} bytes, which is the most that this tool saves")
    await asyncio.to_thread(Workspace.of(context).write, file_path, answer.body)
    return ToolResult(content=f"saved {summary_of(answer)} as {shown(file_path)}", files=[shown(file_path)])


def http_tool(
    *,
    name: str = "http_request",
    description: str | None = None,
    methods: Sequence[str] = ("GET",),
    hosts: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    approval: Literal["never", "always"] | Callable[..., bool | Awaitable[bool]] = "never",
) -> Tool:
    """Returns a tool that sends requests with the methods that you name.

        orders = http_tool(
            name="orders_api",
            methods=["GET", "POST"],
            hosts=["api.shop.example"],
            headers={"Authorization": f"Bearer {os.environ['SHOP_TOKEN']}"},
        )

    With GET alone it is `read_only`. With any other method, a call is never repeated: its outcome is unknown if
    its worker is lost during it. The worker's HTTP_ALLOWED_HOSTS and HTTP_PRIVATE_HOSTS apply to it, too.

    Args:
        name: the tool's name for the model.
        description: what the model is told that it is for.
        methods: of GET, POST, PUT, PATCH and DELETE.
        hosts: the only hosts that it may reach, in the form of HTTP_ALLOWED_HOSTS; none means all.
        headers: sent with each request, such as a token, which the model does not see. They are not sent on to
            another host if the first one redirects.
        approval: whether a person must approve its calls, as with `tool`.

    Raises:
        AgentDefinitionError: an argument is not accepted.
    """
    accepted = _checked_methods(name, methods)
    try:
        only = tuple(map(HostPattern.parse, hosts))
    except ValueError as error:
        raise AgentDefinitionError(f"tool {name!r}: {error}") from None
    sent = dict(headers or {})

    async def request(
        url: str,
        method: str = accepted[0],
        body: str = "",
        content_type: str = "application/json",
        *,
        context: ToolContext,
    ) -> str:
        access = replace(context.http, only=only)
        fields = sent | ({"Content-Type": content_type} if body else {})
        answer = await Fetcher(access).fetch(WebRequest(url, method, fields, body.encode()))
        await _check_status(answer)
        if not is_text(answer):
            return f"{summary_of(answer)}: not shown, as it is not text"
        return _page(answer, await text_of(answer))

    request.__annotations__["method"] = Literal[accepted]
    request.__name__ = request.__qualname__ = name
    request.__module__ = sys._getframe(1).f_globals.get("__name__", __name__)  # noqa: SLF001 - only its process has it
    request.__doc__ = _REQUEST_DOCSTRING
    made: Tool = tool(
        name=name,
        description=description or f"Send an HTTP request ({', '.join(accepted)}) and read the answer.",
        read_only=accepted == ("GET",),
        timeout=DEADLINE + CALL_TIMEOUT,
        approval=approval,
    )(request)
    return made


_REQUEST_DOCSTRING = """Send an HTTP request.

Args:
    url: Whole address, which begins with http:// or https://.
    method: The method.
    body: What to send; empty for nothing.
    content_type: The type of the body.
    context: Context of the call, with the hosts that may be reached.
"""


def _checked_methods(name: str, methods: Sequence[str]) -> tuple[str, ...]:
    if isinstance(methods, str) or not methods or not set(methods) <= set(METHODS):
        raise AgentDefinitionError(f"tool {name!r}: methods={methods!r:.80} must be a list of {', '.join(METHODS)}")
    return tuple(dict.fromkeys(methods))


async def _check_status(answer: Fetched) -> None:
    """Checks that a request succeeded.

    Raises:
        ToolError: it did not; the message has what the server says.
    """
    if answer.status < 400:
        return
    advice = _ADVICE.get(answer.status, "the server has failed: try again later, or use another source")
    if wait := answer.headers.get("retry-after", ""):
        advice += f" (the server asks to wait: {wait:.40})"
    said = (await text_of(answer))[:SHOWN_OF_ERROR].strip() if is_text(answer) else ""
    raise ToolError(f"{summary_of(answer)}: {advice}" + (f"\nThe server says:\n{said}" if said else ""))


def _page(answer: Fetched, text: str, start: int | None = None) -> str:
    """Returns a part of a text for the model; without a `start`, it cannot ask for another part."""
    first = start or 0
    if first and first >= len(text):
        raise ToolError(f"the text has {len(text)} characters; start={first} is beyond its end")
    part, end = text[first : first + SHOWN_CHARS], first + SHOWN_CHARS
    notes = []
    if end < len(text):
        advice = "ask for less" if start is None else f"call again with start={end} for the next ones"
        notes.append(f"(characters {first} to {end} of {len(text)}; {advice})")
    if not answer.is_whole:
        notes.append("(the document is longer, and its rest was not read)")
    return "\n\n".join([summary_of(answer), part or "(no text)", *notes])
