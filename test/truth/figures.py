# SPDX-License-Identifier: Apache-2.0
"""Figures of the table, and the table: a part has rows and columns of shares, in percent."""
from typing import NamedTuple

WRONG, ABSENT = "!", "-"


class Figure(NamedTuple):
    """share: what is right, 1 = all of it; None: it cannot be measured here, and does not count.
    count: what it is a share of; 0: not counted."""
    row: str
    column: str
    share: float | None
    least: float = 1.0
    most: float = 1.0
    count: int | None = None
    remarks: tuple = ()

    @property
    def is_wrong(self):
        if self.share is None:
            return False
        return self.count == 0 or not self.least - 1e-9 <= self.share <= self.most + 1e-9

    @property
    def cell(self):
        if self.share is None:
            return ABSENT
        return f"{100 * self.share:.2f}{WRONG if self.is_wrong else ' '}"

    @property
    def allowed(self):
        if self.most > 1e6:
            return f">= {100 * self.least:g}" if self.least > 0 else "any"
        spread = self.most - 1
        return f"+-{100 * spread:g}" if spread > 1e-9 else "100"


def allowed_of(row):
    said = list(dict.fromkeys(figure.allowed for figure in row if figure.share is not None))
    return ", ".join(said)


def counted_of(row):
    counts = [figure.count for figure in row if figure.count is not None]
    return f"{sum(counts):,}" if counts else ""


def part_lines(title, figures, width):
    """The lines of a part: its title with the columns, and a line for each row."""
    columns = list(dict.fromkeys(figure.column for figure in figures))
    rows = {}
    for figure in figures:
        rows.setdefault(figure.row, {})[figure.column] = figure
    widths = [max(len(column), 8) + 1 for column in columns]
    yield (f"{title:<{width}} {'of':>9}"
           + "".join(f"{column:>{w}} " for column, w in zip(columns, widths)) + " allowed")
    for name, cells in rows.items():
        shown = ((cells[c].cell if c in cells else ABSENT) for c in columns)
        yield (f"  {name:<{width - 2}} {counted_of(cells.values()):>9}"
               + "".join(f"{cell:>{w + 1}}" for cell, w in zip(shown, widths))
               + f" {allowed_of(cells.values())}").rstrip()


def table(parts):
    """parts: {title: figures}."""
    names = [f"  {figure.row}" for figures in parts.values() for figure in figures]
    width = max((len(name) for name in [*names, *parts]), default=0)
    for title, figures in parts.items():
        if figures:
            yield ""
            yield from part_lines(title, figures, width)
