"""Names of files and folders that usually hold secrets; file tools leave them alone."""

from __future__ import annotations

import re
from fnmatch import translate
from pathlib import PurePath

SECRET_NAMES = (
    # settings and tokens
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    ".git-credentials",
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".*_history",
    # keys
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "id_*",
    # folders
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".gcloud",
    ".kube",
    ".docker",
    ".password-store",
    ".git",  # its settings may hold tokens, and its hooks are programs that run outside of the workspace
)
"""Patterns for any part of a path, without regard to case."""

HARMLESS_NAMES = (".env.example", ".env.sample", ".env.template", "id_*.*")
"""Exceptions: templates, and names such as `id_card.md`."""


def secret_part(path: PurePath) -> str | None:
    """Returns the part of a path that usually holds secrets; `None` if there is none."""
    return next((part for part in path.parts if _is_secret(part.casefold())), None)


def _is_secret(name: str) -> bool:
    return bool(_SECRET.match(name)) and not _HARMLESS.match(name)


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))


_SECRET, _HARMLESS = _any_of(SECRET_NAMES), _any_of(HARMLESS_NAMES)
