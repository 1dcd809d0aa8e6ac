"""JSON schemas of answers: what a model is told of one, and what it has written. Pure.

Providers accept only objects. A schema of anything else is wrapped into `{"result": …}`, and so is the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

WRAPPED = "result"
"""The property that holds an answer which is not an object."""
NAMES = "$defs"
_FENCE = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_KEPT_TEXT = """
    type properties required additionalProperties items anyOf enum const $ref $defs description pattern multipleOf
    minimum maximum exclusiveMinimum exclusiveMaximum minItems maxItems
"""
_KEPT = frozenset(_KEPT_TEXT.split())
"""Keywords that the strict form of a schema may have."""
_LEFT_OUT_TEXT = """
    title default examples format minLength maxLength uniqueItems discriminator deprecated readOnly writeOnly $schema
    $id $comment
"""
_LEFT_OUT = frozenset(_LEFT_OUT_TEXT.split())
"""Keywords that the strict form leaves out: answers are validated by the whole schema anyway."""


class NotStrict(ValueError):
    """A schema has no strict form."""


def is_text(schema: Mapping[str, Any]) -> bool:
    """Whether an answer is any text, so that the model is told nothing, and writes no JSON."""
    return schema.get("type") == "string" and not schema.keys() & {"enum", "const"}


def wire_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the schema that a model is told, which is that of an object."""
    root = _root(schema)
    if root.get("type") == "object":
        return root
    names = {NAMES: schema[NAMES]} if NAMES in schema else {}
    inner = {key: value for key, value in schema.items() if key != NAMES}
    whole = {"type": "object", "properties": {WRAPPED: inner}, "required": [WRAPPED], "additionalProperties": False}
    return {**whole, **names}


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the strict form of a wire schema, in which models cannot deviate from it; `None` if it has none."""
    try:
        return _strict(schema)
    except NotStrict:
        return None


def json_in(text: str, schema: Mapping[str, Any]) -> str:
    """Returns the JSON text of an answer, without a fence around it and without the object that wraps it.

    What is not JSON is returned as it is.
    """
    text = text.strip()
    if (fences := _FENCE.findall(text)) and len(fences) == 1 and not text.startswith(("{", "[")):
        text = fences[0].strip()
    if _root(schema).get("type") == "object":
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_wrapped = isinstance(value, dict) and value.keys() == {WRAPPED}
    return json.dumps(value[WRAPPED], ensure_ascii=False) if is_wrapped else text


def instructions(schema: Mapping[str, Any]) -> str:
    """Returns the request for JSON of a wire schema, for models that take it in no other form."""
    shown = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    return f"Answer with JSON only, without any other text. It must match this JSON schema:\n{shown}"


def _root(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a schema whose root is no reference."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith(f"#/{NAMES}/"):
        return dict(schema)
    names = schema.get(NAMES)
    found = names.get(reference.removeprefix(f"#/{NAMES}/")) if isinstance(names, Mapping) else None
    return {**found, NAMES: names} if isinstance(found, Mapping) else dict(schema)


def _strict(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or not schema:
        raise NotStrict
    schema = _single(schema)
    if unknown := schema.keys() - _KEPT - _LEFT_OUT:
        raise NotStrict(str(unknown))
    if "$ref" in schema:  # nothing may stand beside a reference
        names = {NAMES: _each(schema[NAMES])} if NAMES in schema else {}
        return {"$ref": schema["$ref"], **names}
    strict = {key: value for key, value in schema.items() if key in _KEPT}
    if schema.get("type") == "object":
        properties = schema.get("properties")
        if not properties or schema.get("additionalProperties", False) is not False:
            raise NotStrict
        strict |= {"properties": _each(properties), "required": list(properties), "additionalProperties": False}
    if schema.get("type") == "array":
        strict["items"] = _strict(schema.get("items"))
    if "anyOf" in schema:
        strict["anyOf"] = [_strict(choice) for choice in schema["anyOf"]]
    if not strict.keys() & {"type", "anyOf", "enum", "const"}:
        raise NotStrict
    if NAMES in schema:
        strict[NAMES] = _each(schema[NAMES])
    return strict


def _each(schemas: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _strict(schema) for name, schema in schemas.items()}


def _single(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a schema without `oneOf`, and without an `allOf` that has one part."""
    schema = dict(schema)
    if "oneOf" in schema and "anyOf" not in schema:
        schema["anyOf"] = schema.pop("oneOf")
    if len(parts := schema.get("allOf") or []) == 1 and isinstance(parts[0], Mapping):
        del schema["allOf"]
        schema = {**parts[0], **schema}
    return schema
