"""Agents that a script runs itself: the script has their code, and the stack does the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import CommandLine, Done
from tests.support.cli_stack import CliStack
from tests.support.pictures import png
from tests.support.scripts import Scripts

SLOW_CALLBACK = re.compile(r"^Executing <.*> took [\d.]+ seconds$")  # asyncio's remark on a busy machine
CLERK = """
    import asyncio
    from pathlib import Path
    from holdfast import Agent, tool

    @tool
    async def order(article: str) -> str:
        \"\"\"Orders an article.\"\"\"
        with Path("orders").open("a") as orders:
            orders.write(f"{article}\\n")
        return f"ordered {article} by VERSION"

    clerk = Agent(name="clerk", system_prompt="You order.", tools=[order])

    async def main():
        result = await clerk.run('Please order "rope".', id="RUN")
        print(result.content)

    asyncio.run(main())
"""


@pytest.fixture
def scripts(cli: CliStack, tmp_path: Path) -> Scripts:
    """Scripts that use the shared stack."""
    return Scripts(cli, tmp_path)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scripts, Done]]:
    """A script that runs where no stack does, in Python's development mode."""
    folder = tmp_path_factory.mktemp("first")
    scripts = Scripts(CommandLine({"HOLDFAST_HOME": str(folder / "home")}, folder), folder)
    try:
        yield scripts, scripts.run(scripts.write(CLERK, VERSION="one", RUN="first-1"), "-X", "dev")
    finally:
        assert scripts.cli("down").code == 0


def test_script_agent_runs_without_worker(first: tuple[Scripts, Done]) -> None:
    scripts, done = first
    assert "ordered rope by one" in done.out
    assert scripts.orders() == ["rope"]
    assert "holdfast: worker started" in done.err


def test_exit_is_clean_with_X_dev(first: tuple[Scripts, Done]) -> None:  # noqa: N802 - the name of the option
    _, done = first
    said = [line for line in done.err.splitlines() if not (line.startswith("holdfast: ") or SLOW_CALLBACK.search(line))]
    assert (done.code, said) == (0, [])


@dataclass
class TakenUp:
    """What was seen of the script that was started again."""

    scripts: Scripts
    waiting: dict[str, Any]
    ordered_before: list[str]
    again: Done


@pytest.fixture(scope="module")
def taken_up(cli_stack: CliStack, tmp_path_factory: pytest.TempPathFactory) -> TakenUp:
    """A script that is killed while the model is asked, waited for, edited, and started again."""
    scripts = Scripts(cli_stack, tmp_path_factory.mktemp("killed"))
    cli_stack.server.hold()
    seen = len(cli_stack.server.requests)
    with scripts.start(scripts.write(CLERK, VERSION="one", RUN="killed-1")) as process:
        try:
            cli_stack.wait_for_requests(seen + 1)
        finally:
            process.kill()
    cli_stack.server.release()
    waits = cli_stack.repeat("show", "killed-1", until=lambda shown: shown["status"] == "waiting")
    before = scripts.orders()
    again = scripts.run(scripts.write(CLERK, VERSION="two", RUN="killed-1"))
    return TakenUp(scripts, waits, before, again)


def test_script_dead_tool_waits_then_runs_once(taken_up: TakenUp) -> None:
    [wait] = taken_up.waiting["waits_for"]
    assert (wait["kind"], wait["what"]) == ("process", "the process that serves clerk")
    assert taken_up.ordered_before == []
    assert taken_up.scripts.orders() == ["rope"]


def test_edited_script_takes_up_its_run(taken_up: TakenUp) -> None:
    assert "ordered rope by two" in taken_up.again.out


def test_script_killed_second_start_attaches(taken_up: TakenUp) -> None:
    scripts = taken_up.scripts
    third = scripts.run(scripts.write(CLERK, VERSION="three", RUN="killed-1"))
    assert "ordered rope by two" in third.out
    other = scripts.run(scripts.write(CLERK.replace("Please order", "Order"), RUN="killed-1"))
    assert other.code == 1
    assert "RunExists: run 'killed-1' already exists with another input" in other.err
    assert scripts.orders() == ["rope"]


TWO_AGENTS = """
    import asyncio
    from holdfast import Agent, tool

    @tool(read_only=True, name="stock")
    async def ropes(article: str) -> str:
        \"\"\"Pieces in stock.\"\"\"
        return f"twelve {article}"

    @tool(read_only=True, name="stock")
    def anchors(article: str) -> str:
        \"\"\"Pieces in stock.\"\"\"
        return f"two {article}"

    rope_clerk = Agent(name="rope-clerk", tools=[ropes])
    anchor_clerk = Agent(name="anchor-clerk", tools=[anchors])

    async def main():
        asked = [rope_clerk.run('What is in stock of "rope"?'), anchor_clerk.run('What is in stock of "anchor"?')]
        for result in await asyncio.gather(*asked):
            print(result.content.splitlines()[2])

    asyncio.run(main())
"""


