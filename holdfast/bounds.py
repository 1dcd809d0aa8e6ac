"""Bounds of the texts and numbers that cross process boundaries, and the field types that check them."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, PlainValidator

MAX_SECONDS = 10 * 365 * 86_400
"""Ten years; far below what dates, Temporal's timers and its timeouts accept."""
MAX_TURNS = 1_000_000
MAX_RETRIES = 1_000
MAX_COUNT = 2**53 - 1
"""The largest integer that every reader of JSON keeps exactly; sums of two still fit into 64 bits."""
MAX_COST = 1e12
"""US dollars."""
MAX_KEYWORD_BYTES = 2_000
"""Of a search attribute as escaped JSON; with more than 2,048, Temporal terminates the run."""
MAX_ID_BYTES = 1_000
"""Of ids, activity types and task queues in UTF-8: Temporal's limit."""
MAX_NAME = 1_000  # characters
MAX_MODELS = 16  # of one call, asked one after the other
MAX_PATH = 4_096  # characters, as on Linux
MAX_DIGITS = 300  # of an integer in JSON; readers refuse much longer ones, or make infinity of them
MAX_INTEGER = 10**MAX_DIGITS
MAX_DEPTH = 64  # of nested JSON; strict readers accept some 100 levels

_UNSHOWABLE = {"Cc": "a control character", "Cs": "half a surrogate pair"}


def clean_text(value: Any) -> Any:
    """Replaces lone surrogates in text, which UTF-8 cannot encode, with U+FFFD; returns other values unchanged."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return value


def is_encodable(text: str) -> bool:
    """Whether UTF-8 can encode a text, which it cannot if there is a lone surrogate in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped_bytes(text: str) -> int:
    """Returns the size of a text as escaped JSON, without the quotes."""
    return len(json.dumps(text)) - 2


def name_fault(name: str) -> str | None:
    """Returns why a text cannot be a name that people read and Temporal indexes; `None` if it can."""
    if not name or name != name.strip():
        return "it must not be empty, nor start or end with a space"
    if len(name) > MAX_NAME:
        return f"it has {len(name):,} characters, but at most {MAX_NAME:,} are accepted"
    if (size := escaped_bytes(name)) > MAX_KEYWORD_BYTES:
        return f"it has {size:,} bytes as escaped JSON, but at most {MAX_KEYWORD_BYTES:,} are accepted"
    for sign in name:
        if kind := _UNSHOWABLE.get(unicodedata.category(sign)):
            return f"it contains {kind}, {sign!a}"
    return None


def shortened(text: str, limit: int) -> str:
    """Returns the text, cut to at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def indexed(text: str) -> str:
    """Returns the text, cut so that it fits into a search attribute; a value that does not would end the run."""
    while escaped_bytes(text) > MAX_KEYWORD_BYTES:
        text = text[: min(len(text) - 1, MAX_KEYWORD_BYTES)]
    return text


def _indexed(text: str) -> str:
    if (size := escaped_bytes(text)) > MAX_KEYWORD_BYTES:
        raise ValueError(f"it has {size:,} bytes as escaped JSON, but at most {MAX_KEYWORD_BYTES:,} are accepted")
    return text


def _temporal_name(text: str) -> str:
    if (size := len(text.encode())) > MAX_ID_BYTES:
        raise ValueError(f"it has {size:,} bytes, but at most {MAX_ID_BYTES:,} are accepted")
    if not text or text.startswith("/_sys/"):
        raise ValueError("it must not be empty, nor start with the reserved '/_sys/'")
    return text


def _name(text: str) -> str:
    if fault := name_fault(text):
        raise ValueError(fault)
    return text


def _is_nan(value: float) -> bool:
    return isinstance(value, float) and math.isnan(value)  # an integer may be too large for a float


def _count(value: Any) -> Any:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    return 0 if _is_nan(value) else int(min(max(value, 0), MAX_COUNT))


def _label(value: Any) -> Any:
    return shortened(clean_text(value), MAX_NAME) if isinstance(value, str) else value


def _amount(limit: float) -> BeforeValidator:
    def bounded(value: Any) -> Any:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return value
        return 0.0 if _is_nan(value) else float(min(max(value, 0), limit))

    return BeforeValidator(bounded)


def _json(value: Any) -> Any:
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError(f"{item} is not a JSON number")
        if isinstance(item, int) and abs(item) > MAX_INTEGER:
            raise ValueError(f"an integer has more than {MAX_DIGITS} digits")
        if isinstance(item, dict):
            waiting += [(part, depth + 1) for part in (*item.keys(), *item.values())]
        elif isinstance(item, list | tuple):
            waiting += [(part, depth + 1) for part in item]
        elif clean_text(item) != item:
            return _json(_cleaned(value))
    return value


def _cleaned(value: Any) -> Any:
    """Returns JSON whose texts and keys can be encoded in UTF-8."""
    if isinstance(value, dict):
        return {clean_text(key): _cleaned(part) for key, part in value.items()}
    return [_cleaned(part) for part in value] if isinstance(value, list | tuple) else clean_text(value)


def _models(value: Any) -> Any:
    """Checks the name of a model, or a list of names; a list of one is that name."""
    names = list(value) if isinstance(value, list | tuple) else [value]
    if not names or len(names) > MAX_MODELS or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError(f"it must be the name of a model, or a list of 1 to {MAX_MODELS} names")
    names = [clean_text(name) for name in names]
    if longest := max((len(name) for name in names if len(name) > MAX_NAME), default=0):
        raise ValueError(f"a name has {longest:,} characters, but at most {MAX_NAME:,} are accepted")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{twice[0]!r} is named twice")
    return names if len(names) > 1 else names[0]


Text = Annotated[str, BeforeValidator(clean_text)]
"""Text that can be encoded in UTF-8."""
Models = Annotated[str | list[str], PlainValidator(_models, json_schema_input_type=str | list[str])]
"""A model, or a list of models of which the first that is available answers."""
Label = Annotated[str, BeforeValidator(_label)]
"""A short text that a provider chooses; a longer one is cut."""
Name = Annotated[str, AfterValidator(_name)]
"""A name that people read and that is a search attribute."""
Indexed = Annotated[str, AfterValidator(_indexed)]
"""Text that fits into a search attribute."""
TemporalName = Annotated[str, AfterValidator(_temporal_name)]
"""An activity type or a task queue."""
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
"""A timeout."""
Turns = Annotated[int, Field(ge=1, le=MAX_TURNS)]
Window = Annotated[int, Field(ge=1_000, le=MAX_COUNT)]
"""Tokens that a model accepts; with fewer than a thousand there is no room to work in."""
Count = Annotated[int, BeforeValidator(_count)]
"""A number that a provider reports; a value out of bounds becomes the nearest bound, NaN becomes 0."""
Cost = Annotated[float, _amount(MAX_COST)]
"""US dollars, bounded like `Count`."""
Elapsed = Annotated[float, _amount(MAX_SECONDS)]
"""Seconds that something took, bounded like `Count`."""
Json = Annotated[JsonValue, AfterValidator(_json)]
"""JSON that every reader accepts: finite numbers of bounded length, bounded depth, text that can be encoded."""
