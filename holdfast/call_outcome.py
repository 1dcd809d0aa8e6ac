"""Outcomes of tool calls that must not take effect twice: how their results are known."""

from __future__ import annotations

from typing import Literal

CallOutcome = Literal["recorded", "verified", "resolved", "unclaimed", "unknown"]
"""How the result of a call is known, if it is not simply what the call returned:

- `recorded`: an earlier attempt made the call and recorded this result in the ledger; it was not made again.
- `verified`: the call was lost with its worker, and the tool's function `verify` said that it took effect.
- `resolved`: the call was lost with its worker, and a person said that it took effect.
- `unclaimed`: the call was made without a claim in the ledger, as the store was unavailable.
- `unknown`: the call was lost with its worker, and it is unknown whether it took effect.
"""

OUTCOME_UNKNOWN = (
    "the worker was lost or did not respond while this tool ran, and it is unknown whether the call took effect; "
    "check before you repeat it"
)
"""What the model is told of a call whose outcome is unknown."""

HAPPENED, DID_NOT_HAPPEN = "happened", "did not happen"
"""What a person says of a lost call: outcomes of a wait of kind `call`."""
