"""What the columns of JSON Lines and Parquet may hold: kinds of sequences by the type that Polars gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

TEXT, SYMBOLS, NUMBERS, VECTORS = "text", "a list of symbols", "a list of numbers", "a list of vectors"


def sequence_kind(dtype: pl.DataType) -> str | None:
    """Return what sequences of this type are; None where they can be none."""
    import polars as pl

    if _is_text(dtype):
        return TEXT
    if not isinstance(dtype, pl.List | pl.Array):
        return None
    inner: Any = dtype.inner
    if _is_text(inner) or inner.is_integer() or inner in (pl.Boolean, pl.Null):
        return SYMBOLS
    if inner.is_float():
        return NUMBERS
    vectors = isinstance(inner, pl.List | pl.Array) and (inner.inner.is_numeric() or inner.inner == pl.Null)
    return VECTORS if vectors and not inner.inner.is_decimal() else None


def is_label(dtype: pl.DataType) -> bool:
    """Tell whether labels may be of this type."""
    import polars as pl

    return _is_text(dtype) or dtype.is_integer() or dtype == pl.Boolean


def plain_sequences(column: pl.Series) -> pl.Series:
    """Return sequences as str, lists of str, lists of float64 or lists of lists of float64."""
    import polars as pl

    plain: dict[str, Any] = {
        TEXT: pl.String,
        SYMBOLS: pl.List(pl.String),
        NUMBERS: pl.List(pl.Float64),
        VECTORS: pl.List(pl.List(pl.Float64)),
    }
    return column.cast(plain[sequence_kind(column.dtype) or TEXT])


def plain_labels(column: pl.Series) -> pl.Series:
    """Return labels as text."""
    import polars as pl

    return column.cast(pl.String).str.strip_chars()


def column_faults(sequences: pl.Series, labels: pl.Series | None) -> pl.Series:
    """Say what is wrong with each of N sequences and labels in their plain forms; null where nothing is."""
    import polars as pl

    frame = pl.DataFrame({"sequence": sequences})
    sequence = pl.col("sequence")
    fault: Any = pl.when(sequence.is_null()).then(pl.lit("no sequence"))
    kind = sequence_kind(sequences.dtype)
    if kind != TEXT:
        fault = fault.when(_any(sequence, pl.element().is_null())).then(pl.lit("null in the sequence"))
    if kind == NUMBERS:
        fault = fault.when(_any(sequence, ~pl.element().is_finite())).then(pl.lit("a number that is not finite"))
    if kind == VECTORS:
        fault = _vector_faults(fault, sequence, sequences)
    if labels is not None:
        frame = frame.with_columns(label=labels)
        fault = fault.when(pl.col("label").is_null() | (pl.col("label") == "")).then(pl.lit("no label"))
    return frame.select(fault.otherwise(None).cast(pl.String)).to_series()


def _vector_faults(fault: Any, sequence: pl.Expr, sequences: pl.Series) -> Any:
    import polars as pl

    number = pl.element()
    within = sequence.list.eval(_any(pl.element(), number.is_null() | ~number.is_finite())).list.any()
    fault = fault.when(within).then(pl.lit("a number that is null or not finite"))
    lengths = sequence.list.eval(pl.element().list.len())
    fault = fault.when(lengths.list.min() == 0).then(pl.lit("a vector of no numbers"))
    # The vectors of all sequences must be as long as the first.
    first = sequences.drop_nulls().list.first().drop_nulls()
    width = len(first[0]) if len(first) else 0
    other = (lengths.list.min() != width) | (lengths.list.max() != width)
    told = pl.format("a vector of {} numbers, but the first vector of the file has {}", _odd_one(lengths, width), width)
    return fault.when(other).then(told)


def _odd_one(lengths: pl.Expr, width: int) -> pl.Expr:
    import polars as pl

    return lengths.list.eval(pl.element().filter(pl.element() != width)).list.first()


def _any(lists: pl.Expr, holds: pl.Expr) -> pl.Expr:
    """Tell of every list whether `holds` is true of one of its elements."""
    return lists.list.eval(holds).list.any()


def _is_text(dtype: pl.DataType) -> bool:
    import polars as pl

    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)
