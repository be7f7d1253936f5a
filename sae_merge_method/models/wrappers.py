"""What wrappers of training leave in the names of a model's tensors, and names without it."""

from collections.abc import Mapping

LEFT_BY = {
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "FSDP",
    "_checkpoint_wrapped_module": "activation checkpointing",
    "module": "DistributedDataParallel or DataParallel",
}
"""By the word in a name, who leaves it there."""
_IN_FRONT = ("module",)  # inside a layer a model's own part may be called so
_PEFT = "base_model.model."


def plain_name(name: str) -> str:
    """A tensor's name without what peft, torch.compile and other wrappers put around the model's own."""
    words = name.split(".")
    front = next((at for at, word in enumerate(words) if word.isdecimal()), len(words))
    kept = [
        word for at, word in enumerate(words) if word not in LEFT_BY or (word in _IN_FRONT and at > front)
    ]
    plain = ".".join(kept)
    while plain.startswith(_PEFT):
        plain = plain.removeprefix(_PEFT)
    return plain


def wrappers_of(plain: Mapping[str, str]) -> tuple[str, ...]:
    """The words that wrappers left in names, each with its dot.

    Args:
        plain: What :func:`plain_name` makes of each name.
    """
    return tuple(f"{word}." for word in LEFT_BY if any(_is_left(word, *names) for names in plain.items()))


def told(wrapper: str) -> str:
    """Whose a word of :func:`wrappers_of` is, as a clause."""
    return f"its names hold {wrapper}, which {LEFT_BY[wrapper.rstrip('.')]} leaves in them"


def _is_left(wrapper: str, name: str, plain: str) -> bool:
    return wrapper in name.split(".") and wrapper not in plain.split(".")
