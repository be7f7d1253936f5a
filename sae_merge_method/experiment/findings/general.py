"""What an edit does to general text: the change of its loss, over documents paired with themselves."""

import math
from typing import NamedTuple

from sae_merge_method.artifacts.experiment import GeneralLoss
from sae_merge_method.artifacts.experiment_arm import GeneralText
from sae_merge_method.compare.ztest import two_sided_p


class Change(NamedTuple):
    """A difference of two losses in nats a token."""

    delta: float
    stderr: float | None
    """None where documents are too few, or all moved alike."""


def paired_change(base: GeneralText, edited: GeneralText) -> Change:
    """Edited minus base as a ratio estimate (Cochran 1977, section 6.4), tokens being the weights.

    With d_i the nats by which document i of t_i tokens got more expensive, and n documents:
    ``delta = sum(d_i) / sum(t_i)``; its variance is ``n / (n - 1) sum((d_i - delta t_i)^2) / sum(t_i)^2``.
    Pairing takes away how hard each document is for both.
    """
    moved = [after - before for before, after in zip(base.nats, edited.nats, strict=True)]
    n, tokens = len(moved), sum(base.tokens)
    delta = math.fsum(moved) / tokens
    if n < 2:  # a sample variance divides by n - 1
        return Change(delta, None)
    left = math.fsum((d - delta * t) ** 2 for d, t in zip(moved, base.tokens, strict=True))
    stderr = math.sqrt(n / (n - 1) * left) / tokens
    return Change(delta, stderr or None)


def general_loss(base: GeneralText, edited: GeneralText | None = None) -> GeneralLoss:
    """The loss of the base, or of an arm with its change against the base."""
    if edited is None:
        return GeneralLoss(nats=base.loss, delta=None, stderr=None, z=None, p=None)
    delta, stderr = paired_change(base, edited)
    z = delta / stderr if stderr else None
    p = None if z is None else two_sided_p(z)
    return GeneralLoss(nats=edited.loss, delta=delta, stderr=stderr, z=z, p=p)
