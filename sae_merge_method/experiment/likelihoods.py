"""How likely a loaded model finds documents: log p as lm-eval's own requests tell it, each document whole.

Which documents, and what their losses show, is left to the callers.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sae_merge_method.errors import ModelError

if TYPE_CHECKING:
    from lm_eval.api.model import TemplateLM


def log_likelihoods(lm: "TemplateLM", documents: Sequence[str]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """-log p of every document after the model's own first token, in nats, and its number of tokens.

    A document longer than the model's context is cut to fit.
    """
    from lm_eval.api.instance import Instance

    fitting = [_fit(lm, document) for document in documents]
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=("", text), idx=number)
        for number, (text, _) in enumerate(fitting)
    ]
    with _in_float32(lm):
        answers = lm.loglikelihood(requests)
    return tuple(-float(log_p) for log_p, _ in answers), tuple(tokens for _, tokens in fitting)


def require_numbers(name: str, nats: Sequence[float]) -> None:
    """Make sure that losses are numbers, before they are anybody's record.

    Args:
        name: Of the documents.
        nats: Their losses.

    Raises:
        ModelError: Some are NaN or infinite.
    """
    lost = sum(not math.isfinite(one) for one in nats)
    if lost:
        raise ModelError(
            f"the loss on {lost:,} of {len(nats):,} documents of {name} is no number: the model may be "
            "damaged, or evaluation.model_args have it compute in a dtype that is too narrow for it"
        )


@contextmanager
def _in_float32(lm: "TemplateLM") -> Iterator[None]:
    """lm-eval adds log p up in the model's own dtype: in bfloat16, a document's would be off by nats."""
    import torch

    before = getattr(lm, "softmax_dtype", None)  # of hf models; vLLM gives float32 as it is
    lm.softmax_dtype = torch.float32
    try:
        yield
    finally:
        lm.softmax_dtype = before


def _fit(lm: "TemplateLM", text: str) -> tuple[str, int]:
    while True:
        ids = lm.tok_encode(text, add_special_tokens=False)
        tokens = len(ids) - (ids[0] == lm.prefix_token_id)  # lm-eval takes that one for the context
        if tokens <= lm.max_length:
            return text, tokens
        text = text[: len(text) * lm.max_length // (tokens + 1)]
