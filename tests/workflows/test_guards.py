"""Guards: functions that see messages before the model does, and answers before they are given."""

from __future__ import annotations

import pytest

from holdfast import Agent, Block, GuardBlocked, RunContext, RunHandle, RunStatus
from tests.support.lab import Lab, contents, eventually


async def no_secrets(text: str, context: RunContext) -> Block | str | None:
    """Blocks passwords, and hides names."""
    if "password" in text:
        return Block(f"{context.agent} takes no passwords")
    return text.replace("Ada", "somebody") if "Ada" in text else None


def polite(text: str) -> Block | str | None:
    """Withholds rude answers, and shortens long ones."""
    if "crash" in text:
        raise RuntimeError("the guard is broken")
    if "fool" in text:
        return Block("it is rude")
    return "In short." if len(text) > 20 else None


guarded = Agent(name="guarded", system_prompt="You help.", input_guards=[no_secrets], output_guards=[polite])


async def has_answered(handle: RunHandle, times: int) -> bool:
    """Whether a session has ended this number of exchanges."""
    return len([entry async for entry in handle.entries() if entry.kind == "answer"]) == times


async def test_guard_blocks_before_any_request(lab: Lab) -> None:
    """A blocked input fails the run with the guard's reason, and no request reaches the model.

    What a guard makes of a text may not be larger than any text may be.
    """
    lab.settings.max_payload_bytes = 20_000
    async with lab.worker(guarded):
        result = await lab.holdfast.run(guarded, "My password is 1234.")
        assert (result.status, result.run.error and result.run.error.type) == (RunStatus.FAILED, "GuardBlocked")
        with pytest.raises(GuardBlocked, match="'no_secrets' has blocked the message: guarded takes no passwords"):
            result.raise_on_failure()
        await lab.assert_mirrored(result.run_id)
        large = await lab.holdfast.run(guarded, "Ada " * 3_000)
        assert "the text of the guard has 27,000 bytes; the maximum is 20,000" in (large.error or "")
    assert lab.server.requests == []


async def test_a_session_outlives_its_guards(lab: Lab) -> None:
    """Each message and each answer is guarded: a block ends the exchange, and a replacement is what the model sees.

    So it is in forks, whose own messages are guarded, too.
    """
    async with lab.worker(guarded, max_cached_workflows=100):
        session = lab.holdfast.session("guarded-session", guarded)
        blocked = await session.ask("The password is 1234.")
        assert (blocked.content, blocked.error and blocked.error.type) == ("", "GuardBlocked")
        lab.server.say("This answer is a little too long.")
        assert (await session.ask("Ada asks.")).content == "In short."
        lab.server.say("You fool.")
        rude = await session.ask("And?")
        assert (rude.content, rude.error and rude.error.message) == (
            "",
            "the guard 'polite' has blocked the answer: it is rude",
        )
        assert (await session.run.status()).output == "In short."
        lab.server.say("This will crash.")
        assert "RuntimeError: the guard is broken" in str((await session.ask("Go on.")).error)
        lab.server.say("Good.")
        assert (await session.ask("Thanks.")).content == "Good."
        asked = [message["content"] for message in lab.server.requests[-1].messages]
        fork = await session.run.fork("turn-1", message="My password is 1234.")
        await eventually(lambda: has_answered(fork, 2))
        assert len(lab.server.requests) == 4, "no request for a message that is blocked"
        lab.server.say("Well.")
        await fork.send("And you, Ada?")
        await eventually(lambda: has_answered(fork, 3))
        assert [message["content"] for message in lab.server.requests[-1].messages][2:] == [
            "somebody asks.",
            "In short.",
            "[this message was blocked: guarded takes no passwords]",
            "And you, somebody?",
        ]
        entries = await lab.entries(session.id)
        guards = [entry.data for entry in entries if entry.kind == "guard"]
    assert [(data["on"], data["guard"], "blocked" in data) for data in guards] == [
        ("input", "no_secrets", True),
        ("input", "no_secrets", False),
        ("output", "polite", False),
        ("output", "polite", True),
        ("output", "polite", True),
    ]
    assert asked == [
        "You help.",
        "[this message was blocked: guarded takes no passwords]",
        "somebody asks.",
        "In short.",
        "And?",
        "[this message was blocked: it is rude]",
        "Go on.",
        "[this message was blocked: the guard failed: RuntimeError: the guard is broken]",
        "Thanks.",
    ]
    assert ("assistant", "You fool.") in contents(entries), "the log keeps what was said"
