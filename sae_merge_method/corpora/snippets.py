"""Text around one token, which stands between guillemets: what a reader is shown of a document."""

from typing import Any

from sae_merge_method.corpora.counting import Ids, Mask

_AROUND = 12
"""Tokens shown on either side."""


def snippet(tokenizer: Any, ids: Ids, shown: Mask, token: int) -> str:
    """The text around a token, in one line.

    Args:
        tokenizer: Of transformers.
        ids: (T,) the document.
        shown: (T,) which tokens are its text.
        token: The place of the token.
    """

    def text(start: int, stop: int) -> str:
        inside = slice(max(0, start), stop)
        decoded: str = tokenizer.decode(ids[inside][shown[inside]], clean_up_tokenization_spaces=False)
        return " ".join(decoded.split("\n"))

    before, peak = text(token - _AROUND, token), text(token, token + 1)
    return f"{before}«{peak}»{text(token + 1, token + 1 + _AROUND)}"
