"""The shipped front-end developer: its page is really served and opened, and it survives crashes and cancels."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from holdfast import AgentDefinitionError, FrontendDeveloper, PreviewServer, RunHandle, RunStatus
from holdfast.agents.shipped.frontend_developer import PROGRESS, STAGES
from holdfast.models import SCRIPTED_MARK
from holdfast.testing import Reply
from holdfast.testing.bench import open_bench
from holdfast.testing.session_stack import SessionStack
from tests.support.cli_stack import CliStack
from tests.support.lab import Lab, eventually
from tests.support.temporal_ui import TemporalUi

TASK = "A page for a rope shop. It shows that the shop buys old rope, too."
HANG = Reply("A long answer that never comes to its end.", hang_after=1)
PLAN = ("plan_page", {"title": "Rope", "requirements": ["It sells rope."]})
COMPONENT = ("write_component", {"name": "header", "markup": "<h1>Rope</h1>"})
BUILD = ("build_page", {"components": ["header"], "styles": "h1 { color: navy }"})
DEPLOY: tuple[str, dict[str, Any]] = ("deploy_page", {})


class Sandbox:
    """A sandbox tool that keeps what it is asked, and returns what it is told to."""

    def __init__(self, returned: Any = "https://pages.example/1", *, hangs: bool = False) -> None:
        self.asked: list[dict[str, Any]] = []
        self._returned = returned
        self._hangs = hangs

    async def run_async(self, request: dict[str, Any]) -> Any:
        """Deploys, or hangs."""
        self.asked.append(request)
        if self._hangs:
            await asyncio.Event().wait()
        if isinstance(self._returned, Exception):
            raise self._returned
        return self._returned


async def checkpoints(run: RunHandle) -> list[str]:
    """The names of the checkpoints that tools have made."""
    return [made.name for made in await run.checkpoints() if made.by is not None]


async def test_frontend_developer_page_opens_in_a_browser(cli: CliStack, tmp_path: Path) -> None:
    """From the command line: the answer has an address, where a browser shows the page; its stages can be listed."""
    done = await asyncio.to_thread(cli, "run", "frontend-developer", TASK, "--id", "rope-page", "--json")
    assert done.code == 0, done.err
    assert SCRIPTED_MARK in done.json["output"], "the scripted model says so"
    url = done.json["output"].split()[0]
    async with TemporalUi.open(tmp_path) as browser:
        await browser.page.goto(url)
        assert await browser.page.title() == "Rope shop"
        await browser.shows("Rope shop", "It shows that the shop buys old rope, too.", SCRIPTED_MARK)
        assert await browser.page.get_by_role("heading", level=1).is_visible()
    listed = await asyncio.to_thread(cli, "list", "--stage", "completed", "--json")
    assert "rope-page" in [run["run_id"] for run in listed.json]
    stored = await asyncio.to_thread(cli, "sql", "SELECT stage, stage_progress FROM run:⟨rope-page⟩", "--json")
    assert stored.json == [[{"stage": "completed", "stage_progress": 100.0}]]


def test_frontend_developer_goes_on_after_a_killed_worker(stack: SessionStack, tmp_path: Path) -> None:
    """A worker that is killed while it deploys is replaced; the run continues from there, and repeats nothing else."""
    sandbox = Sandbox()
    with open_bench(tmp_path / "home") as bench:
        server = bench.server(stack)
        server.kill_at("tool.frontend-developer.deploy_page", "during")
        developer = FrontendDeveloper(sandbox_tool=sandbox)
        server(developer)
        for call in (PLAN, COMPONENT, BUILD, DEPLOY):
            bench.model.call_tools(call)
        bench.model.say("https://pages.example/1")
        result = asyncio.run(bench.connected(stack).run(developer, TASK, workspace=tmp_path / "work"))
        server.assert_killed()
        bench.model.assert_complete()
    assert result.success, result.error
    assert result.metadata["tool_calls"] == 4
    assert [sorted(asked["files"]) for asked in sandbox.asked] == [["index.html"]] * len(sandbox.asked)
    assert {asked["commands"][0] for asked in sandbox.asked} == {"serve"}
    assert "<h1>Rope</h1>" in sandbox.asked[0]["files"]["index.html"]


@pytest.mark.parametrize("stage", STAGES[:-1])
async def test_frontend_developer_cancelled_at_each_stage(lab: Lab, tmp_path: Path, stage: str) -> None:
    """A run that is cancelled at a stage ends as `cancelled`, is listed by that stage, and keeps its checkpoints."""
    steps = (PLAN, COMPONENT, BUILD, DEPLOY)[: STAGES.index(stage) + 1]
    for call in steps:
        lab.server.call_tools(call)
    lab.server.reply(HANG)
    sandbox = Sandbox(hangs=True)
    async with lab.worker(developer := FrontendDeveloper(sandbox_tool=sandbox)):
        run = await lab.holdfast.start(developer.name, TASK, workspace=tmp_path / "work")

        async def is_reached() -> bool:
            status = await run.status()
            reached = (status.stage, status.stage_progress) == (stage, PROGRESS[stage])
            return reached and (await run.listed()).stage == stage

        await eventually(is_reached)
        await run.cancel()
        result = await run.result(60)
        assert result.status == RunStatus.CANCELLED
        ended = await run.listed()
        assert (ended.status, ended.stage) == (RunStatus.CANCELLED, stage)
        made = await checkpoints(run)
    assert made[: STAGES.index(stage)] == list(STAGES[: STAGES.index(stage)])


async def test_frontend_developer_sandbox_tool_required(lab: Lab) -> None:
    """Without a sandbox tool, a run fails before the model is asked, and so does a deployment without a run."""
    async with lab.worker(developer := FrontendDeveloper()):
        result = await lab.holdfast.run(developer.name, TASK)
        assert not result.success
        assert "Sandbox tool required" in str(result.error)
        assert lab.server.requests == []
        deployed = await lab.holdfast.execute_tool(developer.name, "deploy_page")
        assert str(deployed.error).startswith("Sandbox tool required")
    with pytest.raises(AgentDefinitionError, match="it must have `run_async`"):
        FrontendDeveloper(sandbox_tool=object())  # type: ignore[arg-type]


async def test_frontend_developer_sandbox_tools_return_addresses(lab: Lab, tmp_path: Path) -> None:
    """A sandbox tool may return text or what has a `url`; anything else, or an error, is told to the model."""

    class Deployment:
        url = "https://pages.example/3"

    returned: dict[Any, str] = {
        "https://pages.example/1": "deployed: https://pages.example/1",
        "nothing": "the sandbox tool returned no address, but 'nothing'",
        ConnectionError("no sandbox is free"): "ConnectionError: no sandbox is free",
    }
    wanted: list[tuple[Any, str]] = [
        *returned.items(),
        ({"url": "https://pages.example/2"}, "deployed: https://pages.example/2"),
        (Deployment(), "deployed: https://pages.example/3"),
        (None, "the sandbox tool returned no address, but None"),
    ]
    developers = [
        FrontendDeveloper(name=f"developer-{number}", sandbox_tool=Sandbox(each))
        for number, (each, _) in enumerate(wanted)
    ]
    (tmp_path / "site").mkdir()
    async with lab.worker(*developers):
        calls = [lab.holdfast.execute_tool(each.name, "deploy_page", workspace=tmp_path) for each in developers]
        early = await asyncio.gather(*calls)
        assert {each.error for each in early} == {"there is no site/index.html: call build_page first"}
        (tmp_path / "site" / "index.html").write_text("<h1>Rope</h1>")
        calls = [lab.holdfast.execute_tool(each.name, "deploy_page", workspace=tmp_path) for each in developers]
        done = await asyncio.gather(*calls)
        (tmp_path / "site" / "logo.bin").write_bytes(b"\xff\xfe")
        binary = await lab.holdfast.execute_tool(developers[0].name, "deploy_page", workspace=tmp_path)
    assert [each.content or each.error for each in done] == [told for _, told in wanted]
    assert "'site/logo.bin' is not text" in str(binary.error)


async def test_frontend_developer_tells_what_is_missing(lab: Lab, tmp_path: Path) -> None:
    """Calls in the wrong order, and markup that is not a component, are answered with what to do."""
    lab.server.call_tools(BUILD, COMPONENT, ("write_component", {"name": "../x", "markup": "<p>"}))
    lab.server.call_tools(PLAN, ("write_component", {"name": "all", "markup": "<html><body></body></html>"}))
    lab.server.call_tools(("build_page", {"components": ["header", "footer"], "styles": "</style><script>"}))
    lab.server.call_tools(("build_page", {"components": ["header"], "styles": "</style><script>"}))
    lab.server.say("Done.")
    previews = PreviewServer()
    async with lab.worker(developer := FrontendDeveloper(sandbox_tool=previews)):
        result = await lab.holdfast.run(developer.name, TASK, workspace=tmp_path)
        entries = await lab.entries(result.run_id)
    told = [entry.message.content for entry in entries if entry.kind == "tool_result" and entry.message]
    assert "there is no plan of the page: call plan_page first" in told[0]
    assert "name" in told[2]
    assert "without <html>, <head> and <body>" in told[4]
    assert "there is no component 'footer'" in told[5]
    assert "</style><script>" not in (tmp_path / "site" / "index.html").read_text(), "styles cannot leave their element"
