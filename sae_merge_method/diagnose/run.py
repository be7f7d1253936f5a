"""The stethoscope from end to end: corpora, model and SAEs in, a diagnosis folder out."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sae_merge_method import __version__
from sae_merge_method.artifacts import diagnosis as records
from sae_merge_method.artifacts.diagnosis import Diagnosis, LayerDiagnosis, ModelSource, write_draws
from sae_merge_method.artifacts.usage import Documents, LayerUsage, write_usage
from sae_merge_method.corpora.documents import Corpus, check_different, read_corpus
from sae_merge_method.corpora.tokens import (
    Document,
    check_heard_differ,
    in_chat,
    plain,
    special_token_ids,
    tokenize,
)
from sae_merge_method.diagnose.chunk_store import Progress
from sae_merge_method.diagnose.model import TextModel, load_text_model
from sae_merge_method.diagnose.page import write_report
from sae_merge_method.diagnose.plot import write_plot
from sae_merge_method.diagnose.scoring import ScoredLayer, ScoringSettings, score_layers
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.diagnose.snippets import add_snippets
from sae_merge_method.diagnose.specificity import find_score
from sae_merge_method.diagnose.sweep import Report, hear, load_beside
from sae_merge_method.diagnose.workers import join_workers
from sae_merge_method.files.folders import new_folder, require_free
from sae_merge_method.layers import parse_layers
from sae_merge_method.saes.find import SaeAddress, find_saes
from sae_merge_method.selection import parse_rule, select_layers

logger = logging.getLogger(__name__)

LITTLE_EXPLAINED = 0.5
"""Below this share of explained variance an SAE was hardly made for this model's activations."""


def diagnose(
    settings: DiagnoseSettings,
    out: Path,
    overwrite: bool = False,
    report: Report = logger.info,
) -> Diagnosis | None:
    """Listen to a model and write the diagnosis folder, whole or not at all.

    Killed at any moment and called again with the same settings, it goes on where it was.

    Args:
        settings: What to listen to, and how.
        out: Folder to write.
        overwrite: Replace a diagnosis that stands there.
        report: Told of the plan before work starts.

    Returns:
        The diagnosis; None in every process but the first, where there are several.

    Raises:
        SaeMergeError: Anything about the inputs that makes a diagnosis impossible.
    """
    score = find_score(settings.score)
    rule = parse_rule(settings.select) if settings.select else None
    require_free(out, overwrite=overwrite)
    target = read_corpus(settings.target, settings.text_field, settings.max_documents)
    control = read_corpus(settings.control, settings.text_field, settings.max_documents)
    check_different(target, control)
    with join_workers() as workers:
        device = workers.device(settings.device, settings.device_map)
        model = load_text_model(settings.model, settings.dtype, device)
        wanted = parse_layers(settings.layers, len(model.blocks))
        addresses = find_saes(settings.sae, settings.sae_id, wanted)
        documents, sides = _tokenize(settings, model, target, control)
        progress = Progress(out, _inputs(settings, model, target, control))
        heard = hear(settings, model, addresses, documents, progress, workers, report)
    if not heard:
        return None
    scoring_settings = ScoringSettings(settings.permutations, settings.bootstrap, settings.seed)
    usage = {layer: entry.usage for layer, entry in heard.items()}
    scoring = score_layers(score, sorted(usage), usage.__getitem__, sides, scoring_settings)
    by_layer = {address.layer: address for address in addresses}
    diagnosis = Diagnosis(
        model=_model_source(model),
        score=score.name,
        layers=tuple(
            LayerDiagnosis(
                **_with_snippets(settings, scored, model, by_layer, usage, documents, sides)._asdict(),
                explained_variance=heard[scored.layer].explained_variance,
                l0=mean_active(usage[scored.layer], sides),
                sae=heard[scored.layer].source,
            )
            for scored in scoring.layers
        ),
        target=_corpus(target, sides, is_target=True),
        control=_corpus(control, sides, is_target=False),
        settings=settings.recorded(str(model.dtype).removeprefix("torch.")),
    )
    chosen = select_layers(rule, diagnosis.scores(), diagnosis.q_values()) if rule else ()
    with new_folder(out, overwrite=overwrite) as folder:
        write_usage(folder, sides, usage)
        write_draws(folder, scoring.draws)
        write_plot(folder / records.PLOT_FILE, diagnosis, score.unit, chosen)
        write_report(folder, diagnosis, score.unit, chosen)
        records.write_diagnosis(folder, diagnosis)
    progress.discard()
    warn_where_little_is_explained(diagnosis)
    return diagnosis


