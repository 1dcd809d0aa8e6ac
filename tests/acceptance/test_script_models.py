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
        waits = cli.repeat("show", "own-client", until=lambda shown: shown["status"] == "waiting")
        assert waits["waits_for"][0]["what"] == "the process that serves clerk"
        assert scripts.run(file).out.strip() == "Hello, Ada."
        assert [request.messages[0]["content"] for request in provider.requests] == ["You help Ada."] * 2
    assert scripts.orders() == ["prompt", "model:0", "model:0"], "the prompt is in the log"
    assert cli("show", "own-client", "--json").json["usage"]["requests"] == 2


ASKS_ONCE = """
    import asyncio
    from pydantic import BaseModel
    from holdfast import Agent, UsageError, get_model_response, tool

    @tool
    def order() -> str:
        \"\"\"Orders.\"\"\"
        return "ordered"

    class Knot(BaseModel):
        name: str
        turns: int

    clerk = Agent(name="clerk", system_prompt="You sell.", tools=[order], model_settings={"temperature": 0})

    async def main():
        print(await clerk.generate("A rope is", max_length=3, id="once-1"))
        talk = [
            {"role": "system", "content": "You know knots."},
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": "Good day."},
        ]
        print(await get_model_response(talk, "Name one."))
        print(repr(await get_model_response(message="Describe it.", model="small", schema=Knot)))
        print((await clerk.run("And?", history=talk[1:])).content)
        for wrong in ({}, {"messages": talk}, {"message": " "}, {"messages": [{"role": "owl"}]}):
            try:
                await get_model_response(**wrong)
            except UsageError as error:
                print(error)

    asyncio.run(main())
    print(clerk.sync.generate("Rope"))
"""


def test_one_answer_of_the_model(cli: CliStack, tmp_path: Path) -> None:
    """`generate` and `get_model_response` ask the model once: with a limit, a conversation, and a type."""
    seen = len(cli.server.requests)
    cli.server.say("made of hemp", finish_reason="length")
    cli.server.say("The bowline.")
    cli.server.say('{"name": "bowline"}')
    cli.server.say('{"name": "bowline", "turns": 1}')
    cli.server.say("Well.")
    cli.server.say("Hemp.")
    scripts = Scripts(cli, tmp_path)
    done = scripts.run(scripts.write(ASKS_ONCE))
    assert done.out.splitlines() == [
        "made of hemp",
        "The bowline.",
        "Knot(name='bowline', turns=1)",
        "Well.",
        "get_model_response needs a `message`, or `messages`",
        "messages must end with a message of role user that is not empty",
        "messages must end with a message of role user that is not empty",
        "messages: {'role': 'owl'} is not a message; it must have a role of user, assistant, tool",
        "Hemp.",
    ], done.err
    once, talk, typed, repaired, continued, blocking = (request.body for request in cli.server.requests[seen:])
    assert (once["max_tokens"], once["temperature"], once.get("tools")) == (3, 0, None)
    said = ["You know knots.", "Hello.", "Good day.", "Name one."]
    assert [message["content"] for message in talk["messages"]] == said
    assert (typed["model"], typed["response_format"]["type"], len(repaired["messages"])) == ("small", "json_schema", 3)
    assert [message["content"] for message in continued["messages"]] == ["You sell.", "Hello.", "Good day.", "And?"]
    assert blocking["max_tokens"] == 20
    assert cli("show", "once-1", "--json").json["status"] == "completed"
