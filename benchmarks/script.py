"""Scripts of the model in a run, which the run's input contains and the model server plays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_WRITTEN = re.compile(rb"script run=(\S+) turns=(\d+) tool=(\w+) calls=(\d+) latency=([\d.]+)( counted)?;")
_ASSISTANT = b'"assistant"'  # the role in a request's body; no tool of the benchmark returns this word


@dataclass(frozen=True)
class Script:
    """The model calls a tool in every turn but the last, in which it answers."""

    run: str
    """The run's id."""
    turns: int
    """Model calls."""
    tool: str = "lookup"
    calls: int = 1
    """Tool calls in each turn but the last."""
    latency: float = 0.0
    """Seconds before the first byte of each reply."""
    counted: bool = False
    """Whether turns are counted by requests, as those of a context that is compacted cannot be counted in it. The
    replies then report the size of the request as its tokens."""

    def __str__(self) -> str:
        """Returns the script as the input of its run."""
        return (
            f"script run={self.run} turns={self.turns} tool={self.tool} calls={self.calls} latency={self.latency:.3f}"
            f"{' counted' if self.counted else ''};"
        )

    @classmethod
    def find(cls, body: bytes) -> Self:
        """Returns the script in a request's body, which is not parsed, as it may have megabytes.

        Raises:
            ValueError: it quotes none.
        """
        found = _WRITTEN.search(body)
        if found is None:
            raise ValueError("the request quotes no script of the benchmark")
        run, turns, tool, calls, latency = (group.decode() for group in found.groups()[:5])
        return cls(run, int(turns), tool, int(calls), float(latency), counted=found[6] is not None)


def turn_of(body: bytes) -> int:
    """Returns the number of the turn that a request begins, from 1."""
    return body.count(_ASSISTANT) + 1
