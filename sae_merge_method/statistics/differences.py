"""Tests of a difference: two scores, problems that flipped, as pure functions of numbers.

Graded answers to the same problems are in ``pairs``, losses of documents in ``losses``. Which tests a
comparison offers is in ``tests``, corrections for several are in ``multiplicity``, and the word that a p
becomes is in ``verdicts``.
"""

import math
from typing import NamedTuple


class Tested(NamedTuple):
    """What a test found, or the reason why it found nothing."""

    z: float | None
    """The statistic, above 0 where the edited side is higher; None for tests without one."""
    p: float | None
    """Two-sided; None where there is no test, for the reason."""
    reason: str | None = None


def two_sided_p(z: float) -> float:
    """Two-sided p of a standard normal ``z``: ``2 (1 - Phi(|z|)) = erfc(|z| / sqrt 2)``.

    By erfc, which keeps its digits in the tail, where 1 - Phi has none left.
    """
    return math.erfc(abs(z) / math.sqrt(2))


def z_unpooled(
    base: float, base_stderr: float | None, edited: float, edited_stderr: float | None, n: int | None
) -> Tested:
    """``z = (edited - base) / sqrt(se_base^2 + se_edited^2)``, with lm-eval's standard errors.

    The test of the paper (arXiv 2605.28649): its counts 160 and 213 of 540 give the z 3.41 and p 0.0007 that
    it prints only with lm-eval's standard errors, which are the sample standard deviation over sqrt(n), so
    with n - 1.

    Args:
        base: Mean score of the base model.
        base_stderr: Standard error of the base model's score; None where lm-eval wrote none.
        edited: Mean score of the edited model.
        edited_stderr: Standard error of the edited model's score; None where lm-eval wrote none.
        n: Problems on each side, None where unknown: only to say why there is no z.
    """
    if n is not None and n < 2:
        # A sample standard deviation divides by n - 1.
        return Tested(None, None, f"n = {n}: no standard error from fewer than two problems")
    if base_stderr is None or edited_stderr is None:
        sides = [name for name, one in (("base", base_stderr), ("edited", edited_stderr)) if one is None]
        return Tested(None, None, f"lm_eval wrote no standard error for {' and '.join(sides)}")
    stderr = math.hypot(base_stderr, edited_stderr)
    if stderr == 0:
        # Each side scored the same on every problem: nothing to measure the difference against.
        return Tested(None, None, "zero variance on both sides: every problem scored alike")
    z = (edited - base) / stderr
    return Tested(z, two_sided_p(z))


def z_pooled(right_base: int, right_edited: int, n_base: int, n_edited: int) -> Tested:
    """The pooled two-proportion z-test (Fleiss, Levin & Paik 2003, section 2.3).

    Args:
        right_base: Problems the base model got right.
        right_edited: Problems the edited model got right.
        n_base: Problems the base model was given.
        n_edited: Problems the edited model was given.
    """
    if min(n_base, n_edited) < 2:
        return Tested(None, None, f"n = {min(n_base, n_edited)}: too few problems")
    pooled = (right_base + right_edited) / (n_base + n_edited)
    stderr = math.sqrt(pooled * (1 - pooled) * (1 / n_base + 1 / n_edited))
    if stderr == 0:
        return Tested(None, None, "zero variance on both sides: every problem scored alike")
    z = (right_edited / n_edited - right_base / n_base) / stderr
    return Tested(z, two_sided_p(z))


def mcnemar(newly_right: int, newly_wrong: int) -> Tested:
    """Exact McNemar test (McNemar 1947): are flips as likely one way as the other?

    The flips in one direction are binomial(flips, 1/2); the tail of the rarer one, doubled, and at most 1. In
    whole numbers until the one division, so without rounding, where ``scipy.stats.binomtest`` goes through
    the incomplete beta function and agrees to 1e-9. Without flips p is 1.
    """
    flips = newly_right + newly_wrong
    term = tail = 1
    for k in range(min(newly_right, newly_wrong)):
        term = term * (flips - k) // (k + 1)
        tail += term
    return Tested(None, min(1.0, 2 * tail / (1 << flips)))


def fisher(right_base: int, right_edited: int, n_base: int, n_edited: int) -> Tested:
    """Fisher's exact test of two proportions (Fisher 1935), as ``scipy.stats.fisher_exact`` has it.

    Given how many are right in all, those of the edited side are hypergeometric. Two-sided: all numbers that
    are no likelier than the one at hand. In whole numbers until the division.
    """
    right, n = right_base + right_edited, n_base + n_edited
    first, last = max(0, right - n_base), min(right, n_edited)
    weights = [math.comb(n_edited, k) * math.comb(n_base, right - k) for k in range(first, last + 1)]
    here = weights[right_edited - first]
    return Tested(None, sum(weight for weight in weights if weight <= here) / math.comb(n, right))
