"""Watch over the parts of the local stack while a command waits for a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from holdfast.cli.program import command

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.stack.part_locks import PartName
    from holdfast.stack.state import StackState
    from holdfast.stack.supervision import Supervision

INTERVAL = 0.5  # seconds between looks, which take a fraction of a millisecond


class StackWatch:
    """Notices that parts have ended, and that they run again.

    Args:
        home: the state folder.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._running: dict[PartName, int] = {}
        self._gone: set[PartName] = set()
        self._troubles: dict[PartName, int] = {}

    async def notices(self) -> AsyncIterator[str]:
        """Yields what happens to the parts, in words, for as long as it is asked."""
        while True:
            for text in self.look():
                yield text
            await asyncio.sleep(INTERVAL)

    def look(self) -> list[str]:
        """Returns what has happened since the last look; the first one returns nothing of the past."""
        from holdfast.stack.state import StateFile  # noqa: PLC0415 - `--help` needs no stack
        from holdfast.stack.supervision import Supervision  # noqa: PLC0415
        from holdfast.stack.supervisor import SUPERVISED  # noqa: PLC0415

        state = StateFile(self._home).read()
        supervision = Supervision(self._home, state)
        return [text for name in SUPERVISED for text in self._look_at(name, state, supervision)]

    def _look_at(self, name: PartName, state: StackState, supervision: Supervision) -> Iterator[str]:
        part, before = state.alive(name), self._running.get(name)
        if part is None:
            if before is not None and name not in self._gone:
                self._gone.add(name)
                yield f"{_title(name)} (pid {before}) has ended; {self._plan(name, state, supervision)}"
            yield from self._trouble(name, supervision)
            return
        if name in self._gone:
            yield f"{_title(name)} was started again: pid {part.pid}"
        elif before not in (None, part.pid):
            yield f"{_title(name)} (pid {before}) has ended and was started again: pid {part.pid}"
        self._running[name] = part.pid
        self._gone.discard(name)

    def _plan(self, name: PartName, state: StackState, supervision: Supervision) -> str:
        known = state.parts.get(name)
        if known is not None and known.wanted and supervision.is_active:
            return "it is being started again"
        return f"`{command('up')}` starts it"

    def _trouble(self, name: PartName, supervision: Supervision) -> Iterator[str]:
        found, text = supervision.report().get(name), supervision.trouble(name)
        if found and text and self._troubles.get(name) != found.ends:
            self._troubles[name] = found.ends
            yield text


def _title(name: PartName) -> str:
    from holdfast.stack.part_locks import TITLES  # noqa: PLC0415 - see look

    return f"the {TITLES[name]}"