def _with_snippets(
    settings: DiagnoseSettings,
    scored: ScoredLayer,
    model: TextModel,
    addresses: Mapping[int, SaeAddress],
    usage: Mapping[int, LayerUsage],
    documents: Sequence[Document],
    sides: Documents,
) -> ScoredLayer:
    """The layer with text beside its features; its SAE is loaded once more for that."""
    if settings.snippets == 0 or not scored.top_features:
        return scored
    sae = load_beside(addresses[scored.layer], model)
    return scored._replace(
        top_features=add_snippets(
            model, sae, scored.top_features, usage[scored.layer], documents, sides, settings.snippets
        )
    )


def _inputs(
    settings: DiagnoseSettings, model: TextModel, target: Corpus, control: Corpus
) -> dict[str, str | int | None]:
    """What a resumed run must have in common with the one that was interrupted."""
    return {
        **settings.of_listening(),
        "version": __version__,
        "model's config.json": model.config_sha256,
        "model's commit": model.revision,
        "target's sha256": target.sha256,
        "control's sha256": control.sha256,
    }


def mean_active(usage: LayerUsage, documents: Documents) -> float:
    """L0: mean number of active features a counted token."""
    return float(usage.counts.sum(dtype=np.int64) / documents.tokens.sum())


def warn_where_little_is_explained(diagnosis: Diagnosis) -> None:
    """Say which SAEs do not fit the activations: their scores mean little."""
    poor = [entry for entry in diagnosis.layers if entry.explained_variance < LITTLE_EXPLAINED]
    if poor:
        logger.warning(
            "SAEs explain less than %.0f %% of this model's activations in %d of %d layers (%s): "
            "were they trained on this model and at this place?",
            100 * LITTLE_EXPLAINED,
            len(poor),
            len(diagnosis.layers),
            ", ".join(f"layer {entry.layer}: {entry.explained_variance:.2f}" for entry in poor[:6]),
        )


def _tokenize(
    settings: DiagnoseSettings, model: TextModel, target: Corpus, control: Corpus
) -> tuple[tuple[Document, ...], Documents]:
    """All documents, the target's first, and which side each is on."""
    special = special_token_ids(model.tokenizer, *model.configs)
    length = min(settings.max_length, model.context)
    encode = (in_chat if settings.apply_chat_template else plain)(model.tokenizer)
    of_target, of_control = (
        tokenize(encode, corpus.documents, corpus.name, special, length, settings.max_tokens)
        for corpus in (target, control)
    )
    check_heard_differ(of_target, of_control)
    documents = (*of_target, *of_control)
    return documents, Documents(
        is_target=np.arange(len(documents)) < len(of_target),
        tokens=np.array([document.counted.sum() for document in documents], dtype=np.int64),
    )


def _model_source(model: TextModel) -> ModelSource:
    return ModelSource(
        id=model.name.path,
        revision=model.revision,
        config_sha256=model.config_sha256,
        n_layers=len(model.blocks),
        d_model=model.d_model,
    )


def _corpus(corpus: Corpus, documents: Documents, *, is_target: bool) -> records.Corpus:
    side = documents.is_target == is_target
    return records.Corpus(
        name=corpus.name,
        sha256=corpus.sha256,
        documents=int(side.sum()),
        tokens=int(documents.tokens[side].sum()),
    )
