"""Test of the example."""

from structured_output import Ticket, clerk

from holdfast.testing import AgentServer, ModelServer


async def test_an_answer_is_repaired_and_typed(model: ModelServer, serve: AgentServer) -> None:
    """The model reads what is wrong with its first answer; the second one is a ticket."""
    serve()
    model.say('{"subject": "ropes", "urgency": "high", "pieces": 0}')
    model.say('{"subject": "ropes", "urgency": "high", "pieces": 12}')
    result = await clerk.run("Twelve ropes, quickly!")
    assert result.output == Ticket(subject="ropes", urgency="high", pieces=12)
    assert "pieces" in model.requests[1].messages[-1]["content"]
