"""Base classes of the data types that cross process boundaries."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Data(BaseModel):
    """Base class of data types: unknown fields are rejected, so that typing errors are noticed."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Tolerant(Data):
    """Base class of data that workers of different versions exchange: unknown fields of a newer version are kept."""

    model_config = ConfigDict(extra="allow")
