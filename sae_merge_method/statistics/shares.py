"""A share between 0 and 1 of which mean and spread are known: where it lies, and how far out another one is.

The Beta distribution with the same mean and spread: exact for what one direction leaves in a random subspace,
skewed where the share is near an end, and near normal where many directions add up.
"""

from typing import NamedTuple

from sae_merge_method.statistics.intervals import Interval


class RandomShare(NamedTuple):
    """A random share."""

    mean: float
    """Between 0 and 1."""
    sd: float
    """At most ``sqrt(mean (1 - mean))``."""

    def interval(self, level: float) -> Interval:
        """Where it lies with probability ``level``, as often below as above."""
        shape = self._shape()
        if shape is None:
            return Interval(self.mean, self.mean)
        from scipy.special import betaincinv

        low, high = (float(betaincinv(*shape, tail)) for tail in ((1 - level) / 2, (1 + level) / 2))
        return Interval(low, high)

    def p(self, value: float) -> float | None:
        """Two-sided p of a value; None where the share does not vary."""
        shape = self._shape()
        if shape is None:
            return None
        from scipy.special import betainc, betaincc

        within = min(max(value, 0.0), 1.0)
        return min(1.0, 2 * min(float(betainc(*shape, within)), float(betaincc(*shape, within))))

    def _shape(self) -> tuple[float, float] | None:
        if not 0 < self.mean < 1 or self.sd <= 0:
            return None
        total = self.mean * (1 - self.mean) / self.sd**2 - 1
        return (self.mean * total, (1 - self.mean) * total) if total > 0 else None
