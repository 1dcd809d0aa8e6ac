"""Test of the example."""

import asyncio

from database_pool import StockDatabase

from holdfast.testing import AgentServer, Called, ModelServer, Reply, call_tools


async def test_runs_share_the_pool(model: ModelServer, serve: AgentServer, called: Called) -> None:
    """Two runs at once open the pool once."""
    serve()
    agent = StockDatabase()
    model.respond = lambda request: (
        Reply("done") if request.messages[-1]["role"] == "tool" else call_tools(pieces={"article": "rope"})
    )
    results = await asyncio.gather(agent.run("How many?"), agent.run("How many?"))
    assert [result.content for result in results] == ["done", "done"]
    assert [call.result for call in called("pieces")] == ["12", "12"]
    assert agent.opened == 1
