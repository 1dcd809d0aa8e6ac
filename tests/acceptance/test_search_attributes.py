"""Search attributes of a local stack that an older version has started."""

from __future__ import annotations

import asyncio

from temporalio.api.operatorservice.v1 import RemoveSearchAttributesRequest

from holdfast.temporal.connection import connect_temporal
from holdfast.temporal.visibility import missing
from tests.support.cli_stack import CliStack


async def forget(cli: CliStack, *names: str) -> None:
    """Leaves the namespace of a stack as a version without these attributes had it."""
    client = await connect_temporal(cli.temporal_address())
    await client.operator_service.remove_search_attributes(
        RemoveSearchAttributesRequest(namespace="default", search_attributes=names)
    )
    assert await missing(client) == sorted(names)


def test_a_worker_keeps_running_if_another_server_lacks_search_attributes(cli: CliStack) -> None:
    """The namespace of a server that is not the stack's own is checked before the worker is stopped."""
    [before] = [part for part in cli("status", "--json").json["parts"] if part["name"] == "worker"]
    asyncio.run(forget(cli, "AgentRoot"))
    refused = cli("restart", changes={"TEMPORAL_ADDRESS": cli.temporal_address()})
    assert refused.code == 2
    assert "lacks search attributes, which runs need: AgentRoot" in " ".join(refused.err.split())
    assert "stopping" not in refused.err
    [after] = [part for part in cli("status", "--json").json["parts"] if part["name"] == "worker"]
    assert (after["pid"], after["state"]) == (before["pid"], "running")
    assert cli("list").code == 0  # adds it again


def test_a_stack_gets_new_search_attributes_by_itself(cli: CliStack) -> None:
    """The first command of a newer version adds what the namespace of a running stack lacks, and then does its work."""
    asyncio.run(forget(cli, "AgentRoot", "AgentTags"))
    done = cli("list", "--tag", "team=search", "--json")
    assert (done.code, done.json) == (0, []), done.err
