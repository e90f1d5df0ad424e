"""Tables of text."""

from collections.abc import Collection, Sequence

FIRST = frozenset({0})


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = FIRST) -> str:
    """The rows below each other; one with a single cell is a heading, as wide as it likes.

    Args:
        rows: the first one names the columns.
        left: columns whose cells begin at the left; all others end at the right, as numbers do.
    """
    full = [row for row in rows if len(row) > 1]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n in left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in rows
    )
