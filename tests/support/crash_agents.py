"""Agents whose tools record each execution, so that tests can count repeats."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

from holdfast import Agent, ToolContext, tool

LEDGER = "ran.txt"  # in the workspace: one line for each time that a tool ran
GATE = "open"  # in the workspace: the tools that wait end when this file is there
GATE_POLL = 0.02  # seconds
DUMP_CHARS = 100_000  # so many that writing them to the mirror takes tens of milliseconds


@tool(idempotent=True)
def note(number: int, context: ToolContext) -> str:
    """Notes a number."""
    _record(context, f"note {number}")
    return f"noted {number}"


@tool(read_only=True)
async def read_slowly(context: ToolContext) -> str:
    """Reads until the gate opens; repeatable."""
    _record(context, "read_slowly")
    await _gate(context)
    return "read to the end"


@tool(destructive=True)
async def pay(amount: int, context: ToolContext) -> str:
    """Pays, then waits for the gate; must never pay twice."""
    _record(context, f"pay {amount}")
    await _gate(context)
    return f"paid {amount}"


@tool(read_only=True)
def dump(number: int, context: ToolContext) -> str:
    """Gives a long text."""
    _record(context, f"dump {number}")
    return f"{number} ".ljust(DUMP_CHARS, "x")


@tool(idempotent=True)
def store(megabytes: int, context: ToolContext) -> str:
    """Stores large files, whose snapshot takes a while."""
    _record(context, "store")
    for number in range(megabytes):
        content = random.Random(number).randbytes(1_000_000)
        (context.workspace / f"{number}.bin").write_bytes(content)
    return f"stored {megabytes}"


@tool(read_only=True)
def check(megabytes: int, context: ToolContext) -> str:
    """Compares the files with what `store` has written."""
    wrong = [
        number
        for number in range(megabytes)
        if (context.workspace / f"{number}.bin").read_bytes() != random.Random(number).randbytes(1_000_000)
    ]
    return f"wrong: {wrong}; {sum(ran(context.workspace).values())} calls"


clerk = Agent(
    name="clerk",
    system_prompt="You keep the books.",
    tools=[note, read_slowly, pay, dump, store, check],
    max_turns=500,
    timeout=300,
)


def ran(workspace: Path) -> Counter[str]:
    """What the tools of a run did, and how often."""
    ledger = workspace / LEDGER
    return Counter(ledger.read_text().splitlines()) if ledger.exists() else Counter()


def open_gate(workspace: Path) -> None:
    """Lets the tools that wait end."""
    (workspace / GATE).touch()


def _record(context: ToolContext, line: str) -> None:
    context.workspace.mkdir(parents=True, exist_ok=True)
    with (context.workspace / LEDGER).open("a") as ledger:
        ledger.write(f"{line}\n")


async def _gate(context: ToolContext) -> None:
    while not (context.workspace / GATE).exists():  # noqa: ASYNC110 - another process opens it
        await asyncio.sleep(GATE_POLL)
