"""From instructions to the text of a program: one file for each language.

`numba` writes the programs that train here. `curly` writes compact programs (see `portable`) in the syntax that `c` and
`javascript` share, with `arrays`, the memory of their functions. `writer` and `elementwise` have what all do.

Everything that a renderer writes is a value of `instructions`: it derives no strides or bounds. The code of an
operation is a column of the table in `ops`; the functions in it are those of a runtime that each language has.
`Symbols` gives names to sizes, for programs that serve models of several sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from myrnn.compiler.addresses import Indices, Size
from myrnn.compiler.buffers import Names
from myrnn.compiler.instructions import Phase, elements


class Symbols:
    """The names of the sizes and indices in a program. Equal numbers share a name."""

    def __init__(self, names: Names, sizes: Mapping[str, int], phases: Sequence[Phase]) -> None:
        self._names = names
        self._of_sizes: dict[tuple[object, ...], str] = {}
        # All names with their numbers, those of tables, and the names that the instructions read.
        self.numbers: dict[str, int] = {}
        self.tables: dict[bytes, str] = {}
        for name, size in sizes.items():
            self.size(Size(size, wanted=name))
        self.read = set[str]()
        for part in elements(tuple(phases)):
            if isinstance(part, Size):
                self.read.add(self.size(part))
            elif isinstance(part, Indices):
                self.read.add(self.table(part))

    def size(self, size: Size) -> str:
        """Return the name of a size; in whole lanes it has one for each size, even if two of them are equal."""
        key = (size.size, size.padded) if size.is_shared else (size.size, size.wanted)
        if key not in self._of_sizes:
            wanted = f"{self.size(Size(size.size))}_padded" if size.padded else size.wanted
            name = self._of_sizes[key] = self._names.new(wanted)
            self.numbers[name] = size.number
        return self._of_sizes[key]

    def table(self, indices: Indices) -> str:
        """Return the name of the offset of indices among all of them."""
        if indices.data not in self.tables:
            self.tables[indices.data] = self._names.new("table")
        return self.tables[indices.data]
