"""How the report's numbers are rounded for reading; the unrounded ones are in ``experiment.json``."""

from sae_merge_method.artifacts.experiment import Experiment


def is_share(experiment: Experiment) -> bool:
    """Whether all scores lie between 0 and 1, to be shown in percent and points."""
    return all(0 <= score.score <= 1 for arm in experiment.arms for score in (arm.overall, *arm.subjects))


def score(value: float, share: bool) -> str:
    """A score."""
    return f"{value:.1%}" if share else f"{value:.4g}"


def change(value: float, share: bool) -> str:
    """A difference of scores; of shares in points."""
    return f"{100 * value:+.1f}" if share else f"{value:+.4g}"


def amount(value: float, share: bool) -> str:
    """The same with its unit, for a sentence."""
    return f"{change(value, share)} points" if share else change(value, share)


def interval(low: float, high: float, share: bool) -> str:
    """Where a difference lies."""
    return f"{change(low, share)} to {change(high, share)}"


def p_value(p: float) -> str:
    """Never 0."""
    return f"{p:.4f}" if p >= 0.00005 else "<0.0001"


def test_words(z: float, p: float) -> str:
    """A test in a sentence."""
    return f"z {z:+.2f}, p {p_value(p)}"


def nats(value: float) -> str:
    """A difference of losses, in nats a token."""
    return f"{value:+.5f}"
