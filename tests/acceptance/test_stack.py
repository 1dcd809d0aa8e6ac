"""The local stack, with a small worker: starting, recovering from crashes, stopping."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

import holdfast
from holdfast.errors import TemporalUnavailable, WorkerUnavailable
from holdfast.stack import Replace, Stack, down, kill, local_address, server, sockets, start_worker, status, ui_url
from holdfast.stack.worker import identity
from holdfast.temporal import visibility
from holdfast.temporal.connection import connect_temporal
from tests.support.place import Place


async def connect(stack: Stack, namespace: str = "default") -> Client:
    return await connect_temporal(stack.address, namespace)


async def retention_days(client: Client) -> int:
    answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return answer.config.workflow_execution_retention_ttl.ToTimedelta().days


async def test_everything_comes_up_stays_up_and_goes_down(place: Place) -> None:
    """`up` starts everything once, repeating it changes nothing, and `down` stops all of it."""
    without_model: dict[str, Any] = {"openai_api_key": None}
    stack = await place.up(worker=True, **without_model)
    assert stack.temporal
    assert stack.model
    assert stack.worker
    found = await status(place.settings(**without_model))
    assert {part.name: part.state for part in found.parts} == dict.fromkeys(("temporal", "model", "worker"), "running")
    assert found.pollers == [identity(stack.worker.pid)]
    assert found.parts[0].version == stack.temporal.version
    assert local_address(place.home) == stack.address
    environment = json.loads((place.home / "environment.json").read_text())
    assert environment["OPENAI_BASE_URL"] == f"http://{stack.model.address}/v1"
    assert environment["HOLDFAST_SCRIPTED"] == "1"
    page = ui_url(place.settings(), "a-run")
    assert page is not None
    with await asyncio.to_thread(urllib.request.urlopen, page) as answer:
        assert answer.status == 200

    said_before = len(place.said)
    assert await place.up(worker=True, **without_model) == stack
    assert len(place.said) == said_before

    await down(place.settings(), place.said.append)
    assert not any(part.is_alive for part in (stack.temporal, stack.model, stack.worker))
    assert "ended in order" in stack.worker.log.read_text()
    assert "stopping the worker" in place.said[-3]
    assert "stopping the Temporal server" in place.said[-1]
    said_before = len(place.said)
    await down(place.settings(), place.said.append)
    assert len(place.said) == said_before
    assert (await status(place.settings())).parts[0].state == "stopped"


async def test_no_page_of_another_site_reaches_the_server(place: Place) -> None:
    """The HTTP API answers no request for a foreign host, as a page sends whose host name resolves to this machine."""
    stack = await place.up()
    assert stack.temporal
    ui = int(str(stack.ui).split("/")[2].rpartition(":")[2])
    ports = [port for port in listening() - {ui} if sockets.is_served_by(stack.temporal.pid, port)]
    answers = {port: (http_status(port, "localhost"), http_status(port, "evil.example:80")) for port in ports}
    assert (200, 403) in answers.values()
    assert not [port for port, (_, foreign) in answers.items() if foreign == 200]


def listening() -> set[int]:
    """Returns the ports on which servers of this machine listen."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == sockets.LISTEN}


