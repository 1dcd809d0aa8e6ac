"""Names of model providers, as spans and metrics show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

KNOWN = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "openrouter.ai": "openrouter",
}
"""The names of the semantic conventions, by host; another provider is named by its host."""


@dataclass(frozen=True)
class Providers:
    """The providers of a worker."""

    default: str
    """Host of the default provider, or `scripted`."""
    default_model: str
    others: Mapping[str, str] = field(default_factory=dict)
    """Hosts of the further providers, by the prefix of their models' names."""

    def host_of(self, model: str) -> str:
        """Returns the host that a model is asked at."""
        return self.others.get(model.partition("/")[0], self.default)

    def name_of(self, model: str) -> str:
        """Returns the name of a model's provider."""
        host = self.host_of(model).partition(":")[0]
        return KNOWN.get(host, host)