def test_same_tool_name_two_agents(scripts: Scripts) -> None:
    assert scripts.run(scripts.write(TWO_AGENTS)).out.splitlines() == ["twelve rope", "two anchor"]


GIVES_UP = """
    import asyncio
    from pathlib import Path
    from holdfast import Agent, tool

    @tool
    async def order(article: str) -> str:
        \"\"\"Orders an article.\"\"\"
        giving_up.set()
        try:
            await asyncio.sleep(60)
        finally:
            Path("cleaned up").touch()

    async def main():
        global giving_up
        giving_up = asyncio.Event()
        asked = asyncio.create_task(Agent(name="clerk", tools=[order]).run('Order "rope".', id="given-up"))
        await giving_up.wait()
        asked.cancel()
        await asyncio.wait([asked])
        print(asked.cancelled())

    asyncio.run(main())
"""


def test_a_cancel_of_the_caller_cancels_the_run(scripts: Scripts, cli: CliStack) -> None:
    assert scripts.run(scripts.write(GIVES_UP)).out == "True\n"
    assert (scripts.folder / "cleaned up").exists()
    assert cli("show", "given-up", "--json").json["status"] == "cancelled"


LEAVES = """
    import asyncio
    from holdfast import Agent, tool

    @tool
    async def order(article: str) -> str:
        \"\"\"Orders an article.\"\"\"
        began.set()
        await asyncio.sleep(60)

    async def main():
        global began
        began = asyncio.Event()
        await Agent(name="clerk", tools=[order]).start('Order "rope".', id="left-alone")
        await began.wait()

    asyncio.run(main())
"""


def test_a_program_that_leaves_during_a_call_leaves_its_run_alone(scripts: Scripts, cli: CliStack) -> None:
    """The call is lost, as in a crash, and not a failure of the tool: the run waits for the program."""
    assert scripts.run(scripts.write(LEAVES)).code == 0
    shown = cli.repeat("show", "left-alone", until=lambda shown: shown["status"] != "running")
    assert [wait["kind"] for wait in shown["waits_for"]] == ["process"]


BLOCKING = """
    import asyncio
    from holdfast import Agent, tool

    @tool(read_only=True)
    async def stock(article: str) -> str:
        \"\"\"Pieces in stock.\"\"\"
        return f"twelve {article}"

    clerk = Agent(name="clerk", tools=[stock])
    handle = clerk.sync.start('What is in stock of "rope"?', id="blocking-1")
    print("twelve rope" in handle.result().content, len(list(handle.transcript())))
    print("twelve sail" in clerk.sync.chat('What is in stock of "sail"?', id="blocking-2").reply)
    events = clerk.sync.stream('What is in stock of "rope"?', id="blocking-1")
    print([event.seq for event in events if event.kind == "finish"])
    print(clerk.sync.execute_tool("stock", article="rope").content)

    async def main():
        clerk.sync.run("What is in stock?")

    asyncio.run(main())
"""


def test_sync_refuses_in_loop(scripts: Scripts) -> None:
    done = scripts.run(scripts.write(BLOCKING))
    assert done.out.splitlines() == ["True 5", "True", "[6]", "twelve rope"]
    assert "UsageError: an event loop is running here, and would be blocked: await Agent.run" in done.err


def test_the_types_and_guards_of_a_script(scripts: Scripts) -> None:
    """A script's own classes, validators and guards check its agent's texts, and its results are typed."""
    script = scripts.write(
        """
        import asyncio
        from dataclasses import dataclass
        from holdfast import Agent, Block, ToolError

        @dataclass
        class Order:
            article: str
            pieces: int

        def plausible(orders: list[Order]) -> None:
            if any(order.pieces > 100 for order in orders):
                raise ToolError("too many")

        clerk = Agent(
            name="typed clerk",
            output_type=list[Order],
            output_validator=plausible,
            input_guards=[lambda text: Block("no cards") if "4111" in text else None],
        )

        async def main():
            print((await clerk.run('Send 12 "ropes"')).output)
            print((await clerk.session("typed-1").ask('Send 3 "hooks"')).output)
            print((await clerk.run("Send 4111")).error)

        asyncio.run(main())
        """
    )
    done = scripts.run(script)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "[Order(article='ropes', pieces=12)]",
        "[Order(article='hooks', pieces=3)]",
        "the guard '<lambda>' has blocked the message: no cards",
    ]


TYPED = """
    import asyncio
    from dataclasses import dataclass
    from holdfast import Agent, ToolContext, tool

    @dataclass
    class Item:
        name: str

    @tool
    async def items(number: int, context: ToolContext) -> list[Item]:
        \"\"\"Lists items.\"\"\"
        context.stage("counting", 50)
        return [Item(f"{context.context['prefix']}{each}") for each in range(number)]

    clerk = Agent(name="counter", system_prompt="You count.", tools=[items])

    async def main():
        calls = (clerk.execute_tool("items", number=number, context={"prefix": "r"}) for number in (1, 2))
        print([each.content for each in await asyncio.gather(*calls)])

    asyncio.run(main())
"""


