"""How specific a layer is to the target text: the scores, as pure functions of feature usage.

A score gives every feature a contribution, from its means over target and over control
documents, and a layer the sum of the contributions or the mean of the largest. All a score
reads are means over documents, so that a shuffled or resampled corpus costs one matrix product.
Which score the paper (arXiv 2605.28649) used is not known: these definitions are ours, and so
are their constants.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sae_merge_method.errors import UsageError

if TYPE_CHECKING:
    import torch

EPSILON = 0.01
"""Smoothing of ``kl_bits``: bounds one feature's log ratio at log2(2 / EPSILON - 1) bits."""

TOP_K = 32
"""Features that the scores ``top_k_selectivity``, ``frequency_gap`` and ``*_top_k`` average over."""

RARE = 0.02
"""``frequency_gap`` counts features that fire on at most this share of control tokens."""

_LEAST_RELATIVE_SD = 0.01
"""``cohens_d_top_k`` takes a feature's sd as at least this share of its usage: bounds d at 100."""

_ROUNDING = 1e-5
"""Shares and rates that differ by so little are alike: draws are made in float32."""


Means = Mapping[str, "torch.Tensor"]
"""Means over the documents of one side, each (..., F) in one precision, by what was averaged:

- ``usage``: activation;
- ``square``: a document's squared activation;
- ``rate``: share of counted tokens on which the feature fires;
- ``rank``: midrank of the document's activation among all N documents, over N.

Of some of a layer's features alone, there also are, (..., 1) and (), its ``total`` usage over all of them and
how many ``features`` those are.
"""


@dataclass(frozen=True)
class Score:
    """A named score of a layer: one row of the registry."""

    name: str
    description: str
    """What it measures, for help texts and reports."""
    unit: str
    bounds: tuple[float, float]
    """The least and the most that it can be."""
    source: str
    """Where the formula is from; "ours" where it is from nowhere else."""
    needs: tuple[str, ...]
    """Keys of :data:`Means` that it reads."""
    contributions: Callable[[Means, Means], "torch.Tensor"]
    """Target and control means (..., F) to contributions (..., F)."""
    top_k: int | None = None
    """Mean of so many largest contributions, chosen on one half of the documents and measured on the other;
    None for the sum of all."""

    @property
    def summary(self) -> str:
        """The row in one line."""
        low, high = self.bounds
        return f"{self.description}, {low:.3g} to {high:.3g} ({self.source})"

    def layer(self, target: Means, control: Means) -> "torch.Tensor":
        """The layer's score (...) from means (..., F); features are chosen on what they are measured on."""
        return self.reduce(self.contributions(target, control))

    def reduce(self, contributions: "torch.Tensor") -> "torch.Tensor":
        """Contributions (..., F) to scores (...)."""
        if self.top_k is None:
            return contributions.sum(-1)
        largest = min(self.top_k, contributions.shape[-1])
        return contributions.topk(largest, dim=-1).values.mean(-1)


def kl_bits(target: Means, control: Means) -> "torch.Tensor":
    """Bits per unit of activation that tell the target from the control.

    Usage normalised to distributions p and q, each smoothed towards their mean by
    e = :data:`EPSILON`, ``p' = (1 - e) p + e (p + q) / 2``; feature j contributes
    ``p'(j) log2(p'(j) / q'(j))``. The sum is a Kullback-Leibler divergence (Kullback and
    Leibler 1951): at least 0, at most log2(2 / e - 1) = 7.64 bits.
    """
    p, q = _distribution(target), _distribution(control)
    # (1 - e) p + e (p + q) / 2 lies e / 2 of the way from p to q.
    return _p_log_ratio(p.lerp(q, EPSILON / 2), q.lerp(p, EPSILON / 2))


def js_bits(target: Means, control: Means) -> "torch.Tensor":
    """Jensen-Shannon divergence of the usage distributions in bits, 0 to 1 (Lin 1991).

    With m = (p + q) / 2 feature j contributes ``(p log2(p / m) + q log2(q / m)) / 2``.
    """
    p, q = _distribution(target), _distribution(control)
    middle = (p + q) / 2
    return (_p_log_ratio(p, middle) + _p_log_ratio(q, middle)) / 2


def selectivity(target: Means, control: Means) -> "torch.Tensor":
    """Mean of (m_T - m_C) / (m_T + m_C), weighted by the target's usage: -1 to 1."""
    return _distribution(target) * _selectivity(target, control)


def top_k_selectivity(target: Means, control: Means) -> "torch.Tensor":
    """(m_T - m_C) / (m_T + m_C) of features that carry an even share of target usage or more.

    Without that guard rare features would fill the top with ones. The even share is one over
    the number of features in use.
    """
    share = _distribution(target)
    even = 1 / target.get("features", share.shape[-1])
    return _selectivity(target, control) * (share >= (1 - _ROUNDING) * even)


