"""Names of metrics, as Prometheus shows them.

Their labels have few values: agents, models, tools and statuses, never ids of runs. Those of Temporal's SDK, which the
same endpoint serves, begin with `temporal_`.
"""

from __future__ import annotations

TURNS = "holdfast_turns_total"
MODEL_CALLS = "holdfast_model_calls_total"
MODEL_ERRORS = "holdfast_model_errors_total"
MODEL_SECONDS = "holdfast_model_call_seconds"
TOKENS = "holdfast_tokens_total"
COST = "holdfast_model_call_cost_usd"
TOOL_CALLS = "holdfast_tool_calls_total"
TOOL_ERRORS = "holdfast_tool_errors_total"
TOOL_SECONDS = "holdfast_tool_call_seconds"
RUNS_ENDED = "holdfast_runs_ended_total"
OPEN_RUNS = "holdfast_open_runs"
MIRROR_LAG = "holdfast_mirror_lag_seconds"
MIRROR_ERRORS = "holdfast_mirror_errors_total"

AGENT, MODEL, TOOL, STATUS, KIND, ERROR = "agent", "model", "tool", "status", "kind", "error"
"""The labels."""

BUCKETS = {
    MODEL_SECONDS: (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320),
    TOOL_SECONDS: (0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    MIRROR_LAG: (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 3600),
    COST: (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
}
"""Upper bounds of histogram buckets, in seconds or US dollars."""
