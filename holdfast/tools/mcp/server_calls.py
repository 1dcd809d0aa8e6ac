"""The calls of a connected server, and the questions that it asks meanwhile."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import mcp_types
from mcp import Client, MCPError
from mcp.client.session import ClientRequestContext

from holdfast._util.logger import get_logger
from holdfast.agents.tool import CallLost, CallNotHeld, ToolError
from holdfast.elicitation import ServerAnswer
from holdfast.errors import MCPServerUnavailable
from holdfast.tools.mcp.calls import ListedTool, NotSent, OpenCall, ServerCall
from holdfast.tools.mcp.http_errors import LOST, NOT_SENT
from holdfast.tools.mcp.protocol import asked, checked_state, in_protocol, listed, question_of, responses_of
from holdfast.tools.mcp.results import result_of
from holdfast.types import ToolResult

log = get_logger(__name__)

END_TIMEOUT = 8.0  # seconds until a server has been told that a call is cancelled
MAX_HELD = 64  # calls that wait for an answer; the oldest is cancelled
HELD_FOR = 7 * 86_400.0  # seconds for which a call is kept open for an answer
UNCLEAR_FOR = 30.0  # seconds for which a question waits until it is clear which call asks it
UNCLEAR_PAUSE = 0.1  # seconds between two looks
STATE_PAUSE = 0.25  # seconds before a call is continued that needs only time
STATE = "requeststate"
NO_BACK_CHANNEL = "back-channel"
LEGACY = 'pass protocol="legacy" to MCPServer: its tools ask in the middle of a call'


_current: ContextVar[OpenCall | None] = ContextVar("current", default=None)
"""The call to which a message of the server belongs; over HTTP, what follows from a request has its context."""


def _is_forgotten(error: MCPError) -> bool:
    """Whether a server no longer knows what it wanted to be told again, so that the call begins anew: it is a request
    without memory, which has not been performed yet.
    """
    return error.code == mcp_types.INVALID_PARAMS and STATE in f"{error.message} {error.data}".lower().replace("_", "")


class ServerCalls:
    """Makes calls, side by side, in the task of a connection.

    Args:
        name: of the server.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tools: list[ListedTool] = []
        self._open: dict[OpenCall, None] = {}
        """Calls that the server works on, oldest first."""
        self._held: dict[str, OpenCall] = {}
        """Those that wait for an answer while no activity waits for them, by their key."""
        self._asks_unnamed = False
        """Whether the server asks questions that do not tell in which call."""

    async def tools(self, client: Client) -> list[ListedTool]:
        """Returns the server's tools as it lists them now.

        Raises:
            MCPServerUnavailable: it does not list them.
        """
        try:
            self._tools = await listed(client)
        except MCPError as error:
            raise MCPServerUnavailable(f"MCP server {self._name!r} does not list its tools: {error.message}") from error
        except ValueError as error:
            raise MCPServerUnavailable(f"MCP server {self._name!r} does not list its tools: {error}") from error
        return self._tools

    def running(self) -> list[asyncio.Future[ToolResult]]:
        """Returns the calls that the server works on."""
        return [each.task for each in self._open if each.task]

    async def perform(self, client: Client, call: ServerCall) -> ToolResult:
        """Makes a call, or continues one with an answer; see `ServerConnection.call`."""
        elicitation = call.elicitation
        if elicitation is not None and elicitation.state is None and (held := self._held.pop(call.key, None)):
            held.resume(call)
            return await self._result(client, held)
        if elicitation is not None and elicitation.state is None and not elicitation.repeatable:
            raise CallNotHeld(f"MCP server {self._name!r} does not keep this call open any more")
        while self._asks_unnamed and self._may_ask():  # noqa: ASYNC110 - else it would be unclear which asks
            await asyncio.sleep(UNCLEAR_PAUSE)
        return await self._result(client, self._begun(client, call))

    def _may_ask(self) -> list[OpenCall]:
        """Returns the calls that may ask a question, as each asks one at a time."""
        return [each for each in self._open if not each.is_asking]

    def _begun(self, client: Client, call: ServerCall) -> OpenCall:
        opened = OpenCall(call)
        opened.task = asyncio.ensure_future(self._answered(client, opened))
        self._open[opened] = None
        opened.task.add_done_callback(lambda task: self._ended(opened, task))
        return opened

    def _ended(self, opened: OpenCall, task: asyncio.Future[ToolResult]) -> None:
        self._open.pop(opened)
        if not task.cancelled():
            task.exception()  # of a call that is held, nobody may ask for it: asyncio would report that

    async def _result(self, client: Client, opened: OpenCall) -> ToolResult:
        """Waits for the result of a call, or for a question that only a person can answer."""
        assert opened.task is not None, "it has begun"
        question = opened.question()
        others = [each for each in self._held.values() if each.call.run_id == opened.call.run_id and each.task]
        waiting: list[asyncio.Future[Any]] = [opened.task, question, *(each.task for each in others if each.task)]
        try:
            while not (opened.task.done() or question.done()):
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                waiting = [each for each in waiting if each not in done]
                for other in others:
                    if other.task in done and not opened.task.done():
                        opened.take_over(other)
        except asyncio.CancelledError:
            opened.task.cancel()
            await asyncio.wait([opened.task], timeout=END_TIMEOUT)
            raise
        if not opened.task.done():
            self._hold(opened)
            return ToolResult(elicitation=opened.asked(self._name, question.result()))
        if opened.task.cancelled():
            raise CallLost(f"MCP server {self._name!r} ended during the call")
        result = opened.task.result()
        elicitation = opened.call.elicitation
        if result.error is not None and elicitation and elicitation.repeatable and opened.has_given_up:
            return await self._result(client, self._begun(client, opened.call))  # it did not wait for the answer
        return result

    def _hold(self, opened: OpenCall) -> None:
        key = opened.call.key
        self._held[key] = opened
        while len(self._held) > MAX_HELD:
            self._drop(next(iter(self._held)))
        asyncio.get_running_loop().call_later(HELD_FOR, self._drop_if, key, opened)

    def _drop_if(self, key: str, opened: OpenCall) -> None:
        if self._held.get(key) is opened:
            self._drop(key)

    def _drop(self, key: str) -> None:
        opened = self._held.pop(key)
        log.warning("a call of an MCP server has waited too long for an answer", server=self._name)
        opened.cancel_question()

    async def _answered(self, client: Client, opened: OpenCall) -> ToolResult:
        """Sends a call, and returns what the server answers."""
        _current.set(opened)
        call, elicitation = opened.call, opened.call.elicitation
        name = await self._name_of(client, call)
        state = elicitation.state if elicitation else None
        responses: Any = responses_of(elicitation) if elicitation and state is not None else None

        async def report(progress: float, total: float | None, message: str | None) -> None:
            opened.call.report(progress / total if total else 0.0, message)

        known: list[ServerAnswer] = []
        while True:
            try:
                returned = await client.session.call_tool(
                    name,
                    call.arguments,
                    progress_callback=report,
                    input_responses=responses,
                    request_state=state or None,
                    allow_input_required=True,
                    allow_claimed=False,
                )
            except MCPError as error:
                if not (state and elicitation and _is_forgotten(error)):
                    raise self._refused(error) from error
                known, state, responses = elicitation.answers, None, None
                continue
            except (RuntimeError, ValueError) as error:  # the result is not what the server has promised
                return ToolResult(error=f"The tool ran, but its result cannot be used: {error}")
            if not isinstance(returned, mcp_types.InputRequiredResult):
                return result_of(returned)
            state, responses = checked_state(self._name, returned.request_state), None
            if not returned.input_requests:
                await asyncio.sleep(STATE_PAUSE)
                continue
            wanted = asked(self._name, returned.input_requests, state, elicitation)
            if (again := wanted.answered_by(known)) is None:
                return ToolResult(elicitation=wanted)
            responses = responses_of(again)

    async def _name_of(self, client: Client, call: ServerCall) -> str:
        """Returns the server's own name of a tool."""
        for _ in range(2):
            if found := next(filter(call.tool, self._tools), None):
                return found.name
            self._tools = await listed(client)
        known = ", ".join(each.name for each in self._tools) or "none"
        raise ToolError(
            f"MCP server {self._name!r} no longer has this tool; it did when the run started. Its tools are: {known}"
        )

    def _refused(self, error: MCPError) -> Exception:
        code, message = error.code, error.message
        if code == NOT_SENT:
            return NotSent(f"MCP server {self._name!r} cannot be reached: {message}")
        if code in (LOST, mcp_types.CONNECTION_CLOSED):
            return CallLost(f"MCP server {self._name!r} was lost during the call: {message}")
        advice = f"; {LEGACY}" if NO_BACK_CHANNEL in message else ""
        return ToolError(f"MCP server {self._name!r} refuses the call: {message}{advice}")

    async def elicit(
        self,
        context: ClientRequestContext,  # noqa: ARG002 - the SDK passes it by name
        params: mcp_types.ElicitRequestParams,
    ) -> mcp_types.ElicitResult | mcp_types.ErrorData:
        """Answers a question that the server asks in the middle of a call."""
        opened = _current.get() or await self._asking()
        if opened is None:
            log.warning(
                "an MCP server asks a question that belongs to no call, or to one of several", server=self._name
            )
            return mcp_types.ElicitResult(action="cancel")
        return in_protocol(await opened.ask(question_of("", params)))

    async def _asking(self) -> OpenCall | None:
        """Returns the call in which a question is asked, as the protocol does not say it over standard streams.

        If several calls may have asked it, and all are of one run, it is taken for the question of the oldest: the same
        people answer. Those of different runs must end or ask first. From then on, such calls are begun one by one.
        """
        self._asks_unnamed = True
        end = asyncio.get_running_loop().time() + UNCLEAR_FOR
        while True:
            found = self._may_ask()
            if found and len({each.call.run_id for each in found}) == 1:
                return found[0]
            if not found or asyncio.get_running_loop().time() > end:
                return None
            await asyncio.sleep(UNCLEAR_PAUSE)
