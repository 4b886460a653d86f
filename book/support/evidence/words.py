"""How a value becomes words: a count, a list, a sign, a paragraph; the sentences stand in the notebook."""

from collections.abc import Iterable

from ramac_lib.analysis.style import style

STATISTICS = {"cvar": "CVaR₀.₁", "mean": "mean"}
SIGNS = {-1: "**below**", 0: "**tied with**", 1: "**above**", None: "beside"}  # None: too short for a verdict


def labels(rows: Iterable[str]) -> list[str]:
    """Return the rows' labels."""
    return [style(row).label for row in rows]


def many(count: int, noun: str) -> str:
    """Return ``1 seed``, ``2 seeds``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(labels: Iterable[str]) -> str:
    """Return labels in a row, ``none`` without any; a label may have a comma of its own."""
    kept = list(labels)
    return ("; " if any("," in label for label in kept) else ", ").join(kept) or "none"


def named(labels: Iterable[str]) -> str:
    """Return labels in a row, one with a comma of its own in quotes: ``a and “b, c”``."""
    kept = [f"“{label}”" if "," in label else label for label in labels]
    return " and ".join(kept) if len(kept) == 2 else ", ".join(kept)


def span(low: int, high: int) -> str:
    """Return ``400 to 10,000``, or the one number that both are."""
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def paragraph(*sentences: object) -> str:
    """Return sentences as one line of Markdown; what is empty, 0 or None is left out.

    So ``labels and f"Missing: {listed(labels)}."`` is said only where there are labels.
    """
    lines = [line.strip() for sentence in sentences if sentence for line in str(sentence).splitlines()]
    return " ".join(filter(None, lines))