def frequency_gap(target: Means, control: Means) -> "torch.Tensor":
    """Difference of firing rates, of features that are rare on control text.

    After Ferrando et al. (arXiv 2411.14257), who rank latents by the difference of their
    activation frequencies and drop those that fire on more than 2 % of generic tokens.
    """
    return (target["rate"] - control["rate"]) * (control["rate"] <= (1 + _ROUNDING) * RARE)


def auroc(target: Means, control: Means) -> "torch.Tensor":
    """Probability that a target document uses the feature more than a control document.

    The area under the ROC curve by ranks (Hanley and McNeil 1982), ties counting one half:
    ``1/2 + (mean rank of target - mean rank of control) / N``.
    """
    return 0.5 + target["rank"] - control["rank"]


def cohens_d(target: Means, control: Means) -> "torch.Tensor":
    """Standardised difference of document means, ``(m_T - m_C) / sqrt((s_T^2 + s_C^2) / 2)``.

    Cohen (1988), with population variances. A feature whose variance vanishes would be infinite:
    its sd counts as at least 1 % of its usage.
    """
    variance = (
        target["square"] - target["usage"].square() + control["square"] - control["usage"].square()
    ) / 2
    least = _LEAST_RELATIVE_SD * (target["usage"] + control["usage"])
    return (target["usage"] - control["usage"]) / variance.clamp_min(least.square() + _tiny(least)).sqrt()


SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score(
            "kl_bits", "bits per unit of activation that tell the target from the control", "bits",
            (0, math.log2(2 / EPSILON - 1)), "Kullback and Leibler 1951; the smoothing is ours",
            ("usage",), kl_bits,
        ),
        Score(
            "js_bits", "Jensen-Shannon divergence of target and control usage", "bits",
            (0, 1), "Lin 1991",
            ("usage",), js_bits,
        ),
        Score(
            "selectivity", "mean preference of features for the target, weighted by target usage",
            "selectivity, -1 to 1", (-1, 1), "ours",
            ("usage",), selectivity,
        ),
        Score(
            "top_k_selectivity", f"mean preference for the target of the {TOP_K} most selective features",
            "selectivity, -1 to 1", (-1, 1), "ours",
            ("usage",), top_k_selectivity, TOP_K,
        ),
        Score(
            "frequency_gap", f"mean of the {TOP_K} largest gaps in firing rate, if rare on the control",
            "firing rate difference", (-RARE, 1), "after Ferrando et al., arXiv 2411.14257",
            ("usage", "rate"), frequency_gap, TOP_K,
        ),
        Score(
            "auroc_top_k", f"how well each of the {TOP_K} best features tells target from control documents",
            "area under the ROC curve", (0, 1), "Hanley and McNeil 1982",
            ("usage", "rank"), auroc, TOP_K,
        ),
        Score(
            "cohens_d_top_k", f"mean of the {TOP_K} largest standardised differences of document means",
            "standard deviations", (-1 / _LEAST_RELATIVE_SD, 1 / _LEAST_RELATIVE_SD),
            "Cohen 1988; the bound on a feature's sd is ours",
            ("usage", "square"), cohens_d, TOP_K,
        ),
    )
}  # fmt: skip
"""All scores by name: a row here is all that a new one takes."""


def find_score(name: str) -> Score:
    """The score of that name.

    Raises:
        UsageError: There is none; the message lists the choices.
    """
    if name not in SCORES:
        raise UsageError(f"unknown score {name!r}: expected one of {', '.join(SCORES)}")
    return SCORES[name]


def _distribution(means: Means) -> "torch.Tensor":
    usage = means["usage"]
    total = means["total"] if "total" in means else usage.sum(-1, keepdim=True)
    # A side on which nothing fires has no distribution: all zero, not NaN.
    return usage / total.clamp_min(_tiny(usage))


def _p_log_ratio(p: "torch.Tensor", q: "torch.Tensor") -> "torch.Tensor":
    """p log2(p / q) with 0 log 0 = 0; q is positive wherever p is."""
    tiny = _tiny(p)
    return (p + tiny).div_(q + tiny).log2_().mul_(p)  # in place: what is drawn stays near the processor


def _selectivity(target: Means, control: Means) -> "torch.Tensor":
    both = target["usage"] + control["usage"]
    return (target["usage"] - control["usage"]) / both.clamp_min(_tiny(both))


def _tiny(values: "torch.Tensor") -> float:
    """The least number above 0 in full precision, which adds nothing to any other."""
    import torch

    return torch.finfo(values.dtype).tiny
