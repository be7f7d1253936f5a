"""A model's fingerprint: what tells its weights from any other's, whatever layout they are stored in.

A diagnosis carries the fingerprint of the model that it was made on, and a recipe the diagnosis'. How it
is taken is left to :mod:`sae_merge_method.identity.fingerprint`.
"""

from typing import Any

from sae_merge_method.artifacts.schema import Record


class Fingerprint(Record):
    """A text decoder's weights in a few hashes over samples of every layer's tensors, and its constants.

    The same for each layout and each number of shards of one model.
    """

    dtype: str
    """Narrowest dtype that a sampled tensor is stored in, as recipes write it."""
    tensors: str
    """sha256 over the names and shapes of the sampled tensors: all fine-tunes of one model share it."""
    numbers: dict[str, str]
    """By dtype, sha256 over the sampled numbers rounded to it: a model stored in two dtypes agrees with
    itself in the narrower one."""
    constants: dict[str, Any]
    """Widths, heads and constants of the model's config that decide what its layers compute, by key."""

    def agrees_in(self, other: "Fingerprint") -> str | None:
        """The widest dtype in which two models hold the same numbers; None where they hold different ones.

        That is float32 for one model however it is laid out, and the narrower of two dtypes where one of
        the two was rounded from the other.
        """
        if self.tensors != other.tensors:
            return None
        stored = ("float32", *sorted({self.dtype, other.dtype} & self.numbers.keys()))
        return next((kind for kind in stored if self.numbers.get(kind) == other.numbers.get(kind)), None)
