"""What stands at the model's first position: begin-of-text where the model was trained with one, else text.

A tokenizer says what it adds, not what the model was trained with. Some add nothing though the family was
trained with begin-of-text before every document; others have a token of that name that no document began
with. So the family's row decides where the tokenizer adds nothing, and only for tokens that are known to
begin text.
"""

from typing import Any, NamedTuple

from sae_merge_method.errors import ModelError, first_line
from sae_merge_method.models.families import family_of
from sae_merge_method.models.hub import parse_model_id


class Beginning(NamedTuple):
    """How documents begin."""

    id: int | None
    """The token before every document; None where nothing is put there."""
    token: str | None
    """Its text; where nothing is put there, that of a begin-of-text which the tokenizer has but does not
    add."""
    added: bool
    """Whether the tokenizer adds it by itself."""

    @property
    def sentence(self) -> str:
        """What a user should know of it."""
        if self.added:
            return f"this tokenizer puts {self.token} before every document"
        if self.id is not None:
            return (
                f"this tokenizer adds no BOS, though models of this family were trained with {self.token}: "
                "diagnose puts it before every document"
            )
        has = "has none" if self.token is None else f"does not begin documents with its {self.token}"
        return (
            f"this tokenizer adds no BOS (it {has}): a document's first token stands at the model's first "
            "position, where its attention rests, and is not counted"
        )


def find_beginning(tokenizer: Any, *configs: Any) -> Beginning:
    """How documents of a model begin.

    Args:
        tokenizer: Of transformers.
        configs: The whole model's config and the text model's.
    """
    alone = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    if len(whole) > len(alone) and whole[1 : 1 + len(alone)] == alone:
        return Beginning(int(whole[0]), tokenizer.convert_ids_to_tokens(int(whole[0])), added=True)
    # The config too may name it; where it names the end of text, for want of another, no family's row does.
    numbers = [getattr(holder, "bos_token_id", None) for holder in (tokenizer, *configs)]
    known = (one for one in numbers if isinstance(one, int) and one < len(tokenizer))
    number = next(known, None)
    token = None if number is None else tokenizer.convert_ids_to_tokens(number)
    families = (family_of(getattr(config, "model_type", None)) for config in configs)
    if any(family and token in family.begins_with for family in families):
        return Beginning(number, token, added=False)
    return Beginning(None, tokenizer.bos_token, added=False)


def beginning_of(model: str) -> Beginning:
    """How documents of a model begin, by its tokenizer and config; its weights are not read.

    Args:
        model: Folder or Hub id, ``@revision`` allowed.

    Raises:
        ModelError: One of the two cannot be read.
    """
    from transformers import AutoConfig, AutoTokenizer

    name = parse_model_id(model)
    where = {"revision": name.revision} if name.revision else {}
    try:
        config = AutoConfig.from_pretrained(name.path, **where)
        tokenizer = AutoTokenizer.from_pretrained(name.path, **where)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelError(f"cannot read the tokenizer of {model}: {first_line(error)}") from error
    return find_beginning(tokenizer, config, config.get_text_config())
