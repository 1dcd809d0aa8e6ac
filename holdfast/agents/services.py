"""The services of the process that an agent's own methods use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.ports.retrieval import TextMemoryProtocol

_text_memory: Callable[[], TextMemoryProtocol] | None = None


def provide(*, text_memory: Callable[[], TextMemoryProtocol]) -> None:
    """Sets where `Agent.add_text_memory` and `Agent.search_text` store and search.

    `import holdfast` provides the text memory that the settings name.

    Args:
        text_memory: returns the text memory; called at each use.
    """
    global _text_memory  # noqa: PLW0603 - one per process is what this is
    _text_memory = text_memory


def text_memory() -> TextMemoryProtocol:
    """Returns the process's text memory."""
    assert _text_memory is not None, "`import holdfast` provides it"
    return _text_memory()
