"""Cosine similarities, the same to the last digit wherever vectors are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.storage.vectors.numbers import np

if TYPE_CHECKING:
    import numpy.typing as npt


DIGITS = 12  # of a score; vectors of one direction and of different lengths come out some 1e-16 apart


def cosines(
    unit: npt.NDArray[np.float64], vectors: npt.NDArray[np.float64], norms: npt.NDArray[np.float64]
) -> list[float]:
    """The cosine similarity of each vector to another one.

    Not a matrix product: its last digits depend on how many vectors there are, these do not.

    Args:
        unit: the other one, of length 1.
        vectors: one a row.
        norms: their lengths.
    """
    similarities = (vectors * unit).sum(axis=1) / norms
    return [round(similarity, DIGITS) for similarity in similarities.clip(-1.0, 1.0).tolist()]
