"""Model calls and system prompts that the code of a script makes: they survive its death as everything else does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from holdfast.testing import ModelServer, Reply
from tests.support.cli_stack import CliStack
from tests.support.scripts import Scripts

WORDS = " ".join(f"word{number}" for number in range(60))
OWN = """
    import asyncio
    from pathlib import Path
    from openai import AsyncOpenAI
    from holdfast import Agent, ModelRequest, RunContext, tool

    def note(word):
        with Path("orders").open("a") as notes:
            notes.write(f"{word}\\n")

    def prompt(context: RunContext) -> str:
        note("prompt")
        return f"You help {context.context['user']}."

    async def log_call(request: ModelRequest, handler):
        note(f"model:{request.context.turn}")
        return await handler(request)

    async def main():
        async with AsyncOpenAI(api_key="sk-own", base_url="URL") as client:
            own = {"client": client, "model": "small", "wrap_model_call": log_call, "budget": {"tokens": 1_000_000}}
            clerk = Agent(name="clerk", system_prompt=prompt, **own)
            print((await clerk.run("Hello!", id="own-client", context={"user": "Ada"})).content)

    asyncio.run(main())
"""


@pytest.mark.timeout(120)
def test_own_client_killed_in_mid_call(cli: CliStack, tmp_path: Path) -> None:
    """A script that is killed while its client streams is waited for, and makes the call again; both are counted."""
    scripts = Scripts(cli, tmp_path)
    with ModelServer() as provider:
        provider.reply(Reply(WORDS, hang_after=4))
        provider.say("Hello, Ada.")
        file = scripts.write(OWN, URL=provider.url)
        with scripts.start(file) as process:
            try:
                while not provider.requests:
                    assert process.poll() is None
                    time.sleep(0.05)
            finally:
                process.kill()
        while (waits := cli("show", "own-client", "--json")).json["status"] != "waiting":
            pass
        assert waits.json["waits_for"][0]["what"] == "the process that serves clerk"
        assert scripts.run(file).out.strip() == "Hello, Ada."
        assert [request.messages[0]["content"] for request in provider.requests] == ["You help Ada."] * 2
    assert scripts.orders() == ["prompt", "model:0", "model:0"], "the prompt is in the log"
    assert cli("show", "own-client", "--json").json["usage"]["requests"] == 2
