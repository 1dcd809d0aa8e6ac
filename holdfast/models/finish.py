"""Reasons why a reply ends: those of all providers, in OpenAI's terms."""

from __future__ import annotations

INTERRUPTED = "error"
"""The provider could not complete the reply."""

_REASONS = {
    "length": ("max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"),
    "content_filter": (
        "safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "guardrail_intervened",
        "refusal",
    ),
    "tool_calls": ("tool_use", "function_call"),
    # `cancelled` is what a run records if its user interrupts a reply.
    INTERRUPTED: (
        "abort",
        "aborted",
        "canceled",
        "cancelled",
        "insufficient_system_resource",
        "malformed_function_call",
        "network_error",
        "timeout",
    ),
    "stop": ("end_turn", "eos", "eos_token", "stop_sequence", "complete", "completed"),
}
_BY_NAME = {name: reason for reason, names in _REASONS.items() for name in (reason, *names)}


def finish_reason(reported: object) -> str:
    """Returns a provider's finish reason in OpenAI's terms; one that is not known is returned unchanged."""
    text = str(reported)
    return _BY_NAME.get(text.lower(), text)
