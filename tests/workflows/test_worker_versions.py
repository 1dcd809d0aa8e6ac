"""Worker versions: which version of a Worker Deployment serves a run, and when an open run changes it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from holdfast import Agent, SettingsError, tool
from holdfast.composition.deployment import deployment_config, report_version
from holdfast.composition.worker_options import BUILD_ID
from holdfast.settings import Settings
from holdfast.stack.binary import find_server
from holdfast.temporal.connection import connect_temporal
from holdfast.testing import ChatRequest, ChatToolCall, Reply
from tests.support.lab import Lab, contents, eventually


def clerk_of(build: str) -> Agent:
    """The agent as a version of the worker has it."""

    @tool(read_only=True)
    async def version() -> str:
        """Returns the version of the worker."""
        return build

    return Agent(name="clerk", tools=[version])


@asynccontextmanager
async def worker_of(lab: Lab, deployment: str, build: str, versioning: str) -> AsyncIterator[None]:
    """A worker of a version."""
    settings = Settings(
        **lab.settings.model_dump(exclude_unset=True)
        | {"worker_deployment": deployment, "worker_build_id": build, "worker_versioning": versioning}
    )
    client = await connect_temporal(settings.temporal_address or "")
    async with replace(lab, client=client, settings=settings).worker(clerk_of(build), max_cached_workflows=10):
        yield


async def make_current(lab: Lab, deployment: str, build: str) -> None:
    """Makes a version the current one, with Temporal's command line, once its worker polls."""
    program = (await find_server(print)).path

    async def accepted() -> bool:
        process = await asyncio.create_subprocess_exec(
            str(program), "worker", "deployment", "set-current-version", "--deployment-name", deployment,
            "--build-id", build, "--yes", "--address", lab.settings.temporal_address or "",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        return await process.wait() == 0

    await eventually(accepted)


async def takes_new_runs(lab: Lab, build: str) -> bool:
    """Whether a run that is started now is taken by a version: Temporal's routing follows its configuration later."""
    probe = await lab.holdfast.start("clerk", "Go.")
    events = lab.client.get_workflow_handle(probe.id).fetch_history_events(wait_new_event=True)
    async for event in events:
        if event.HasField("workflow_task_completed_event_attributes"):
            version = event.workflow_task_completed_event_attributes.deployment_version
            break
    await probe.cancel()
    return version.build_id == build


def asks_twice(request: ChatRequest) -> Reply:
    """Calls the tool in two turns, then answers."""
    made = sum(message["role"] == "tool" for message in request.messages)
    return Reply("done") if made == 2 else Reply(tool_calls=[ChatToolCall("version", {})])


@pytest.mark.parametrize(("versioning", "second"), [("auto-upgrade", "v2"), ("pinned", "v1")])
async def test_open_runs_and_versions(versioning: str, second: str, lab: Lab) -> None:
    """New runs begin on the current version; an open run moves to it, or stays where it is pinned."""
    deployment = f"holdfast-{uuid.uuid4().hex[:8]}"
    lab.server.respond = asks_twice
    async with worker_of(lab, deployment, "v1", versioning):
        await make_current(lab, deployment, "v1")
        lab.server.hold()
        run = await lab.holdfast.start("clerk", "Go.")
        await lab.server.wait_for_requests(1)
        async with worker_of(lab, deployment, "v2", versioning):
            await make_current(lab, deployment, "v2")
            lab.server.release()
            assert (await run.result(60)).success
            told = [text for role, text in contents(await lab.entries(run.id)) if role == "tool"]
            assert told == [second, second]
            new = await lab.holdfast.run("clerk", "Go.")
            told = [text for role, text in contents(await lab.entries(new.run_id)) if role == "tool"]
            assert told == ["v2", "v2"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"worker_deployment": "ours"}, "WORKER_DEPLOYMENT needs WORKER_BUILD_ID"),
        ({"worker_build_id": "v1"}, "WORKER_BUILD_ID needs WORKER_DEPLOYMENT"),
    ],
)
def test_half_a_version_is_refused(given: dict[str, Any], says: str) -> None:
    """A worker with a deployment but no version, or the other way round, does not start."""
    with pytest.raises(SettingsError, match=says):
        deployment_config(Settings(**given))
    assert deployment_config(Settings()) is None


async def test_a_version_without_runs_says_what_to_do(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """A worker whose version gets no new runs logs the command after which it does; then it says that it serves."""
    caplog.set_level("INFO")
    deployment = f"holdfast-{uuid.uuid4().hex[:8]}"
    config = deployment_config(Settings(worker_deployment=deployment, worker_build_id="v1"))
    assert config is not None
    await report_version(lab.client, config)
    assert f"set-current-version --namespace default --deployment-name {deployment} --build-id v1" in caplog.text
    async with worker_of(lab, deployment, "v1", "pinned"):
        await make_current(lab, deployment, "v1")
    caplog.clear()
    await report_version(lab.client, config)
    assert "worker version serves new runs" in caplog.text


@pytest.mark.parametrize("versioning", ["auto-upgrade", "pinned"])
async def test_runs_from_before_the_first_version_move_to_it(versioning: str, lab: Lab) -> None:
    """A run of workers without a version continues on the first version of a deployment, once that is current."""
    deployment = f"holdfast-{uuid.uuid4().hex[:8]}"
    lab.server.respond = asks_twice
    lab.server.hold()
    async with lab.worker(clerk_of("none"), max_cached_workflows=10):
        run = await lab.holdfast.start("clerk", "Go.")
        await lab.server.wait_for_requests(1)
        async with worker_of(lab, deployment, "v1", versioning):
            await make_current(lab, deployment, "v1")
            await eventually(lambda: takes_new_runs(lab, "v1"))
            lab.server.release()
            assert (await run.result(60)).success
            told = [text for role, text in contents(await lab.entries(run.id)) if role == "tool"]
    assert told == ["v1", "v1"]


async def test_a_worker_without_a_version_names_that_of_holdfast(lab: Lab) -> None:
    """Histories say which version of Holdfast has made each decision, also where no deployment names it."""
    lab.server.say("Done.")
    async with lab.worker(Agent(name="clerk")):
        run = await lab.holdfast.start("clerk", "Go.")
        assert (await run.result()).success
    history = await lab.client.get_workflow_handle(run.id).fetch_history()
    made = [event.workflow_task_completed_event_attributes for event in history.events]
    assert {each.worker_version.build_id for each in made if each.identity} == {BUILD_ID}
