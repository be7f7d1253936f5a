"""What is diagnosed: a model, the SAEs that encode it, and the texts as they are encoded."""

from collections.abc import Sequence
from typing import NamedTuple

from sae_merge_method.corpora.beginning import Beginning, find_beginning
from sae_merge_method.corpora.documents import Corpus, check_disjoint, read_corpus
from sae_merge_method.corpora.held import held_bits, held_characters, put_on_held
from sae_merge_method.corpora.token_classes import classify, leave_out
from sae_merge_method.corpora.tokens import Document, check_tokens_differ, special_token_ids, tokenize
from sae_merge_method.corpora.twins import twin_of
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.diagnose.sides import Sides, prepare_sides
from sae_merge_method.diagnose.sited_saes import SitedSae, find_families, sited_saes
from sae_merge_method.errors import ModelError, UsageError
from sae_merge_method.layers import Unit
from sae_merge_method.loaded.text_model import TextModel, load_text_model
from sae_merge_method.models.devices import resolve_device
from sae_merge_method.models.hub import open_config
from sae_merge_method.together.workers import Workers


class Subject(NamedTuple):
    """What is diagnosed: a model, the SAEs that encode it, the texts of both sides."""

    model: TextModel
    beginning: Beginning
    """What stands before its documents."""
    saes: dict[Unit, SitedSae]
    """By the layer, or the part of one, that they tell of, ascending."""
    corpora: tuple[Corpus, ...]
    """The target, then the controls."""
    sides: Sides
    """Their documents as they are encoded."""


def open_subject(settings: DiagnoseSettings, workers: Workers) -> Subject:
    """Find the SAEs, read the corpora, load the model, tokenize: what is soon told to be wrong is told soon.

    Raises:
        SaeMergeError: One of them cannot be had, or they do not belong together.
    """
    stated = _stated_layers(settings.model)
    families = None if stated is None else find_families(settings, stated)
    device = workers.device(resolve_device(settings.device), settings.device_map)
    corpora = tuple(
        read_corpus(source, settings.text_field, settings.max_documents, settings.group_field)
        for source in (settings.target, *settings.control)
    )
    check_disjoint(corpora)
    model = load_text_model(settings.model, settings.dtype, device)
    if families is None or stated != len(model.blocks):
        families = find_families(settings, len(model.blocks))
    saes = sited_saes(settings, families, model)
    beginning = find_beginning(model.tokenizer, *model.configs)
    if _holds(settings) and not model.tokenizer.is_fast:
        raise UsageError(
            f"--mask {','.join(settings.mask)} beside --twins needs a fast tokenizer, which knows where its "
            'tokens stand; --twins "" leaves the twins out'
        )
    taken = [_taken(settings, model, beginning, corpus) for corpus in corpora]
    for of_control in taken[1:]:
        check_tokens_differ(taken[0], of_control)
    sides = prepare_sides(corpora, taken, match=settings.match)
    twins = tuple(
        _twin(settings, model, beginning, corpora[0], taken[0], sides.of(0), name) for name in settings.twins
    )
    return Subject(model, beginning, saes, corpora, sides._replace(twins=twins))


def _stated_layers(model: str) -> int | None:
    """How many layers the model's config says it has; None where it is not to be had: loading tells why."""
    try:
        return open_config(model).stated_layers
    except ModelError:
        return None


def _taken(
    settings: DiagnoseSettings, model: TextModel, beginning: Beginning, corpus: Corpus
) -> tuple[Document, ...]:
    """The tokens of one corpus with their classes; those of masked classes do not count."""
    documents = _classed(
        settings, model, beginning, corpus.documents, corpus.name, max_tokens=settings.max_tokens
    )
    return leave_out(documents, settings.mask, corpus.name)


def _twin(
    settings: DiagnoseSettings,
    model: TextModel,
    beginning: Beginning,
    target: Corpus,
    taken: Sequence[Document],
    kept: Sequence[Document],
    name: str,
) -> tuple[Document, ...]:
    """A twin of every document that is encoded, no longer than it; no limit of tokens drops the last."""
    bits, called = held_bits(settings.mask), f"the twin {name} of {target.name}"
    whole = {document.position: document for document in taken}
    twins = []
    for document in kept:
        text = target.documents[document.position]
        held = held_characters(whole[document.position], len(text), bits) if bits else None
        twins.append(twin_of(text, name, held))
    documents = _classed(settings, model, beginning, [twin.text for twin in twins], called)
    if bits:
        documents = tuple(put_on_held(one, *twins[one.position], bits) for one in documents)
    return tuple(
        document.cut(int(kept[document.position].counted.sum()))
        for document in leave_out(documents, settings.mask, called)
    )


def _classed(
    settings: DiagnoseSettings,
    model: TextModel,
    beginning: Beginning,
    texts: Sequence[str],
    name: str,
    max_tokens: int | None = None,
) -> tuple[Document, ...]:
    """Texts as tokens with their classes, and where they stand if a twin has to hold them there."""
    documents = tokenize(
        model.tokenizer,
        texts,
        name,
        special_token_ids(model.tokenizer, *model.configs),
        min(settings.max_length, model.context),
        max_tokens,
        begin=beginning.id,
        in_chat=settings.apply_chat_template,
        placed=_holds(settings),
    )
    return classify(documents, lambda token: model.tokenizer.decode([token]))


def _holds(settings: DiagnoseSettings) -> bool:
    """Whether a twin has to hold a part of its text."""
    return bool(settings.twins and held_bits(settings.mask))