def http_status(port: int, host: str) -> int:
    """Returns the status of a request to Temporal's HTTP API; 0 if the port does not speak HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/v1/namespaces", headers={"Host": host})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


async def test_a_killed_server_comes_back_with_everything(place: Place) -> None:
    """After `kill -9` of the server, `up` restarts it at the same address with every run."""
    before = await place.up(worker=True)
    assert before.temporal
    assert before.worker
    handle = await (await connect(before)).start_workflow("Nothing", id="kept", task_queue="nobody")
    await kill(before.temporal)
    after = await place.up(worker=True)
    assert after.temporal
    assert after.temporal.pid != before.temporal.pid
    assert (after.address, after.ui, after.worker) == (before.address, before.ui, before.worker)
    client = await connect(after)
    assert (await client.get_workflow_handle("kept").describe()).run_id == handle.first_execution_run_id
    await client.execute_workflow("Nothing", id="new", task_queue="holdfast")


async def test_the_namespace_is_made_ready(place: Place) -> None:
    """The namespace has our search attributes and keeps histories for 90 days."""
    stack = await place.up()
    client = await connect(stack)
    assert await visibility.missing(client) == []
    assert await retention_days(client) == server.RETENTION.days == 90

    other = await place.up(temporal_namespace="other")  # on a database that is there already
    assert "restarting the Temporal server to create namespace 'other'" in " ".join(place.said)
    client = await connect(other, "other")
    assert await visibility.missing(client) == []
    assert await retention_days(client) == 90


@pytest.mark.parametrize("content", ["", '{"ports": {"temp'])
async def test_a_lost_state_file_does_not_lead_to_a_second_server_or_worker(place: Place, content: str) -> None:
    """Without its state file the stack still finds what runs, with its addresses, and starts no second one."""
    before = await place.up(worker=True)
    (place.home / "stack.json").write_text(content)
    assert local_address(place.home) == before.address
    after = await place.up(worker=True)
    assert after == before
    assert "was renamed to stack.damaged.json" in place.said[-1]


async def test_a_lost_state_file_does_not_move_the_stack(place: Place) -> None:
    """A server that has ended is started again at its address, which a running worker knows, without the state file."""
    before = await place.up()
    assert before.temporal
    await kill(before.temporal)
    (place.home / "stack.json").unlink()
    after = await place.up()
    assert (after.address, after.ui) == (before.address, before.ui)


async def test_the_stack_moves_when_its_port_is_taken(place: Place) -> None:
    """If the port is taken by another program, the stack uses another port."""
    before = await place.up()
    await down(place.settings(), place.said.append)
    port = int(before.address.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        moved = await place.up()
        assert moved.address != before.address
    await down(place.settings(), place.said.append)
    assert (await place.up()).address == moved.address  # and keeps its new one


async def test_two_at_once_start_one(place: Place) -> None:
    """Two commands that start the stack at the same time share one."""
    one, two = await asyncio.gather(place.up(), place.up())
    assert one == two
    assert "another command is changing the stack; waiting for it" in place.said


async def test_changed_settings_restart_the_worker(place: Place) -> None:
    """A changed setting restarts the worker; the reason is shown, secrets are not."""
    before = await place.up(worker=True)
    after = await place.up(worker=True, openai_api_key=SecretStr("another-secret"), log_level="DEBUG")
    assert before.worker
    assert after.worker
    assert not before.worker.is_alive
    assert json.loads((place.home / "environment.json").read_text())["OPENAI_API_KEY"] == "another-secret"
    assert (
        "restarting the worker (other settings: LOG_LEVEL, OPENAI_API_KEY); its runs resume automatically" in place.said
    )
    assert "secret" not in (place.home / "stack.json").read_text() + "".join(place.said)


UP_TWICE = """
import asyncio, json, os, pathlib, subprocess, sys
from holdfast.scripted import assistant
from holdfast.settings import Settings
from holdfast.stack import Replace, up

async def main(home, address):
    said = []
    async def model(replace):
        settings = Settings(holdfast_home=home, temporal_address=address)
        return (await up(settings, said.append, worker=False, supervised=False, replace=replace)).model
    found = [await model(Replace.IF_CHANGED) for _ in range(2)]
    code = pathlib.Path(assistant.__file__)
    code.write_text(code.read_text() + "# edited")
    shown = subprocess.run(
        [sys.executable, "-m", "holdfast", "status", "--json"], capture_output=True, text=True,
        env={**os.environ, "HOLDFAST_HOME": home, "TEMPORAL_ADDRESS": address},
    )
    status = [json.loads(shown.stdout)["outdated_model"], shown.stderr]
    found += [await model(replace) for replace in (Replace.NEVER, Replace.IF_CHANGED, Replace.IF_CHANGED)]
    print(json.dumps([[(part.pid, part.address) for part in found], said, status]))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_edited_answers_restart_the_scripted_model_server(
    place: Place, temporal_address: str, tmp_path: Path
) -> None:
    """`up` replaces the scripted model server if its code has changed, at the same address, and only then.

    `status` says before that it answers with older code, and what changes that.
    """
    package = tmp_path / "copy" / "holdfast"
    shutil.copytree(Path(holdfast.__file__).parent, package)
    command = [sys.executable, "-c", UP_TWICE, str(place.home), temporal_address]
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    done = await asyncio.to_thread(subprocess.run, command, env=environment, cwd=place.root, capture_output=True)
    assert done.returncode == 0, done.stderr
    found, said, (why, shown) = json.loads(done.stdout)
    (first, address), *_ = found
    last = found[-1][0]
    assert found == [[first, address]] * 3 + [[last, address]] * 2
    assert last != first
    edited = Path("holdfast/scripted/assistant.py")
    assert [line for line in said if "restarting" in line] == [
        f"restarting the scripted model server: its code has changed: {edited}"
    ]
    assert why == f"its code has changed: {edited}"
    assert "the running scripted model server answers with older code: its code has changed: " in " ".join(
        shown.split()
    )


