"""The stethoscope from end to end: corpora, model and SAEs in, a diagnosis folder out."""

import logging
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from pathlib import Path

from sae_merge_method import __version__
from sae_merge_method.artifacts import diagnosis as records
from sae_merge_method.artifacts.attribution import write_attribution
from sae_merge_method.artifacts.diagnosis import Diagnosis, ModelSource
from sae_merge_method.artifacts.dictionary_scores import DictionaryScores
from sae_merge_method.artifacts.draws import write_draws
from sae_merge_method.artifacts.layer_diagnosis import LayerDiagnosis
from sae_merge_method.artifacts.usage import SurfaceNames, write_usage
from sae_merge_method.attribute.run import attributed_beside
from sae_merge_method.attribute.settings import AttributeSettings
from sae_merge_method.corpora.token_classes import TOKEN_CLASSES
from sae_merge_method.diagnose import remarks
from sae_merge_method.diagnose.chunk_store import ChunkStore
from sae_merge_method.diagnose.encoded_layer import EncodedLayer
from sae_merge_method.diagnose.other_scores import score_dictionaries
from sae_merge_method.diagnose.page import draw_diagnosis
from sae_merge_method.diagnose.scoring import ScoredLayer, Scoring, score_layers
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.diagnose.snippets import add_snippets
from sae_merge_method.diagnose.subject import Subject, open_subject
from sae_merge_method.diagnose.sweep import Report, encode_layers
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.progress import Progress
from sae_merge_method.files.stamps import ENCODING
from sae_merge_method.foretold import held_against
from sae_merge_method.identity.made_from import of_model, of_packages, of_texts
from sae_merge_method.in_memory.opening import check_fits
from sae_merge_method.layers import LayerModule, Unit, by_depth, format_layers, layers_of
from sae_merge_method.selection import choose_layers, parse_rule
from sae_merge_method.together.workers import Workers, join_workers

logger = logging.getLogger(__name__)


def diagnose(
    settings: DiagnoseSettings,
    out: str | Path,
    *,
    overwrite: bool = False,
    report: Report = logger.info,
) -> Diagnosis:
    """Diagnose a model and write the diagnosis folder, whole or not at all.

    Killed at any moment and called again with the same settings, it goes on where it was. Where torchrun,
    accelerate or ``--workers`` started several processes, they share the documents and the first scores and
    writes; a call starts none.

    Args:
        settings: What to diagnose, and how.
        out: Folder to write.
        overwrite: Replace a diagnosis that stands there.
        report: Told of the plan before work starts.

    Returns:
        The diagnosis that was written.

    Raises:
        InUseError: Another process writes there.
        SaeMergeError: Anything about the inputs that makes a diagnosis impossible.
    """
    out = Path(out)
    with join_workers() as workers:
        # One process writes, and claims the folder; the chunks beside it are shared.
        with new_folder(out, overwrite=overwrite) if workers.is_first else nullcontext() as folder:
            if workers.is_first and settings.donor is not None:
                check_fits(settings.model, [settings.donor], beside=out)
            subject = open_subject(settings, workers)
            if workers.is_first and not subject.beginning.added:
                report(subject.beginning.sentence)
            store = ChunkStore(out, _inputs(settings, subject))
            tell = report if workers.is_first else logger.debug
            with held_against(subject.model.device, tell) as foretold:
                encoded = encode_layers(
                    settings, subject.model, subject.saes, subject.sides, store, workers, report, foretold
                )
                if folder is not None:
                    usage = {layer: entry.usage for layer, entry in encoded.items()}
                    units = sorted(usage, key=by_depth)
                    outliers = {layer: entry.outliers for layer, entry in encoded.items()}
                    labels = subject.sides.labels
                    controls = [corpus.name for corpus in subject.corpora[1:]]
                    surfaces = {layer: entry.surface for layer, entry in encoded.items()}
                    names = SurfaceNames(tuple(TOKEN_CLASSES), settings.twins)
                    scoring = score_layers(
                        units,
                        usage.__getitem__,
                        labels,
                        settings,
                        controls,
                        surfaces.__getitem__,
                        names,
                        outliers.__getitem__,
                    )
                    beside = score_dictionaries(
                        list(next(iter(encoded.values())).beside),
                        units,
                        lambda layer, name: encoded[layer].beside[name](),
                        labels,
                        settings,
                    )
                    diagnosis = _diagnosis(settings, subject, encoded, scoring, beside)
                    rule = parse_rule(settings.select) if settings.select else None
                    selected = choose_layers(rule, diagnosis.scores(), diagnosis.q_values()) if rule else ()
                    write_usage(folder, labels, usage, surfaces, names, outliers)
                    write_draws(folder, scoring.draws)
                    records.write_diagnosis(folder, diagnosis)
            attributing = None
            if settings.donor is not None:
                diagnosed = tuple(subject.saes)
                del subject, encoded  # the model is loaded again, with its head and in float32
                attributing = _attribute(settings, diagnosed, out, folder, workers, report)
            if folder is not None:
                draw_diagnosis(folder, diagnosis, rule, selected)
        if workers.is_first:
            store.discard()
            if attributing is not None:
                attributing.discard()
        workers.wait()
    diagnosis = records.read_diagnosis(out)
    if workers.is_first:
        remarks.warn(diagnosis)
    return diagnosis


