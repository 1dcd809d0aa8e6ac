"""Routes: which provider a model's name leads to. No I/O."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

OPENAI, OPENROUTER = "openai", "openrouter"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a model is."""

    provider: str
    """Name of the provider."""
    model: str | None
    """The model's name there; `None` means the provider's default."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Finds the provider of a model by the prefix of its name, as in `groq/llama-3.3-70b`.

    A name without the prefix of a known provider is one of the default provider's, as names with a slash are common
    there too.
    """

    providers: Collection[str]
    """The known providers."""
    default: str
    """The provider of names without a prefix."""
    has_plain_names: bool = False
    """Whether the provider `openai` is OpenAI itself, none of whose models has a slash in its name."""

    def find(self, model: str | None) -> Route:
        """Returns the route of a model; `None` stands for the default model."""
        prefix, slash, rest = (model or "").partition("/")
        if not slash or not rest or prefix not in self.providers:
            return Route(self.default, model)
        if prefix == OPENROUTER and "/" not in rest:
            return Route(OPENROUTER, model)  # a model of OpenRouter's own, such as openrouter/auto
        if prefix == OPENAI and not self.has_plain_names:
            return Route(OPENAI, model)
        return Route(prefix, rest)
