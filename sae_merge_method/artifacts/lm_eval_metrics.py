"""Which way lm-eval's metrics run: whether a higher score is a better one, as each version says it or not."""

from collections.abc import Mapping
from typing import Any

_FALLING = frozenset(
    ("bits_per_byte", "brier_score", "byte_perplexity", "perplexity", "ter", "word_perplexity")
)
"""The metrics that lm-eval registers as better the lower they are."""


def is_higher_better(metric: str, told: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether a higher value is a better one; true where nothing says.

    Args:
        metric: lm-eval's name of it, without a filter.
        told: What the results file says of the task's metrics; nothing before lm-eval 0.4.3.
        config: The task's configuration, which lists its metrics and may say it of each.
    """
    listed = config.get("metric_list")
    own = [
        entry.get("higher_is_better")
        for entry in (listed if isinstance(listed, list) else ())
        if isinstance(entry, Mapping) and entry.get("metric") == metric
    ]
    said = (one for one in (told.get(metric), *own) if isinstance(one, bool))
    return next(said, metric not in _FALLING)
