"""The options of the commands that control a run: each takes an idempotency key, and the name of a person."""

from __future__ import annotations

from typing import Any

from holdfast import Agent, tool
from holdfast.tools import ask_human
from tests.support.cli import CommandLine
from tests.support.lab import Lab, eventually
from tests.support.lab_cli import command_line


@tool(approval="always")
async def pay(amount: int) -> str:
    """Pays."""
    return f"paid {amount}"


clerk = Agent(name="clerk", system_prompt="You pay.", tools=[pay, ask_human])


async def taken_once(cli: CommandLine, *words: str) -> Any:
    """Runs a command twice under one key, and returns its receipt, which is that of the second time too."""
    first, second = [await cli.run(*words, "--key", f"key of {words[0]}", "--json") for _ in range(2)]
    assert (first.code, second.code) == (0, 0), second.err
    assert first.json == second.json
    return first.json


async def test_a_decision_is_taken_once_under_its_key(lab: Lab) -> None:
    """`approve`, `deny` and `answer` can be repeated under their key: the second time returns the first receipt."""
    lab.server.call_tools(("pay", {"amount": 5}), ("pay", {"amount": 9}), ("ask_human", {"question": "Both?"}))
    lab.server.call_tools(("pay", {"amount": 7}))
    lab.server.say("Done.")
    cli = command_line(lab)
    async with lab.worker(clerk, max_cached_workflows=10):
        run = await lab.holdfast.start("clerk", "Pay.")

        async def waits(number: int) -> bool:
            return len((await run.status()).waits_for) == number

        await eventually(lambda: waits(3))
        allowed, refused, question = [wait.id for wait in (await run.status()).waits_for]
        assert (await taken_once(cli, "approve", run.id, allowed))[0]["id"] == "key of approve"
        assert (await taken_once(cli, "deny", run.id, refused))[0]["id"] == "key of deny"
        all_at_once = await cli.run("approve", run.id, "--all", "--key", "k")
        assert (all_at_once.code, "--key is for one call, not for --all" in all_at_once.err) == (2, True)
        assert (await taken_once(cli, "answer", run.id, question, "No."))["id"] == "key of answer"
        await eventually(lambda: waits(1))
        [last] = (await run.status()).waits_for
        await run.deny(last.id)
        assert (await run.result(30)).success
        sent = [entry.data["command"] for entry in await lab.entries(run.id) if entry.kind == "command"]
        assert sent == ["approve", "deny", "answer", "deny"]


async def test_checkpoints_and_restores_name_the_person(lab: Lab) -> None:
    """`checkpoints --create` and `restore` record the name that `--by` gives."""
    lab.server.call_tools(("ask_human", {"question": "Which one?"}))
    cli = command_line(lab)
    async with lab.worker(clerk, max_cached_workflows=10):
        run = await lab.holdfast.start("clerk", "Pay.")

        async def is_waiting() -> bool:
            return bool((await run.status()).waits_for)

        await eventually(is_waiting)
        made = await cli.run("checkpoints", run.id, "--create", "before paying", "--by", "Ada")
        assert made.code == 0, made.err
        listed = await cli.run("checkpoints", run.id, "--json")
        assert [(point["name"], point["by"]) for point in listed.json] == [("before paying", "Ada")]
        lab.server.hold()
        restored = await cli.run("restore", run.id, "before paying", "--message", "Only one.", "--by", "Eve")
        assert restored.code == 0, restored.err
        commands = [entry.data for entry in await lab.entries(run.id) if entry.kind == "command"]
        assert [(data["command"], data["by"]) for data in commands[1:]] == [("restore", "Eve"), ("send", "Eve")]
        await run.terminate("seen")
