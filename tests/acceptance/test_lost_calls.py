"""Model calls that are lost with their worker: what they have used is counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.pricing import ModelPrice
from holdfast.testing import Reply
from holdfast.types import Usage
from tests.support.lab import eventually
from tests.support.processes import Site

PRICE = ModelPrice(input=10, output=100)
USED = Usage(input_tokens=1_000, output_tokens=100)
TEXT = "This never comes to an end. " * 20


@pytest.fixture
async def site(temporal_address: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Where the workers of a test run; its model has a price."""
    async with Site.open(temporal_address, tmp_path) as site:
        site.environment["MODEL_PRICES"] = f'{{"test-model": {PRICE.model_dump_json()}}}'
        yield site


async def test_killed_call_counted(site: Site) -> None:
    """A call whose worker is killed counts with what it had sent and streamed, and so does its cost."""
    site.server.reply(Reply(TEXT, hang_after=10))
    site.server.reply(Reply("Both are noted.", usage=USED))
    worker = await site.worker()
    run = await site.start("Note 1 and 2.")

    async def has_told() -> bool:
        described = await site.client.get_workflow_handle(run.id).describe()
        return any(pending.heartbeat_details.payloads for pending in described.raw_description.pending_activities)

    await eventually(has_told)
    worker.kill()
    await site.worker()
    result = await run.result(60)
    assert result.content == "Both are noted."
    usage = result.usage
    assert usage.requests == 2
    lost_input, lost_output = usage.input_tokens - USED.input_tokens, usage.output_tokens - USED.output_tokens
    assert lost_input > 0
    assert 0 < lost_output < len(TEXT) // 4
    assert usage.cost_usd == pytest.approx(PRICE.cost(usage))


@pytest.mark.slow
async def test_killed_at_once_counted(site: Site) -> None:
    """With a budget, a call counts although its worker is killed before it has streamed anything."""
    site.server.reply(Reply(hang=True))
    site.server.reply(Reply("Both are noted.", usage=USED))
    worker = await site.worker()
    run = await site.holdfast.start("clerk", "Note 1.", workspace=site.workspace, budget={"tokens": 1_000_000})
    await site.server.wait_for_requests(1)
    worker.kill()
    await site.worker()
    result = await run.result(60)
    assert result.usage.requests == 2
    assert result.usage.input_tokens > USED.input_tokens
    assert result.usage.output_tokens == USED.output_tokens
