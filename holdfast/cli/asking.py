"""Questions to the person at the terminal, whose answers end what a run waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from holdfast.cli.commanding import user
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import one_line
from holdfast.errors import CommandRefused, RunOver
from holdfast.progress import Wait

if TYPE_CHECKING:
    from holdfast.client.run_handle import RunHandle

ASKED = frozenset({"approval", "question"})
"""The kinds of waits that a person can end by a word or two."""

Prompt = Callable[[str], Awaitable[str]]
"""Shows a text and returns what the person types; raises EOFError or KeyboardInterrupt if they leave or stop."""


class Asker:
    """Asks the person at the terminal about each thing that a run waits for, once.

    Args:
        out: receives what came of an answer.
        run: the run.
        prompt: asks the person.
    """

    def __init__(self, out: Output, run: RunHandle, prompt: Prompt) -> None:
        self._out = out
        self._run = run
        self._prompt = prompt
        self._asked: set[str] = set()

    def has_questions(self, waits: Sequence[Wait]) -> bool:
        """Returns whether it has not asked about one of the waits yet that a person ends by a word or two."""
        return any(self._is_new(wait) for wait in waits)

    async def ask(self, waits: Sequence[Wait]) -> None:
        """Asks about those of the waits that it has not asked about, and sends what the person decides.

        Raises:
            EOFError: the person leaves.
            KeyboardInterrupt: the person stops the turn.
        """
        for wait in waits:
            if self._is_new(wait):
                self._asked.add(wait.id)
                try:
                    await (self._approval(wait) if wait.kind == "approval" else self._question(wait))
                except RunOver:
                    raise
                except CommandRefused as refusal:  # such as one that another person has decided meanwhile
                    self._out.warn(str(refusal))

    def _is_new(self, wait: Wait) -> bool:
        return wait.kind in ASKED and wait.id not in self._asked

    async def _approval(self, wait: Wait) -> None:
        self._out.say(("? ", "yellow"), one_line(wait.what))
        while True:
            match (await self._prompt("  [y]es, [n]o, [a]lways with these arguments > ")).strip().lower():
                case "y" | "yes":
                    await self._run.approve(wait.id, by=user())
                case "a" | "always":
                    await self._run.approve(wait.id, always=True, by=user())
                case "n" | "no":
                    reason = await self._prompt("  why, for the agent > ")
                    await self._run.deny(wait.id, reason=reason.strip() or None, by=user())
                case _:
                    continue
            return

    async def _question(self, wait: Wait) -> None:
        self._out.say(("? ", "yellow"), one_line(str(wait.data.get("question") or wait.what)))
        options = [str(option) for option in wait.data.get("options") or []]
        for option in options:
            self._out.say(("  - ", "dim"), one_line(option))
        text = ""
        while not text or (options and text not in options):
            text = (await self._prompt("  your answer > ")).strip()
        await self._run.answer(wait.id, text, by=user())
