"""Questions that an MCP server asks a person while it performs a call, and their answers."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from holdfast.bounds import Json, Text
from holdfast.data import Tolerant
from holdfast.json_schema import faults

DECLINE, CANCEL, ACCEPT = "decline", "cancel", "accept"
_WORDS = {"true": True, "yes": True, "y": True, "false": False, "no": False, "n": False}
_HINTS = {"minimum", "maximum", "minLength", "maxLength", "format", "default", "enum"}
"""Keywords of a field that a person is told."""

Action = Literal["accept", "decline", "cancel"]


class ServerQuestion(Tolerant):
    """One question of a server."""

    message: Text
    key: Text = ""
    """By which the server knows it, among those that it asks at once."""
    form: dict[Text, Json] = {}
    """JSON schema of the answer, an object with flat fields; without any, a person only consents."""
    url: Text | None = None
    """A page that the person is to open, instead of a form."""


class ServerAnswer(Tolerant):
    """What a person has answered, in MCP's words."""

    question: ServerQuestion
    action: Action
    content: dict[Text, Json] | None = None
    """The fields of the form, if it was accepted."""


class Elicitation(Tolerant):
    """The state of a call whose server asks questions: what is asked now, and what was answered before."""

    server: Text
    questions: list[ServerQuestion]
    """Those that are asked now, in their order."""
    answers: list[ServerAnswer] = []
    """All answers, oldest first; the last ones are to `questions`."""
    earlier: Annotated[int, Field(ge=0)] = 0
    """Number of the answers to earlier questions of the call."""
    state: Text | None = None
    """What the server wants to be told again with the answers; `None` if it keeps the call open meanwhile."""
    held_in: Text | None = None
    """Task queue that only the process serves which keeps the call open; `None` means that it is that of the tool."""
    repeatable: bool = True
    """Whether the call may be made again, with the answers, if the process that keeps it open is lost."""

    @property
    def unanswered(self) -> ServerQuestion | None:
        """The next question; `None` means that all are answered."""
        place = len(self.answers) - self.earlier
        return self.questions[place] if place < len(self.questions) else None

    def answered_by(self, known: list[ServerAnswer]) -> Elicitation | None:
        """Returns the state after earlier answers to the same questions; `None` if one was not answered before."""
        found = [next((each for each in known if each.question == question), None) for question in self.questions]
        given = [each for each in found if each is not None]
        return self.model_copy(update={"answers": given, "earlier": 0}) if len(given) == len(found) else None

    def answered(self, answer: ServerAnswer) -> Elicitation:
        """Returns the state after one more answer."""
        return self.model_copy(update={"answers": [*self.answers, answer]})


def asked_text(server: str, question: ServerQuestion) -> str:
    """Returns a question as a person reads it, with what an answer needs."""
    lines = [f"{server} asks: {question.message}"]
    if question.url is not None:
        lines.append(f"Open {question.url}, then answer {ACCEPT!r}.")
    elif len(fields := _fields(question)) == 1:
        lines += [f"The answer is {told}." for told in map(_described, fields.values())]
    elif fields:
        required = set(question.form.get("required") or ())  # type: ignore[arg-type]  # of a schema that was checked
        lines.append("The answer is a JSON object with these fields:")
        lines += [
            f"- {name}: {_described(field)}{'' if name in required else ', optional'}" for name, field in fields.items()
        ]
    lines.append(f"Answer {DECLINE!r} to refuse.")
    return "\n".join(lines)


def options_of(question: ServerQuestion) -> list[str]:
    """Returns the answers that a person can choose from; none if any text may be one."""
    fields = list(_fields(question).values())
    if question.url is not None or not fields:
        return [ACCEPT, DECLINE]
    if len(fields) > 1:
        return []
    if fields[0].get("type") == "boolean":
        return ["yes", "no", DECLINE]
    choices = _choices(fields[0])
    return [*map(str, choices), DECLINE] if choices and fields[0].get("type") != "array" else []


def read_answer(text: str, question: ServerQuestion) -> ServerAnswer:
    """Returns what a person's text means.

    `decline` and `cancel` refuse. For a form with one field, the text is its value; for others, and also for these, it
    is a JSON object with the fields.

    Raises:
        ValueError: it is not an answer to the question; the message says what is.
    """
    word, fields = text.strip(), _fields(question)
    if (refusal := word.lower()) in (DECLINE, CANCEL):
        return ServerAnswer(question=question, action="decline" if refusal == DECLINE else "cancel")
    if question.url is not None or not fields:
        if word.lower() not in (ACCEPT, "yes", "{}"):
            raise ValueError(f"the answer must be {ACCEPT!r} or {DECLINE!r}")
        return ServerAnswer(question=question, action="accept", content=None if question.url is not None else {})
    content = _object(word)
    if content is None:
        if len(fields) > 1:
            raise ValueError(f"the answer must be a JSON object with the fields {', '.join(fields)}, or {DECLINE!r}")
        [(name, field)] = fields.items()
        content = {name: _value(text, field)}
    if wrong := faults(content, question.form):
        raise ValueError(f"the server does not accept this answer: {'; '.join(wrong)}")
    return ServerAnswer(question=question, action="accept", content=content)


def _fields(question: ServerQuestion) -> dict[str, dict[str, Any]]:
    found = question.form.get("properties")
    if not isinstance(found, dict):
        return {}
    return {name: field if isinstance(field, dict) else {} for name, field in found.items()}


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _value(text: str, field: dict[str, Any]) -> Any:
    """Returns a text as the type of a field; as it is if it is not of this type, which the check then says."""
    kind, word = field.get("type"), text.strip()
    if kind == "boolean":
        return _WORDS.get(word.lower(), word)
    if kind in ("integer", "number", "array"):
        try:
            return json.loads(word)
        except ValueError:
            return [part.strip() for part in word.split(",")] if kind == "array" else word
    return word if _choices(field) else text


def _choices(field: dict[str, Any]) -> list[Any]:
    """Returns the values that a field may have, in each of the forms that MCP knows; none if they are not listed."""
    listed = field.get("enum")
    if isinstance(listed, list):
        return listed
    titled = field.get("oneOf") or field.get("anyOf")
    if not isinstance(titled, list):
        items = field.get("items")
        return _choices(items) if isinstance(items, dict) else []
    return [each["const"] for each in titled if isinstance(each, dict) and "const" in each]


def _described(field: dict[str, Any]) -> str:
    choices = _choices(field)
    kind = {"boolean": "yes or no", "array": "a list"}.get(str(field.get("type")), str(field.get("type", "text")))
    told = f"{'a list of ' if kind == 'a list' else ''}{' or '.join(map(str, choices))}" if choices else kind
    told += "".join(f", {hint} {field[hint]}" for hint in sorted(_HINTS & field.keys()) if hint != "enum")
    about = field.get("description") or field.get("title")
    return f"{told} ({about})" if about else told
