"""How likely a loaded model finds documents: log p as lm-eval's own requests tell it, each document whole.

Where lm-eval holds a model of transformers, its own passes are made, and log p is taken of the tokens that
stand there alone. Which documents, and what their losses show, is left to the callers.
"""

import math
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from sae_merge_method.errors import ModelError
from sae_merge_method.evaluation.watching import Tell
from sae_merge_method.in_memory.losses import token_nats

if TYPE_CHECKING:
    from lm_eval.api.model import TemplateLM


def log_likelihoods(
    lm: "TemplateLM", documents: Sequence[str], tell: Tell = lambda _, __: None
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """-log p of every document after the model's own first token, in nats, and its number of tokens.

    A document longer than the model's context is cut to fit.

    Args:
        lm: The loaded model.
        documents: None of them empty.
        tell: Called with how many documents are weighed, of how many; another backend's are told by lm-eval's
            own bars.
    """
    passes = _gives_logits(lm)
    # lm-eval's vLLM wants room for a token to come, too: of a text that is longer it weighs the last alone.
    room = lm.max_length if passes else lm.max_length - 2
    fitting = [_fit(lm, document, room) for document in documents]
    weigh = _by_passes if passes else _by_requests
    return tuple(weigh(lm, fitting, tell)), tuple(len(one.ids) for one in fitting)


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


class _Fitting(NamedTuple):
    """A document that fits into the context."""

    text: str
    ids: tuple[int, ...]
    """Of the tokens to predict."""


def _fit(lm: "TemplateLM", text: str, room: int) -> _Fitting:
    while True:
        ids = lm.tok_encode(text, add_special_tokens=False)
        ids = tuple(ids[1:] if ids[0] == lm.prefix_token_id else ids)  # as lm-eval: it is the context
        if len(ids) <= room:
            return _Fitting(text, ids)
        text = text[: len(text) * room // (len(ids) + 1)]


def _gives_logits(lm: "TemplateLM") -> bool:
    """Whether logits can be had here: then lm-eval's search for the likeliest tokens is left out, which costs
    half as much as the passes where the vocabulary is large."""
    from lm_eval.models.huggingface import HFLM

    return isinstance(lm, HFLM) and lm.backend == "causal"


def _by_passes(lm: Any, documents: Sequence[_Fitting], tell: Tell) -> list[float]:
    """Nats by the passes that lm-eval would make: of a batch size, the longest first, padded on the right."""
    import torch

    order = sorted(range(len(documents)), key=lambda nth: (-len(documents[nth].ids), documents[nth].ids))
    size = lm.batch_size
    if size == "auto":
        longest = documents[order[0]]
        size = lm._detect_batch_size([((), [lm.prefix_token_id], list(longest.ids))])
    nats = [0.0] * len(documents)
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        width = len(documents[batch[0]].ids)
        ids = torch.zeros((len(batch), width + 1), dtype=torch.long)
        ids[:, 0] = lm.prefix_token_id
        for row, nth in enumerate(batch):
            ids[row, 1 : len(documents[nth].ids) + 1] = torch.tensor(documents[nth].ids)
        logits = lm._model_call(ids[:, :-1].to(lm.device))[:, -width:]  # tuned prompts have logits, too
        following = ids[:, 1:].to(logits.device)
        lengths = [len(documents[nth].ids) for nth in batch]
        sums = [token_nats(logits[row, :n], following[row, :n]).sum() for row, n in enumerate(lengths)]
        for nth, total in zip(batch, torch.stack(sums).tolist(), strict=True):
            nats[nth] = total
        tell(start + len(batch), len(order))
    return nats


def _by_requests(lm: "TemplateLM", documents: Sequence[_Fitting], _: Tell) -> list[float]:
    from lm_eval.api.instance import Instance

    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=("", text), idx=number)
        for number, (text, _) in enumerate(documents)
    ]
    return [-float(log_p) for log_p, _ in _as_plain(lm).loglikelihood(requests)]


def _as_plain(lm: Any) -> Any:
    """The same loaded model, asked for no thoughts: raw text has none, and lm-eval weighs by no other."""
    if not getattr(lm, "enable_thinking", False):
        return lm
    plain = copy(lm)
    plain.enable_thinking = False
    return plain