def _attribute(
    settings: DiagnoseSettings,
    units: Collection[Unit],
    out: Path,
    folder: Path | None,
    workers: Workers,
    report: Report,
) -> Progress:
    """Attribute the donor on the same texts; what was measured is kept until the diagnosis is whole."""
    shared = set(AttributeSettings.model_fields) & set(DiagnoseSettings.model_fields) - {
        "dtype",
        "sae",
        "sae_id",
    }
    asked = AttributeSettings.model_validate(
        {"base": settings.model, **settings.model_dump(include=shared), **_asked_of(settings, units)}
    )
    beside = out.with_name(f"{out.name}.attribution")  # not to be mistaken for what was encoded
    attributed, progress = attributed_beside(asked, beside, workers, report)
    if folder is not None:
        write_attribution(folder, *attributed)
    return progress


def _asked_of(settings: DiagnoseSettings, units: Collection[Unit]) -> dict[str, str]:
    """The SAEs through whose features the donor is followed: one family, of whole layers."""
    if len(settings.sae) > 1 or any(isinstance(unit, LayerModule) for unit in units):
        # what a donor's layer has done stands in its output alone
        return {"layers": format_layers(layers_of(units))}
    return {"sae": settings.sae[0], **({"sae_id": settings.sae_id[0]} if settings.sae_id else {})}


def _inputs(settings: DiagnoseSettings, subject: Subject) -> dict[str, str | int | None]:
    """What a resumed run must have in common with the one that was interrupted."""
    return {
        **settings.of_encoding(str(subject.model.dtype).removeprefix("torch."), subject.model.device.type),
        "version": __version__,
        **of_packages(ENCODING),
        **of_model("model", subject.model),
        **of_texts((corpus.name, corpus.sha256) for corpus in subject.corpora),
        "documents as they are encoded": subject.sides.sha256(),
    }


def _diagnosis(
    settings: DiagnoseSettings,
    subject: Subject,
    encoded: Mapping[Unit, EncodedLayer],
    scoring: Scoring,
    beside: tuple[DictionaryScores, ...],
) -> Diagnosis:
    model = subject.model
    return Diagnosis(
        model=ModelSource(
            id=model.name.path,
            revision=model.revision,
            config_sha256=model.config_sha256,
            fingerprint=model.fingerprint,
            n_layers=len(model.blocks),
            d_model=model.d_model,
            begins_with=subject.beginning.token if subject.beginning.id is not None else None,
            adds_begin=subject.beginning.added,
        ),
        score=settings.score,
        layers=tuple(_layer(scored, encoded[scored.unit], subject, settings) for scored in scoring.layers),
        target=subject.sides.corpora[0],
        controls=subject.sides.corpora[1:],
        others=scoring.others,
        dictionaries=beside,
        settings=settings.recorded(str(model.dtype).removeprefix("torch."), model.device.type),
    )


def _layer(
    scored: ScoredLayer, encoded: EncodedLayer, subject: Subject, settings: DiagnoseSettings
) -> LayerDiagnosis:
    features, tokenizer = scored.top_features, subject.model.tokenizer
    if settings.snippets and features:
        usage, peaks = encoded.usage, encoded.peaks()
        features = add_snippets(features, usage, peaks, subject.sides, tokenizer, settings.snippets)
    fired = int(encoded.usage.counts.sum(dtype="int64"))
    return LayerDiagnosis(
        **scored._replace(top_features=features)._asdict(),
        explained_variance=encoded.fit.median,
        explained_tokens=encoded.fit.share,
        explained_with_outliers=encoded.fit.with_outliers,
        l0=fired / max(1, int(encoded.usage.tokens.sum(dtype="int64"))),
        left_out=remarks.describe_left_out(encoded, subject.sides, lambda token: tokenizer.decode([token])),
        sae=encoded.source,
    )
