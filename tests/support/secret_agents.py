"""An agent whose every part contains a secret, for tests of what is written where."""

from __future__ import annotations

from holdfast import Agent, tool

CANARY = "xylophoneQuartzJackdaw"


@tool
async def tell(question: str) -> str:
    """Returns a long text with the question and the secret."""
    return f"{question}, that is {CANARY}\n" * 8_000


@tool(read_only=True)
async def stumble(question: str) -> str:
    """Fails with the secret in its error."""
    raise ValueError(f"cannot say {question} nor {CANARY}")


keeper = Agent(name="keeper", system_prompt=f"You keep {CANARY}.", tools=[tell, stumble])
