"""Tables held as one numpy array per column: the plain data that every part of the simulation passes on.

What a table's columns mean is said where the table is declared; only what holds for all of them is here.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Texts = NDArray[np.object_]


@dataclass(frozen=True)
class Rows:
    """Base of the tables: each field is an array, and all have the same length along their first axis."""

    def __len__(self) -> int:
        return len(self.columns()[0])

    def take(self, which: Ints | Flags) -> Self:
        """The rows at the given positions, or where the mask is true."""
        return type(self)(*(column[which] for column in self.columns()))

    def followed_by(self, *others: Self) -> Self:
        """These rows and then the others'."""
        tables = [self.columns(), *(other.columns() for other in others)]
        return type(self)(*(np.concatenate(columns) for columns in zip(*tables, strict=True)))

    def columns(self) -> list[NDArray[Any]]:
        """The columns, in the order in which they are declared."""
        return [getattr(self, field.name) for field in fields(self)]
