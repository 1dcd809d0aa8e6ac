"""numpy, loaded when it is first used: it takes a fifth of a second, which most commands do without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast import _lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = _lazy.load("numpy")

__all__ = ["np"]
