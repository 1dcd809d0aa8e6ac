"""Test of the example."""

from quickstart import clerk

from holdfast.testing import AgentServer, Called, ModelServer


async def test_the_clerk_looks_it_up(model: ModelServer, serve: AgentServer, called: Called) -> None:
    """The model sees what the tool returned."""
    serve()
    model.call_tools(stock={"article": "rope"})
    model.say("There are 12.")
    result = await clerk.run("How many ropes are there?")
    assert result.content == "There are 12."
    assert called("stock", article="rope")[0].result == "12"
