"""One learned weight a layer, or a module: steps of gradient on the target's loss plus a multiplier on the
control's.

Anisotropic scaling of task vectors by few coefficients (aTLAS; Zhang, Albert, Rodriguez-Opazo, van den Hengel
& Abbasnejad, NeurIPS 2024, arXiv 2407.02880); after AdaMerging (Yang et al., ICLR 2024, arXiv 2310.02575),
which learns them without labels. Here the loss has labels, and damage a bound.
"""

import math

import numpy as np

from sae_merge_method.tune.bench import Bench
from sae_merge_method.tune.edit import Edit, Shape
from sae_merge_method.tune.scaling import MOST

_RATE = 0.1
"""Of the first step: how far a weight goes at most, about."""
_LAST_RATE = 0.2
"""Of the last step, as a share of the first."""
_MOMENTUM, _SQUARES = 0.7, 0.9
"""Of Adam (Kingma & Ba 2015): short, for a few dozen steps."""
_PATIENCE = 0.3
"""How fast the multiplier follows the damage."""
_TAIL = 1 / 3
"""Share of the steps whose weights are averaged (Polyak & Juditsky 1992)."""


def learn(bench: Bench, start: Edit, allowed: float, steps: int) -> Shape:
    """Weights of layers, or modules, that lower the target's loss as far as a damage allows.

    Adam on the weights, projected into [0, 1.2], with the multiplier in dual ascent: it grows by a factor
    while damage is above what is allowed, and shrinks while it is below. It begins where moving all weights
    of ``start`` together changes nothing. Each step's slopes are taken at the weights as they would be
    written.

    Args:
        bench: To measure on.
        start: Where to begin, and what is weighed: all layers at the weight that does the damage allowed, or
            all modules at theirs.
        allowed: Damage, in nats a token.
        steps: How many.

    Returns:
        The mean of the last third of the steps, of the start's shape.
    """
    weights: Shape = start.array
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    multiplier: float | None = None
    kept: list[Shape] = []
    for step in range(steps):
        here = bench.slopes(Edit.of(weights), step)
        if multiplier is None:
            multiplier = _balance(here.by_target, here.by_control, weights)
        excess = min(1.0, max(-1.0, here.control / allowed - 1))
        multiplier *= math.exp(_PATIENCE * excess)
        gradient = here.by_target + multiplier * here.by_control
        mean = _MOMENTUM * mean + (1 - _MOMENTUM) * gradient
        square = _SQUARES * square + (1 - _SQUARES) * gradient**2
        size = np.sqrt(square / (1 - _SQUARES ** (step + 1)))
        # What has next to no slope moves next to nothing: Adam alone would move it as far.
        size += 0.1 * size.max() + 1e-12
        rate = _RATE * (1 - (1 - _LAST_RATE) * step / max(1, steps - 1))
        weights = np.clip(weights - rate * mean / (1 - _MOMENTUM ** (step + 1)) / size, 0.0, MOST)
        kept.append(weights)
    tail = kept[-max(1, round(_TAIL * steps)) :]
    learned: Shape = np.mean(tail, axis=0)
    return learned


def _balance(by_target: Shape, by_control: Shape, weights: Shape) -> float:
    """The multiplier at which scaling all weights changes nothing; of the sizes of both where that is no
    number."""
    gain, harm = -float((by_target * weights).sum()), float((by_control * weights).sum())
    if gain > 0 and harm > 0:
        return gain / harm
    sizes = float(np.abs(by_target).sum()), float(np.abs(by_control).sum())
    return sizes[0] / sizes[1] if sizes[1] else 1.0
