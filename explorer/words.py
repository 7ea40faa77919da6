"""Values as they read in a sentence, the same on every page and in every table."""

from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def percent(fraction: float, digits: int = 1) -> str:
    """`84.3%`."""
    return f"{round(100 * fraction, digits) + 0.0:.{digits}f}%".replace("-", MINUS)  # + 0: no negative zero


def points(fraction: float) -> str:
    """A difference of two fractions in percentage points, with its sign: `+1.5`, `−0.4`."""
    return f"{round(100 * fraction, 1) + 0.0:+.1f}".replace("-", MINUS)


def count_of(count: int, noun: str, plural: str | None = None) -> str:
    """`1 image`, `1,663 images`."""
    return f"{count:,} {noun if count == 1 else plural or plural_of(noun)}"


def plural_of(noun: str) -> str:
    """`norms`, `losses`."""
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def millions(count: float) -> str:
    """`106.6 M`."""
    return f"{count / 1e6:,.1f} M"
