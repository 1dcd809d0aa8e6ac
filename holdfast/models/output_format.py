"""The form of answers in requests: the server's own JSON schema format, or the schema in the system prompt.

| the server | what it is sent |
|---|---|
| takes `response_format` | the strict form of the schema, if it has one |
| refuses the schema in its strict form | the schema as it is |
| refuses `response_format`, or this schema | the schema in the system prompt |
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from holdfast.answers import OutputSpec
from holdfast.output_schema import instructions, is_text, strict_schema, wire_schema
from holdfast.types import AgentSpec, Message

_FORMAT = re.compile(
    r"response_?format|json_?schema|json.?mode|structured.?outputs?|response_?(?:mime_?type|schema)|mime type",
    re.IGNORECASE,
)
"""What names the format in a refusal; servers that translate requests use the words of the provider behind them."""
_SCHEMA = re.compile(r"invalid (?:json )?schema|schema for response_?format|in context=", re.IGNORECASE)
"""What blames this schema, and not the format."""


@dataclass(frozen=True, slots=True)
class RefusedFormats:
    """What a server has refused, by model and whether tools are offered, as some models take only one of both."""

    formats: frozenset[str] = frozenset()
    """Requests that are sent without a format at all."""
    strict: frozenset[str] = frozenset()
    """Schemas that it refuses in their strict form."""
    schemas: frozenset[str] = frozenset()
    """Schemas that it refuses in any form."""

    def further(self, refusal: str, spec: AgentSpec, model: str) -> RefusedFormats | None:
        """Returns what is known after a refusal; `None` if nothing in it is about the format.

        Args:
            refusal: the server's words.
            spec: the agent of the refused request.
            model: the model.
        """
        sent = wire_format(spec, model, self)
        if sent is None or not _FORMAT.search(refusal):
            return None
        assert spec.output is not None, "only agents with typed answers send a format"
        if not _SCHEMA.search(refusal):
            return self.without_format(spec, model)
        schema = _schema(spec.output, model)
        if sent["json_schema"]["strict"]:
            return replace(self, strict=self.strict | {schema})
        return replace(self, schemas=self.schemas | {schema})

    def without_format(self, spec: AgentSpec, model: str) -> RefusedFormats | None:
        """Returns what is known if requests like this one are sent without a format; `None` if this one has none."""
        if wire_format(spec, model, self) is None:
            return None
        return replace(self, formats=self.formats | {_request(spec, model)})

    def __bool__(self) -> bool:
        return bool(self.formats or self.strict or self.schemas)

    def __str__(self) -> str:
        return "response_format" if self.formats or self.schemas else "strict" if self.strict else ""


def wire_format(spec: AgentSpec, model: str, refused: RefusedFormats) -> dict[str, Any] | None:
    """Returns the `response_format` of a request; `None` if it has none."""
    output = spec.output
    if output is None or is_text(output.json_schema) or _is_prompted(spec, model, refused):
        return None
    wire = wire_schema(output.json_schema)
    strict = None if _schema(output, model) in refused.strict else strict_schema(wire)
    # Providers read a schema in the order of its properties, so that the order is the type's.
    form = {"name": output.name, "schema": strict or wire, "strict": strict is not None}
    return {"type": "json_schema", "json_schema": form}


def prompted(spec: AgentSpec, messages: list[Message], model: str, refused: RefusedFormats) -> list[Message]:
    """Returns the messages of a request, with the schema in the system prompt if the server takes no other form."""
    output = spec.output
    if output is None or is_text(output.json_schema) or not _is_prompted(spec, model, refused):
        return messages
    asked = instructions(wire_schema(output.json_schema))
    if messages and messages[0].role == "system":
        said = "\n\n".join(filter(None, [messages[0].content, asked]))
        return [Message(seq=messages[0].seq, role="system", content=said), *messages[1:]]
    return [Message(seq=0, role="system", content=asked), *messages]


def _is_prompted(spec: AgentSpec, model: str, refused: RefusedFormats) -> bool:
    if not refused or spec.output is None:
        return False
    return _request(spec, model) in refused.formats or _schema(spec.output, model) in refused.schemas


def _request(spec: AgentSpec, model: str) -> str:
    return f"{model} with tools" if spec.tools else model


def _schema(output: OutputSpec, model: str) -> str:
    return f"{model} {_digest(json.dumps(output.json_schema))}"


@lru_cache(maxsize=256)
def _digest(schema: str) -> str:
    return hashlib.sha256(schema.encode()).hexdigest()
