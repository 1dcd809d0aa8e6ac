"""Guards: functions that see the messages of people before the model does, and answers before they are returned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.agents.user_functions import RunContext, UserFunction
from holdfast.answers import GuardVerdict
from holdfast.errors import AgentDefinitionError
from holdfast.types import clean_text

MAX_REASON = 2_000  # characters
Guard = Callable[..., Any]


@dataclass(frozen=True)
class Block:
    """Returned by a guard that blocks a text.

    Attributes:
        reason: why, for the person who reads the error of the run.
    """

    reason: str


def as_guards(agent: str, field: str, given: Sequence[Guard]) -> tuple[UserFunction, ...]:
    """Checks the guards of an agent.

    Raises:
        AgentDefinitionError: they are not a list of functions of a text, or two have the same name.
    """
    if not isinstance(given, list | tuple):
        raise AgentDefinitionError(f"agent {agent!r}: {field} must be a list of functions, not {given!r:.80}")
    guards = tuple(UserFunction.of(agent, field, guard) for guard in given)
    counts = Counter(guard.name for guard in guards)
    if twice := [name for name, number in counts.items() if number > 1]:
        raise AgentDefinitionError(f"agent {agent!r}: two of its {field} are named {twice[0]!r}; rename one of them")
    return guards


class Guarding:
    """What the guards say about one text, one after the other; each sees what the one before it has made of the text.

    A guard that raises an error, or returns what it must not, blocks the text.
    """

    def __init__(self, text: str, context: RunContext) -> None:
        self.text = text
        """As the guards so far have left it."""
        self._context = context
        self.verdict = GuardVerdict()

    def ask(self, guard: UserFunction) -> Any:
        """Calls a guard; what it returns may have to be awaited."""
        return guard(self.text, self._context)

    def take(self, guard: UserFunction, said: Any) -> None:
        """Takes note of what a guard has said."""
        if said is None:
            return
        if isinstance(said, Block):
            self.block(guard, str(said.reason) or "no reason was given")
        elif isinstance(said, str) and said.strip():
            self.text = clean_text(said)
            self.verdict = GuardVerdict(guard=guard.name, content=self.text)
        else:
            self.block(guard, f"the guard returned {said!r:.80}; it may return None, Block(reason) or another text")

    def block(self, guard: UserFunction, reason: str) -> None:
        """Blocks the text; no other guard is asked then."""
        self.verdict = GuardVerdict(guard=guard.name, blocked=clean_text(reason)[:MAX_REASON])

    @property
    def is_blocked(self) -> bool:
        """Whether the text is blocked."""
        return self.verdict.blocked is not None
