"""Test of the example."""

from pathlib import Path

import pytest
from approval import cashier

from holdfast.testing import AgentServer, ModelServer


async def test_a_person_decides_about_large_payments(
    model: ModelServer, serve: AgentServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small payment is made at once, a large one after it was approved, and a denied one never."""
    monkeypatch.chdir(tmp_path)
    serve()
    model.call_tools(
        ("pay", {"receiver": "Ada", "amount": 5}),
        ("pay", {"receiver": "Bo", "amount": 500}),
        ("pay", {"receiver": "Cy", "amount": 900}),
    )
    model.say("Done.")
    run = await cashier.start("Pay them.")
    async for event in run.events():
        if event.kind == "wait":
            waiting = event.data["wait"]
            if waiting["data"]["arguments"]["receiver"] == "Bo":
                await run.approve(waiting["id"], by="Eve")
            else:
                await run.deny(waiting["id"], reason="too much", by="Eve")
    assert (await run.result()).content == "Done."
    assert sorted((tmp_path / "payments.txt").read_text().splitlines()) == ["Ada 5", "Bo 500"]
