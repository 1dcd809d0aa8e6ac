"""Messages of errors."""

from __future__ import annotations

import pytest

from holdfast.errors import SHOWN_NAMES, UnknownAgent


@pytest.mark.parametrize(
    ("known", "registered", "message"),
    [
        ([], [], "Agent 'clrek' not found; known: none"),
        (["reader", "clerk"], [], "Agent 'clrek' not found (did you mean 'clerk'?); known: clerk, reader"),
        ([], ["clerk"], "Agent 'clrek' not found (did you mean 'clerk'?); registered: clerk"),
        (["x"], ["y"], "Agent 'clrek' not found; known: x; registered: y"),
    ],
)
def test_an_unknown_agent_is_reported_with_the_known_ones(
    known: list[str], registered: list[str], message: str
) -> None:
    """The message names the agents that can be run, and the one that was probably meant."""
    assert str(UnknownAgent.named("clrek", known, registered)) == message


def test_an_agent_is_suggested_whatever_the_case_of_its_name() -> None:
    """A name that differs only in its case is suggested as it is written."""
    assert "(did you mean 'Clerk'?)" in str(UnknownAgent.named("CLERK", ["Clerk", "reader"]))


def test_a_long_list_is_cut() -> None:
    """A message lists a limited number of names."""
    message = str(UnknownAgent.named("x", [f"a{number:03}" for number in range(SHOWN_NAMES + 3)]))
    assert message.endswith("a049 and 3 more")
