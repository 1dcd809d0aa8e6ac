"""Test of the example."""

from concurrent_agents import at_once, readers

from holdfast.testing import AgentServer, Called, ModelServer, Reply, call_tools


async def test_all_readers_answer(model: ModelServer, serve: AgentServer, called: Called) -> None:
    """Each reader looks the topic up; the results are in the order of the readers."""
    serve()
    model.respond = lambda request: (
        Reply("done") if request.messages[-1]["role"] == "tool" else call_tools(look_up={"topic": "knots"})
    )
    results = await at_once()
    assert [result.metadata["agent"] for result in results] == [reader.name for reader in readers]
    assert len(called("look_up", topic="knots")) == len(readers)
