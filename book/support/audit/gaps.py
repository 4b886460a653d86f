"""Two samples of a row and their difference, as the columns of a table's line."""

from ramac_lib.analysis.intervals import Sample


def columns(first: tuple[str, Sample], second: tuple[str, Sample]) -> dict[str, float]:
    """Return ``mean_NAME cvar_NAME`` of each named sample and of ``gap``, first minus second, with ``_low _high``."""
    line: dict[str, float] = {}
    for statistic in ("mean", "cvar"):
        found = {name: sample.estimate(statistic) for name, sample in (first, second)}
        found["gap"] = first[1].minus(second[1], statistic)
        for name, estimate in found.items():
            ends = (f"{statistic}_{name}{end}" for end in ("", "_low", "_high"))
            line |= dict(zip(ends, estimate, strict=True))
    return line
