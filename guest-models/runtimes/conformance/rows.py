"""The 500 rows that a case is asked: those of its data set, and made-up ones."""

import numpy as np
from wardian.comparison import answers_of
from wardian.corner_rows import corners
from wardian.exported import Exported
from wardian.golden import is_asked
from wardian.sample import Sample

ROWS = 500
# Of these: rows with missing values, and with extreme ones.
_MISSING = 40
_EXTREME = 40


def rows_of(exported: Exported, sample: Sample, seed: int) -> list[Sample]:
    """Returns rows in batches; missing values are among them if the original answers such rows."""
    random = np.random.default_rng(seed)
    made = [corner.rows for corner in corners(sample) if is_asked(exported, corner)]
    if sample.kind != "texts":
        changes = [_extreme(sample, random)]
        if "missing_values" not in exported.properties:
            changes.append(_missing(sample, random))
        made += [rows for rows in changes if answers_of(exported, rows) is not None]

    count = max(1, ROWS - sum(len(rows) for rows in made))
    chosen = sample.take(_spread(len(sample), count))
    if sample.kind == "array" and len(sample) < count:
        chosen = _beside(chosen, len(sample), random)
    return [chosen, *made]


def _spread(rows, count):
    """All rows, again and again, or rows at even distances."""
    if rows >= count:
        return np.linspace(0, rows - 1, num=count, dtype=int)
    return np.arange(count) % rows


def _beside(chosen, seen, random):
    """Changes the rows that come a second time a little."""
    rows = chosen.rows.astype(np.float64)
    rows[seen:] *= 1 + random.normal(0, 0.02, rows[seen:].shape)
    return Sample(rows.astype(chosen.rows.dtype), "array")


def _extreme(sample, random):
    """Rows in which a third of the numbers are the least or greatest, zero, or far beyond."""

    def change(values):
        low, high = np.nanmin(values), np.nanmax(values)
        return random.choice([low, high, 0, low - (high - low), high + (high - low)], len(values))

    return _changed(sample, random, _EXTREME, change)


def _missing(sample, random):
    """Rows in which a third of the numbers are missing."""
    return _changed(sample, random, _MISSING, lambda values: np.full(len(values), np.nan))


def _changed(sample, random, count, change):
    rows = sample.take(random.integers(0, len(sample), count))
    columns = [
        number
        for number in range(sample.width)
        if sample.is_numeric(number) and sample.column(number).dtype.kind == "f"
    ]
    data = rows.rows.copy()
    for number in columns:
        changed = random.random(count) < 1 / 3
        values = np.array(rows.column(number))
        if np.isnan(values).all():
            continue
        values[changed] = change(values)[changed]
        if sample.kind == "frame":
            data[data.columns[number]] = values
        else:
            data[:, number] = values
    return Sample(data, sample.kind)
