"""Receipts of commands on the command line."""

from __future__ import annotations

import json

import pytest

from holdfast.cli.commanding import report_receipt
from holdfast.cli.render.output import Output
from holdfast.commands import Receipt

DONE = "{run} compacts its context before the next model call"


def test_a_receipt_says_what_has_to_happen_first(capsys: pytest.CaptureFixture[str]) -> None:
    """A note of the receipt stands beside what was done, and in the JSON."""
    receipt = Receipt(id="c1", seq=4, state="waiting", note="the run waits for a larger budget")
    report_receipt(Output(json=False), "r1", receipt, DONE)
    said = capsys.readouterr()
    assert said.out == "r1 compacts its context before the next model call\n"
    assert said.err.strip() == "the run waits for a larger budget"
    report_receipt(Output(json=True), "r1", receipt, DONE)
    assert json.loads(capsys.readouterr().out)["note"] == "the run waits for a larger budget"


def test_a_receipt_without_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is added if the command takes effect at once."""
    report_receipt(Output(json=False), "r1", Receipt(id="c1", seq=4, state="running"), DONE)
    assert capsys.readouterr().err == ""
