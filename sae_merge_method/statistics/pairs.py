"""The same problems answered by both sides: how sure their difference is, right or wrong or graded.

Answers to one problem move together, so a problem is what is resampled and flipped, however many answers it
has. What right and wrong answers alone allow is in ``flips``, the table of tests that a comparison offers in
``tests``.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

from sae_merge_method.statistics.differences import Tested, two_sided_p
from sae_merge_method.statistics.intervals import Interval


def problem_sums(differences: Sequence[float], problems: Sequence[str] = ()) -> list[float]:
    """The differences of each problem's answers, added up, in the order of its first answer.

    Args:
        differences: Edited minus base, one an answer.
        problems: Which problem each of them answers; empty where each is its own.
    """
    if not problems:
        return list(differences)
    together: defaultdict[str, list[float]] = defaultdict(list)
    for problem, difference in zip(problems, differences, strict=True):
        together[problem].append(difference)
    return [math.fsum(own) for own in together.values()]


def paired_stderr(differences: Sequence[float], problems: Sequence[str] = ()) -> float | None:
    """Standard error of the mean difference, clustered by problem (Miller 2024, arXiv 2411.00640).

    With C problems and N answers, ``sqrt(C / (C - 1) sum_c (sum_(i in c) (d_i - mean))^2) / N``; with one
    answer a problem the sample standard deviation over ``sqrt N``. None for fewer than two problems, whose
    spread is unknown.
    """
    n = len(differences)
    if n == 0:
        return None
    mean = math.fsum(differences) / n
    spread = problem_sums([difference - mean for difference in differences], problems)
    if len(spread) < 2:
        return None
    return math.sqrt(len(spread) / (len(spread) - 1) * math.fsum(part * part for part in spread)) / n


def paired_z(differences: Sequence[float], problems: Sequence[str] = ()) -> Tested:
    """``z = mean / standard error`` of edited minus base, paired by problem (Miller 2024, arXiv 2411.00640).

    Args:
        differences: One an answer.
        problems: Which problem each of them answers; empty where each is its own.
    """
    stderr = paired_stderr(differences, problems)
    if stderr is None:
        n = len(problem_sums(differences, problems))
        return Tested(None, None, f"n = {n}: no standard error from fewer than two problems")
    if stderr == 0:
        # Every problem moved by as much: nothing to measure the difference against.
        return Tested(None, None, "zero variance: every problem changed alike")
    z = math.fsum(differences) / len(differences) / stderr
    return Tested(z, two_sided_p(z))


def sign_flips(sums: Sequence[float]) -> Tested:
    """The permutation test of paired differences: were both sides alike, each sum's sign would be a coin's.

    Fisher's (1935), on the total. Exact where the sums are whole multiples of one small unit, as those of
    right and wrong answers are: the distribution of the total is then a convolution, one binomial a size of
    sum, and of sizes 0 and 1 alone it is McNemar's. Else by signs drawn with a fixed seed, the ones at hand
    counted among them (Phipson & Smyth 2010), so p is above 0.

    Args:
        sums: Edited minus base, one a problem (see :func:`problem_sums`).
    """
    moved = [part for part in sums if part]
    if not moved:
        return Tested(None, 1.0)
    unit = _unit(moved)
    below, above = _drawn_tails(moved) if unit is None else _exact_tails([round(one * unit) for one in moved])
    return Tested(None, min(1.0, 2 * min(below, above)))


def paired_interval(differences: Sequence[float], problems: Sequence[str], level: float) -> Interval | None:
    """Student's interval of the mean difference, clustered by problem; None where it has no spread.

    Args:
        differences: One an answer.
        problems: Which problem each of them answers; empty where each is its own.
        level: For example 0.95.
    """
    stderr = paired_stderr(differences, problems)
    if not stderr:
        return None
    from scipy.special import stdtrit

    mean = math.fsum(differences) / len(differences)
    degrees = len(problem_sums(differences, problems)) - 1
    reach = float(stdtrit(degrees, 0.5 + level / 2)) * stderr
    return Interval(mean - reach, mean + reach)


_MOST_UNITS = 64
"""A score is a mean of at most so many answers to be taken as a multiple of a unit."""
_MOST_STEPS = 20_000
"""Longest distribution that is convolved, in units of the total."""
_DRAWS = 9_999
_BLOCK = 1_000
"""Draws at once: bounds memory."""


def _unit(moved: Sequence[float]) -> int | None:
    """The smallest number that makes all sums whole; None where there is none."""
    for unit in range(1, _MOST_UNITS + 1):
        scaled = [part * unit for part in moved]
        if all(abs(part - round(part)) < 1e-9 for part in scaled):
            return unit if sum(map(abs, scaled)) <= _MOST_STEPS else None
    return None


def _exact_tails(moved: Sequence[int]) -> tuple[float, float]:
    """Chances that the total is as low as it is, and as high."""
    import numpy as np

    sizes = np.bincount(np.abs(moved))
    chances = np.ones(1)  # of (total + sum of sizes) / 2, from 0 up: the sizes whose sign is plus
    for size, count in enumerate(sizes):
        if size == 0 or count == 0:
            continue
        steps = np.zeros(size * count + 1)
        steps[::size] = _coins(int(count))
        chances = np.convolve(chances, steps)
    plus = sum(part for part in moved if part > 0)
    return float(min(1.0, chances[: plus + 1].sum())), float(min(1.0, chances[plus:].sum()))


def _coins(count: int) -> list[float]:
    """Chances of 0 to ``count`` heads, by logarithms: the powers of two alone would run out of range."""
    whole = math.lgamma(count + 1) - count * math.log(2)
    return [math.exp(whole - math.lgamma(k + 1) - math.lgamma(count - k + 1)) for k in range(count + 1)]


def _drawn_tails(moved: Sequence[float]) -> tuple[float, float]:
    import numpy as np

    sums = np.asarray(moved, dtype=np.float64)
    sizes, total = np.abs(sums), float(sums.sum())
    whole = float(sizes.sum())
    near = 1e-9 * whole  # as high but for rounding
    generator = np.random.default_rng(0)
    below = above = 1
    for start in range(0, _DRAWS, _BLOCK):
        plus = generator.integers(0, 2, size=(min(_BLOCK, _DRAWS - start), len(sums)), dtype=np.int8)
        drawn = 2 * (plus @ sizes) - whole
        below += int((drawn <= total + near).sum())
        above += int((drawn >= total - near).sum())
    return below / (1 + _DRAWS), above / (1 + _DRAWS)
