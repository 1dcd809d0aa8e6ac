"""Names of model providers, as spans and metrics show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.names import SCRIPTED_MODEL

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

    def name_of(self, model: str) -> str:
        """Returns the name of a model's provider."""
        host = self._host_of(model)
        return KNOWN.get(host, host)

    def server_of(self, model: str) -> str | None:
        """Returns the host that a model is asked at; `None` for the scripted model."""
        host = self._host_of(model)
        return None if host == SCRIPTED_MODEL else host

    def _host_of(self, model: str) -> str:
        return self.others.get(model.partition("/")[0], self.default).partition(":")[0]
