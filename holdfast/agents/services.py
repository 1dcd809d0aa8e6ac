"""The services of the process that an agent's own methods use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.ports.retrieval import Embedder, TextMemoryProtocol

_text_memory: Callable[[], TextMemoryProtocol] | None = None
_embedder: Callable[[], Embedder | None] | None = None
_agent_runner: Callable[[], Any] | None = None


def provide(
    *,
    text_memory: Callable[[], TextMemoryProtocol],
    embedder: Callable[[], Embedder | None],
    agent_runner: Callable[[], Any],
) -> None:
    """Sets what the methods of agents use; `import holdfast` provides what the settings name.

    Args:
        text_memory: returns where `add_text_memory` and `search_text` store and search; called at each use.
        embedder: returns what `embed` uses, or `None` if no embedding model is configured; called at each use.
        agent_runner: returns the `AgentRunner` of the methods that run agents; called at each use.
    """
    global _text_memory, _embedder, _agent_runner
    _text_memory, _embedder, _agent_runner = text_memory, embedder, agent_runner


def agent_runner() -> Any:
    """Returns what runs the agents of this process, an `AgentRunner`."""
    assert _agent_runner is not None, "`import holdfast` provides it"
    return _agent_runner()


def text_memory() -> TextMemoryProtocol:
    """Returns the process's text memory."""
    assert _text_memory is not None, "`import holdfast` provides it"
    return _text_memory()


def embedder() -> Embedder | None:
    """Returns the process's embedder; `None` means that no embedding model is configured."""
    assert _embedder is not None, "`import holdfast` provides it"
    return _embedder()
