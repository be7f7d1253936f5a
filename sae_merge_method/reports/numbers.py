"""How numbers are rounded for reading: one set of formats for every table, page and sentence.

The unrounded numbers are in the JSON artifacts. Every function takes None for "there is none" and gives
an empty string for it, so that a caller can say in its own way that nothing is there.
"""

from collections.abc import Iterable


def are_shares(scores: Iterable[float]) -> bool:
    """Whether all scores lie between 0 and 1, to be shown in percent and points: one unit a column."""
    return all(0 <= score <= 1 for score in scores)


def score(value: float | None, share: bool) -> str:
    """A score."""
    if value is None:
        return ""
    return f"{value:.1%}" if share else f"{value:.4g}"


def change(value: float | None, share: bool) -> str:
    """A difference of scores; of shares in points."""
    if value is None:
        return ""
    return f"{100 * value:+.1f}" if share else f"{value:+.4g}"


def amount(value: float, share: bool) -> str:
    """The same with its unit, for a sentence."""
    return f"{change(value, share)} points" if share else change(value, share)


def interval(low: float, high: float, share: bool) -> str:
    """Where a difference lies."""
    return f"{change(low, share)} to {change(high, share)}"


def score_interval(low: float, high: float, share: bool) -> str:
    """Where a score lies, without the unit."""
    scale, digits = (100, ".1f") if share else (1, ".4g")
    return f"{low * scale:{digits}} to {high * scale:{digits}}"


def signed(value: float | None) -> str:
    """A z."""
    return "" if value is None else f"{value:+.2f}"


def p_value(p: float | None) -> str:
    """Never 0."""
    if p is None:
        return ""
    return f"{p:.4f}" if p >= 0.00005 else "<0.0001"


def test_words(z: float, p: float) -> str:
    """A test in a sentence."""
    return f"z {z:+.2f}, p {p_value(p)}"


def byte_size(size: int) -> str:
    """A number of bytes, in powers of 1000."""
    if size < 1000:
        return f"{size} B"
    units = ("kB", "MB", "GB", "TB")
    power = min((len(str(size)) - 1) // 3, len(units))
    return f"{size / 1000**power:.3g} {units[power - 1]}"


def nats(value: float) -> str:
    """A difference of losses, in nats a token."""
    return f"{value:+.5f}"


def magnitude(value: float) -> str:
    """A size of any order, also infinite or NaN."""
    return f"{value:.3g}"


def percent(value: float | None) -> str:
    """A share, to a hundredth of a percent."""
    return "" if value is None else f"{value:.2%}"


def decimal(value: float | None, places: int = 4) -> str:
    """A number with so many decimal places."""
    return "" if value is None else f"{value:.{places}f}"


def signed_decimal(value: float | None, places: int = 4) -> str:
    """A difference with so many decimal places."""
    return "" if value is None else f"{value:+.{places}f}"


def squared_norm(value: float) -> str:
    """An energy, to three digits; 0 as it is."""
    return f"{value:#.3g}" if value else "0"


def energy(value: float) -> str:
    """An energy, to six digits: tells two edits apart."""
    return f"{value:.6g}"


def count(number: int) -> str:
    """How many, with a comma between thousands."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """A time as a person reads it: ``12 s``, ``4 min``, ``1.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
