"""Two-sample z-tests of an accuracy, base against edited: numbers in, a named result out.

Reading results and judging what a z means is left to others.
"""

import math
from typing import NamedTuple


class ZTest(NamedTuple):
    """A z value with its two-sided p, or the reason why there is none."""

    z: float | None
    p: float | None
    reason: str | None = None


def two_sided_p(z: float) -> float:
    """Two-sided p of a standard normal ``z``: ``2 (1 - Phi(|z|)) = erfc(|z| / sqrt 2)``.

    By erfc, which keeps its digits in the tail, where 1 - Phi has none left.
    """
    return math.erfc(abs(z) / math.sqrt(2))


def z_unpooled(
    base: float, base_stderr: float | None, edited: float, edited_stderr: float | None, n: int | None
) -> ZTest:
    """``z = (edited - base) / sqrt(se_base^2 + se_edited^2)``, with lm-eval's standard errors.

    The test of the paper (arXiv 2605.28649): its counts 160 and 213 of 540 give the z 3.41 and
    p 0.0007 that it prints only with lm-eval's standard errors, which are the sample standard
    deviation over sqrt(n), so with n - 1.

    Args:
        base: Mean score of the base model.
        base_stderr: Its standard error; None where lm-eval wrote none.
        edited: Mean score of the edited model.
        edited_stderr: Its standard error.
        n: Problems on each side, None where unknown: only to say why there is no z.
    """
    if n is not None and n < 2:
        # A sample standard deviation divides by n - 1.
        return ZTest(None, None, f"n = {n}: no standard error from fewer than two problems")
    if base_stderr is None or edited_stderr is None:
        side = "base" if base_stderr is None else "edited"
        return ZTest(None, None, f"lm_eval wrote no standard error for {side} (--bootstrap_iters 0?)")
    stderr = math.hypot(base_stderr, edited_stderr)
    if stderr == 0:
        # Each side scored the same on every problem: nothing to measure the difference against.
        return ZTest(None, None, "zero variance on both sides: every problem scored alike")
    z = (edited - base) / stderr
    return ZTest(z, two_sided_p(z))


def z_pooled(right_base: int, right_edited: int, n_base: int, n_edited: int) -> ZTest:
    """The pooled two-proportion z-test (Fleiss, Levin & Paik 2003, section 2.3).

    Args:
        right_base: Problems the base model got right.
        right_edited: Problems the edited model got right.
        n_base: Problems the base model was given.
        n_edited: Problems the edited model was given.
    """
    if min(n_base, n_edited) < 2:
        return ZTest(None, None, f"n = {min(n_base, n_edited)}: too few problems")
    pooled = (right_base + right_edited) / (n_base + n_edited)
    stderr = math.sqrt(pooled * (1 - pooled) * (1 / n_base + 1 / n_edited))
    if stderr == 0:
        return ZTest(None, None, "zero variance on both sides: every problem scored alike")
    z = (right_edited / n_edited - right_base / n_base) / stderr
    return ZTest(z, two_sided_p(z))
