"""The client's errors about a Temporal server that is not set up for runs."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from holdfast import Holdfast, RunNotFound, SettingsError, TemporalUnavailable
from holdfast.search_attributes import SEARCH_ATTRIBUTES
from holdfast.temporal.connection import connect_temporal
from tests.support.lab import eventually

RETENTION = Duration(seconds=86_400)


@pytest.fixture
async def bare(temporal_address: str) -> Client:
    """A client of a new namespace, which has no search attributes."""
    client = await connect_temporal(temporal_address, f"bare-{uuid.uuid4().hex[:8]}")
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=RETENTION)
    )

    async def is_known() -> bool:
        try:
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
            await client.count_workflows()
        except RPCError:
            return False
        return True

    await eventually(is_known)
    return client


async def start(holdfast: Holdfast) -> object:
    return await holdfast.start("researcher", "Hello.")


async def list_runs(holdfast: Holdfast) -> object:
    return [run async for run in holdfast.list(agent="researcher")]


async def send(holdfast: Holdfast) -> object:
    return await holdfast.session("chat-1", "researcher").send("Hello.")


@pytest.mark.parametrize("call", [start, list_runs, send])
async def test_missing_search_attributes_are_named(bare: Client, call: Callable[[Holdfast], Awaitable[object]]) -> None:
    """On a server as `temporal server start-dev` starts it, the error has the command that sets it up."""
    with pytest.raises(SettingsError, match=f"namespace '{bare.namespace}' lacks search attributes") as error:
        await call(Holdfast(bare))
    assert f"temporal operator search-attribute create --namespace {bare.namespace}" in str(error.value)
    assert "AgentWaitsFor and AgentStage. On Temporal Cloud" in str(error.value)
    assert all(f"--name {name} --type {kind}" in str(error.value) for name, kind in SEARCH_ATTRIBUTES.items())


async def test_an_unknown_namespace_is_a_setting(temporal_address: str) -> None:
    """A namespace that the server does not have is not told as an unknown run."""
    holdfast = Holdfast(await connect_temporal(temporal_address, "nowhere"))
    calls = [start(holdfast), list_runs(holdfast), holdfast.check_worker(), holdfast.handle("x").status()]
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, SettingsError), outcome
        assert "has no namespace 'nowhere': set TEMPORAL_NAMESPACE" in str(outcome)


async def test_an_unknown_run_is_named(temporal_address: str) -> None:
    """The message about an unknown run has its id, and says where the known ones are."""
    holdfast = Holdfast(await connect_temporal(temporal_address))
    with pytest.raises(RunNotFound, match="no run 'nothing-here'; see `list`"):
        await holdfast.handle("nothing-here").status()


async def test_keys_of_another_server_are_not_used_here(
    temporal_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A local server is reached without TLS, though Temporal's variables and its file are set up for Temporal Cloud."""
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.default]\naddress = "my.tmprl.example:7233"\nnamespace = "mine"\napi_key = "secret"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    monkeypatch.setenv("TEMPORAL_API_KEY", "another secret")
    client = await connect_temporal(temporal_address)
    assert client.namespace == "default"
    assert not client.service_client.config.tls
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    with pytest.raises(TemporalUnavailable):  # it is named by the variables, so they are used
        await connect_temporal(temporal_address)