async def test_only_up_and_restart_replace_a_worker(place: Place) -> None:
    """A command with other settings leaves the running worker alone, and starts no model server beside it."""
    before = await place.up(worker=True)
    said_before = len(place.said)
    other: dict[str, Any] = {"openai_api_key": None, "holdfast_agents": ("other",)}
    assert await place.up(worker=True, replace=Replace.NEVER, **other) == before
    assert len(place.said) == said_before
    assert before.worker
    assert before.worker.is_alive
    assert set(place.state().parts) == {"temporal", "worker", "supervisor"}

    after = await place.up(worker=True, replace=Replace.ALWAYS)
    assert after.worker
    assert after.worker.pid != before.worker.pid
    assert "restarting the worker (as you asked); its runs resume automatically" in place.said
    assert "ended in order" in after.worker.log.read_text()


async def test_only_the_worker_can_be_started_again(place: Place) -> None:
    """A worker that crashed alone is started again, on a stack that is running."""
    with pytest.raises(TemporalUnavailable, match="the local stack is not running; start it with `up`"):
        await start_worker(place.settings(), place.said.append, program=place.program)
    before = await place.up(worker=True)
    assert before.worker
    await kill(before.worker)
    again = await start_worker(place.settings(), place.said.append, program=place.program)
    assert again.is_alive
    assert again.pid != before.worker.pid
    assert (await place.up(worker=True)).worker == again


async def test_a_worker_that_ends_is_explained(place: Place) -> None:
    """If the worker ends during `up`, the command says why at once."""
    (place.root / "worker.py").write_text("raise SystemExit('SOME_SETTING=3 is not accepted')")
    with pytest.raises(WorkerUnavailable, match=r"(?s)the worker ended; its log, \S+worker.log, ends:.*SOME_SETTING=3"):
        await place.up(worker=True)


async def test_a_broken_database_is_explained(place: Place) -> None:
    """A damaged Temporal database is named as the reason that the server does not start."""
    place.home.mkdir()
    (place.home / "temporal.db").write_text("not a database, but long enough to be looked at")
    with pytest.raises(TemporalUnavailable, match=r"(?s)the Temporal server ended; its log.*file is not a database"):
        await place.up()


async def test_an_address_that_does_not_answer_is_named(place: Place) -> None:
    """An unavailable cluster is named, and no local server is started in its place."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(TemporalUnavailable, match=f"^TEMPORAL_ADDRESS={address}: .*unset TEMPORAL_ADDRESS"):
        await place.up(temporal_address=address)
    found = await status(place.settings(temporal_address=address))
    assert (found.parts[0].state, found.parts[0].address, found.parts[0].pid) == ("unreachable", address, None)


async def test_no_way_to_a_server_names_all_ways(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without any Temporal server, the message lists every way to get one; one that runs is not stopped before."""
    running = (await place.up()).temporal
    programs = tmp_path / "programs"
    programs.mkdir()
    impostor = programs / "temporal"
    impostor.write_text("#!/bin/sh\necho 'temporal, a calendar'\n")
    impostor.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing can be downloaded
    with pytest.raises(TemporalUnavailable) as raised:
        await place.up(temporal_namespace="another")
    assert running is not None
    assert running.is_alive
    message = str(raised.value)
    assert f"on PATH: {impostor} is not Temporal's program" in message
    assert "download by the Temporal SDK: " in message
    assert "build with Go: no `go` on PATH" in message
    for way in ("set TEMPORAL_ADDRESS", "`temporal` on PATH", "install Go 1.25"):
        assert way in message
    assert [path.name for path in (tmp_path / "cache/holdfast/bin").iterdir()] == [".lock"]