def test_execute_tool_of_a_script_returns_its_types(scripts: Scripts) -> None:
    """A tool that only the script has is called without a run, and returns values of the script's own classes."""
    done = scripts.run(scripts.write(TYPED))
    assert done.out == "[[Item(name='r0')], [Item(name='r0'), Item(name='r1')]]\n"


STAGED = """
    import asyncio
    from holdfast import Agent, ToolContext, tool

    counted = asyncio.Event()

    @tool
    async def count(context: ToolContext) -> str:
        \"\"\"Counts.\"\"\"
        context.stage("counting", 50)
        await counted.wait()
        return "counted"

    clerk = Agent(name="stager", system_prompt="You count.", tools=[count])

    async def main():
        run = await clerk.start("Please count.")
        while (found := await run.listed()).stage != "counting":
            await asyncio.sleep(0.05)
        status = await run.status()
        print(found.stage, status.stage, status.stage_progress)
        counted.set()
        print((await run.result()).success)

    asyncio.run(main())
"""


def test_stages_of_a_script_are_listed(scripts: Scripts) -> None:
    """A tool that only the script has tells its stage as a tool of the worker does."""
    done = scripts.run(scripts.write(STAGED))
    assert done.out == "counting counting 50.0\nTrue\n", done.err


VIEWER = """
    import asyncio
    from dataclasses import dataclass
    from holdfast import Agent, Image

    @dataclass
    class Order:
        article: str
        count: int

    viewer = Agent(name="viewer", system_prompt="You look.")

    async def main():
        seen = await viewer.run(["What is this?", Image("x.png")], id="album-1")
        print(seen.run_id, seen.content)
        ordered = await viewer.run(Order("rope", 2), id="album-2")
        print(ordered.run_id, ordered.content)
        answer = await viewer.chat(["And this?", Image("x.png")], id="album-3")
        print(answer.reply)

    asyncio.run(main())
"""


def test_a_script_passes_pictures_and_data(scripts: Scripts) -> None:
    """A picture and a dataclass are inputs; a script that is started again continues the runs that have them."""
    (scripts.folder / "x.png").write_bytes(png(150, 150))
    file = scripts.write(VIEWER)
    done = scripts.run(file)
    assert done.code == 0, done.err
    assert done.out.count("I received an image (image/png, 68 KB)") == 2
    assert 'I was asked: “{"article":"rope","count":2}”' in done.out
    again = scripts.run(file)
    assert again.out.splitlines()[:2] == done.out.splitlines()[:2]
    (scripts.folder / "x.png").write_bytes(png(3, 3))
    other = scripts.run(file)
    assert other.code == 1
    assert "run 'album-1' already exists with another input" in other.err


TEAM = """
    import asyncio
    import json
    from holdfast import Agent, run_agents_concurrently, tool

    @tool(read_only=True)
    async def measure(article: str) -> str:
        \"\"\"Measures an article.\"\"\"
        return f"{article} has 7 m"

    @tool(idempotent=True)
    async def consult(article: str) -> str:
        \"\"\"Consults the helper about an article.\"\"\"
        return (await boss.call_agent(helper, f'Please measure "{article}".')).content

    helper = Agent(name="helper", description="Measures.", system_prompt="You help.", tools=[measure])
    assistant = Agent(name="second", system_prompt="You stand in.", tools=[measure], handoffs=["boss"])
    boss = Agent(name="boss", system_prompt="You lead.", tools=[consult], handoffs=["second"])

    async def main():
        consulted = await boss.run('Please consult "rope".', id="ID-consult")
        handed = await boss.run('Please transfer to second.', id="ID-handed")
        called = await boss.call_agent(helper, 'Please measure "nail".', id="ID-called")
        many = await run_agents_concurrently(
            [helper, boss, "nobody"], ['Please measure "hook".', "Good day.", "Hello."], id="ID", max_concurrent=2
        )
        print(json.dumps({
            "consulted": consulted.content,
            "children": [child.run for child in consulted.run.children],
            "handed": [handed.active_agent, handed.content],
            "called": called.content,
            "many": [[each.success, each.run_id, each.metadata["agent"], each.error] for each in many],
        }))

    asyncio.run(main())
"""


def test_agents_of_a_script_call_hand_off_and_run_at_once(scripts: Scripts) -> None:
    """A script serves the code of each agent that its tools call, or that takes over; a second start finds all runs."""
    file = scripts.write(TEAM, ID="team")
    first, again = scripts.run(file), scripts.run(file)
    assert first.code == 0, first.err
    found = first.json
    assert "rope has 7 m" in found["consulted"]
    assert found["children"] == ["team-consult/1.0.1"]
    assert found["handed"][0] == "second"
    assert "nail has 7 m" in found["called"]
    assert [each[:3] for each in found["many"]] == [
        [True, "team-1", "helper"],
        [True, "team-2", "boss"],
        [False, "team-3", "nobody"],
    ]
    assert "nobody" in found["many"][2][3]
    assert again.json == found
