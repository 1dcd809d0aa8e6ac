"""Methods of agents and runs for code without an event loop: each blocks until it has its result."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from holdfast._util.loop_thread import LoopThread
from holdfast._util.native_threads import call_at_exit
from holdfast.errors import UsageError
from holdfast.start_options import StartOptions

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

    from holdfast.agent_result import AgentResult
    from holdfast.client.inputs import RunInput
    from holdfast.client.session import Answer
    from holdfast.events import Event
    from holdfast.ports.retrieval import MemoryMatch

GRACE = 15.0  # seconds for the end of a run that is cancelled with Ctrl-C
EXIT_TIMEOUT = 5.0  # seconds for what still runs when the process ends


class Blocking:
    """An object whose async methods block, and whose async iterators are plain ones.

    Args:
        target: the object.
    """

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return functools.partial(_called, found) if callable(found) else found

    def __repr__(self) -> str:
        return f"<blocking {self._target!r}>"


class BlockingAgent(Blocking):
    """The methods of an agent that block; `Agent.sync` returns it.

    They run in an event loop of their own, in a thread, and so do the async tools of the agent.
    """

    def run(
        self,
        input: RunInput,  # noqa: A002 - the field's word
        *,
        max_iterations: int | None = None,
        **options: Unpack[StartOptions],
    ) -> AgentResult:
        """Runs the agent, as `Agent.run` does; Ctrl-C cancels the run."""
        result: AgentResult = _called(self._target.run, input, max_iterations=max_iterations, **options)
        return result

    def call_agent(self, other: Any, query: RunInput, **options: Unpack[StartOptions]) -> AgentResult:
        """Runs another agent, as `Agent.call_agent` does."""
        result: AgentResult = _called(self._target.call_agent, other, query, **options)
        return result

    def start(self, input: RunInput, **options: Unpack[StartOptions]) -> Any:  # noqa: A002
        """Starts a run, as `Agent.start` does; the methods of the handle block as well."""
        return _called(self._target.start, input, **options)

    def stream(self, input: RunInput, **options: Unpack[StartOptions]) -> Iterator[Event]:  # noqa: A002
        """Runs the agent and yields what happens, as `Agent.stream` does."""
        events: Iterator[Event] = _called(self._target.stream, input, **options)
        return events

    def chat(self, message: RunInput, *, id: str | None = None) -> Answer:  # noqa: A002
        """Sends a message and returns the answer, as `Agent.chat` does."""
        answer: Answer = _called(self._target.chat, message, id=id)
        return answer

    def save_conversation(
        self,
        id: str | None = None,  # noqa: A002
        *,
        file: str | Path | None = None,
        log: bool = True,
    ) -> Path:
        """Saves a conversation, as `Agent.save_conversation` does."""
        path: Path = _called(self._target.save_conversation, id, file=file, log=log)
        return path

    def generate(self, prompt: RunInput, max_length: int = 20, **options: Unpack[StartOptions]) -> str:
        """Asks the agent's model once, as `Agent.generate` does."""
        text: str = _called(self._target.generate, prompt, max_length, **options)
        return text

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Returns a vector of each text, as `Agent.embed` does."""
        vectors: list[list[float]] = _called(self._target.embed, texts)
        return vectors

    def add_text_memory(self, text: str, *, wait: bool = True, **metadata: JsonValue) -> str:
        """Stores a text in the agent's memory, as `Agent.add_text_memory` does."""
        found: str = _called(self._target.add_text_memory, text, wait=wait, **metadata)
        return found

    def search_text(self, query: str, top_k: int = 5) -> list[MemoryMatch]:
        """Searches the agent's memories, as `Agent.search_text` does."""
        found: list[MemoryMatch] = _called(self._target.search_text, query, top_k)
        return found


@functools.cache
def _thread() -> LoopThread:
    thread = LoopThread("holdfast-sync")
    call_at_exit(thread.end, EXIT_TIMEOUT)
    return thread


def _called(method: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls a method, and returns its result; handles and sessions block as well.

    Raises:
        UsageError: an event loop is running here, which would be blocked.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError(
            f"an event loop is running here, and would be blocked: await {method.__qualname__} of the agent itself "
            "instead of its `sync`"
        )
    returned = method(*args, **kwargs)
    if inspect.isasyncgen(returned) or isinstance(returned, AsyncIterator):
        return _items(returned)
    if inspect.isawaitable(returned):
        returned = _thread().wait(_awaited(returned), grace=GRACE)
    return _blocking(returned)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _items(source: AsyncIterator[Any]) -> Iterator[Any]:
    end = object()
    try:
        while (item := _thread().wait(_awaited(anext(source, end)), grace=GRACE)) is not end:
            yield item
    finally:
        if inspect.isasyncgen(source):
            _thread().wait(source.aclose(), grace=GRACE)


def _blocking(returned: Any) -> Any:
    from holdfast.client.own_session import OwnSession  # noqa: PLC0415 - a definition needs no client
    from holdfast.client.run_handle import RunHandle  # noqa: PLC0415

    return Blocking(returned) if isinstance(returned, RunHandle | OwnSession) else returned
