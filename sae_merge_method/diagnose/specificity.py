"""How specific a layer is to the target text: the scores, as pure functions of feature usage.

A score gives every feature a contribution, from its means over target and over control
documents, and a layer the sum of the contributions or the mean of the largest. All a score
reads are means over documents, so that a shuffled or resampled corpus costs one matrix product.
Which score the paper (arXiv 2605.28649) used is not known: these definitions are ours, and so
are their constants.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

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

_TINY = 1e-300


Means = Mapping[str, "torch.Tensor"]
"""Means over the documents of one side, each (..., F) float64, by what was averaged:

- ``usage``: activation;
- ``square``: a document's squared activation;
- ``rate``: share of counted tokens on which the feature fires;
- ``rank``: midrank of the document's activation among all N documents, over N.
"""


class Score(NamedTuple):
    """A named score of a layer."""

    name: str
    unit: str
    contributions: Callable[[Means, Means], "torch.Tensor"]
    """Target and control means (..., F) to contributions (..., F)."""
    needs: tuple[str, ...]
    """Keys of :data:`Means` that it reads."""
    top_k: int | None
    """Mean of so many largest contributions; None for the sum of all."""

    @property
    def has_interval(self) -> bool:
        """Whether a bootstrap interval covers what unlimited documents would give.

        A mean of the top k chooses its features on the same noise that it then averages: in trials
        the 95 % interval of such scores covered the truth in at most one sample of ten. None is given.
        """
        return self.top_k is None

    def layer(self, target: Means, control: Means) -> "torch.Tensor":
        """The layer's score (...) from means (..., F)."""
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
    p, q = _distribution(target["usage"]), _distribution(control["usage"])
    blend = (p + q) * (EPSILON / 2)
    return _p_log_ratio((1 - EPSILON) * p + blend, (1 - EPSILON) * q + blend)


def js_bits(target: Means, control: Means) -> "torch.Tensor":
    """Jensen-Shannon divergence of the usage distributions in bits, 0 to 1 (Lin 1991).

    With m = (p + q) / 2 feature j contributes ``(p log2(p / m) + q log2(q / m)) / 2``.
    """
    p, q = _distribution(target["usage"]), _distribution(control["usage"])
    middle = (p + q) / 2
    return (_p_log_ratio(p, middle) + _p_log_ratio(q, middle)) / 2


def selectivity(target: Means, control: Means) -> "torch.Tensor":
    """Mean of (m_T - m_C) / (m_T + m_C), weighted by the target's usage: -1 to 1."""
    return _distribution(target["usage"]) * _selectivity(target, control)


def top_k_selectivity(target: Means, control: Means) -> "torch.Tensor":
    """(m_T - m_C) / (m_T + m_C) of features that carry an even share of target usage or more.

    Without that guard rare features would fill the top with ones. The even share is one over
    the number of features in use.
    """
    share = _distribution(target["usage"])
    return _selectivity(target, control) * (share >= 1 / share.shape[-1])


def frequency_gap(target: Means, control: Means) -> "torch.Tensor":
    """Difference of firing rates, of features that are rare on control text.

    After Ferrando et al. (arXiv 2411.14257), who rank latents by the difference of their
    activation frequencies and drop those that fire on more than 2 % of generic tokens.
    """
    return (target["rate"] - control["rate"]) * (control["rate"] <= RARE)


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
    return (target["usage"] - control["usage"]) / variance.clamp_min(least.square() + _TINY).sqrt()


SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score("kl_bits", "bits", kl_bits, ("usage",), None),
        Score("js_bits", "bits", js_bits, ("usage",), None),
        Score("selectivity", "selectivity, -1 to 1", selectivity, ("usage",), None),
        Score("top_k_selectivity", "selectivity, -1 to 1", top_k_selectivity, ("usage",), TOP_K),
        Score("frequency_gap", "firing rate difference", frequency_gap, ("usage", "rate"), TOP_K),
        Score("auroc_top_k", "area under the ROC curve", auroc, ("usage", "rank"), TOP_K),
        Score("cohens_d_top_k", "standard deviations", cohens_d, ("usage", "square"), TOP_K),
    )
}


def find_score(name: str) -> Score:
    """The score of that name.

    Raises:
        UsageError: There is none; the message lists the choices.
    """
    if name not in SCORES:
        raise UsageError(f"unknown score {name!r}: expected one of {', '.join(SCORES)}")
    return SCORES[name]


def _distribution(usage: "torch.Tensor") -> "torch.Tensor":
    # A side on which nothing fires has no distribution: all zero, not NaN.
    return usage / usage.sum(-1, keepdim=True).clamp_min(_TINY)


def _p_log_ratio(p: "torch.Tensor", q: "torch.Tensor") -> "torch.Tensor":
    """p log2(p / q) with 0 log 0 = 0; q is positive wherever p is."""
    return p * ((p + _TINY) / (q + _TINY)).log2()


def _selectivity(target: Means, control: Means) -> "torch.Tensor":
    return (target["usage"] - control["usage"]) / (target["usage"] + control["usage"]).clamp_min(_TINY)
