"""A diagnosis as tables: its layers, or parts of layers, and the features of each."""

from collections.abc import Collection
from urllib.parse import quote

from sae_merge_method.artifacts.diagnosis import Corpus, Diagnosis
from sae_merge_method.artifacts.layer_diagnosis import LayerDiagnosis, TopFeature
from sae_merge_method.artifacts.left_out import LeftOut
from sae_merge_method.diagnose.specificity import SCORES
from sae_merge_method.layers import Unit, units_word
from sae_merge_method.models.parts import PARTS
from sae_merge_method.reports import numbers
from sae_merge_method.reports.grid import NOTHING, Cell, Grid
from sae_merge_method.reports.html import marked
from sae_merge_method.reports.notebook import View

MOVED = "!"
"""Beside a score that would change by more than its interval if outliers counted."""
_NEURONPEDIA = "https://www.neuronpedia.org"


def layers_grid(diagnosis: Diagnosis, selected: Collection[Unit] = ()) -> Grid:
    """One row a layer, or part of one; selected layers are marked."""
    several = diagnosis.controls if len(diagnosis.controls) > 1 else ()
    against = tuple(f"against {control.name}" for control in several)
    lifted = any(entry.with_outliers is not None for entry in diagnosis.layers)
    header = (
        *(
            heading(diagnosis),
            "score",
            "corrected",
            "p",
            "q",
            "estimate",
            "interval",
            *against,
            "explained",
            "L0",
        ),
        *(("outliers", "with them") if lifted else ("outliers",)),
    )
    marked = (row for row, entry in enumerate(diagnosis.layers) if entry.unit in selected)
    rows = (_layer_row(entry, lifted=lifted) for entry in diagnosis.layers)
    return Grid(header, tuple(rows), marked=frozenset(marked))


def _layer_row(entry: LayerDiagnosis, *, lifted: bool) -> tuple[Cell, ...]:
    null, interval = entry.null, entry.interval
    return (
        Cell(str(entry.unit), entry.layer),
        Cell(numbers.decimal(entry.score), entry.score),
        Cell(numbers.signed_decimal(null.corrected), null.corrected) if null else _NONE,
        Cell(numbers.p_value(null.p), null.p) if null else _NONE,
        Cell(numbers.p_value(null.q), null.q) if null else _NONE,
        Cell(numbers.decimal(interval.estimate), interval.estimate) if interval else _NONE,
        Cell(f"{numbers.decimal(interval.low)} to {numbers.decimal(interval.high)}", interval.low)
        if interval
        else _NONE,
        *(Cell(numbers.decimal(one.score), one.score) for one in entry.against),
        Cell(numbers.decimal(entry.explained_variance, 3), entry.explained_variance),
        Cell(numbers.decimal(entry.l0, 1), entry.l0),
        Cell(f"{entry.left_out.outliers:,}", entry.left_out.outliers) if entry.left_out else _NONE,
        *((_with_outliers(entry),) if lifted else ()),
    )


def _with_outliers(entry: LayerDiagnosis) -> Cell:
    """The score if outliers counted; marked where that would be another."""
    if entry.with_outliers is None:
        return _NONE
    mark = f" {MOVED}" if entry.moved_by_outliers else ""
    return Cell(f"{numbers.decimal(entry.with_outliers)}{mark}", entry.with_outliers)


_NONE = Cell(NOTHING)


def features_grid(entry: LayerDiagnosis) -> Grid:
    """One row a feature that tells the target from the control, with target text that it fires on."""
    text = "target text"
    header = (
        *("feature", "share", "mean on target", "mean on control", "fires on target", "fires on control"),
        text,
    )
    rows = tuple(_feature_row(feature, entry.sae.neuronpedia) for feature in entry.top_features)
    return Grid(header, rows, words=frozenset((text,)))


def _feature_row(feature: TopFeature, neuronpedia: str | None) -> tuple[Cell, ...]:
    name = str(feature.feature)
    link = "" if neuronpedia is None else f"{_NEURONPEDIA}/{quote(neuronpedia, errors='replace')}/{name}"
    return (
        Cell(name, feature.feature, html=f'<a href="{link}">{name}</a>' if link else ""),
        Cell(numbers.score(feature.share, share=True), feature.share),
        Cell(numbers.score(feature.target, share=False), feature.target),
        Cell(numbers.score(feature.control, share=False), feature.control),
        Cell(numbers.percent(feature.target_rate), feature.target_rate),
        Cell(numbers.percent(feature.control_rate), feature.control_rate),
        Cell(" | ".join(feature.snippets), html="<br>".join(map(marked, feature.snippets))),
    )


def diagnosis_view(diagnosis: Diagnosis) -> View:
    """A diagnosis as a notebook shows it."""
    score = SCORES.get(diagnosis.score)
    unit = f" ({score.unit})" if score else ""
    return View(
        (layers_grid(diagnosis), corpora_grid(diagnosis)),
        head=(
            f"{diagnosis.model.id}: {diagnosis.score}{unit} of {diagnosis.target.name} "
            f"against {named_controls(diagnosis)}, {layers_diagnosed(diagnosis)}",
            *(sentence for sentence in (diagnosis.without_saes(), diagnosis.outliers()) if sentence),
        ),
    )


def left_out_grid(diagnosis: Diagnosis) -> Grid:
    """One row a layer: the norms of its tokens, and which of them do not count."""
    sides = ("target", *(control.name for control in diagnosis.controls))
    header = (
        *(heading(diagnosis), "median norm", "at first position", "first tokens", "outliers"),
        *(f"of {name}" for name in sides),
        *("explained tokens", "explained with outliers", "left out most often"),
    )
    rows = (_left_out_row(entry, entry.left_out) for entry in diagnosis.layers if entry.left_out)
    return Grid(header, tuple(rows), words=frozenset(("left out most often",)))


def _left_out_row(entry: LayerDiagnosis, left_out: LeftOut) -> tuple[Cell, ...]:
    most = (f"{token.text!r} {token.count:,}" for token in left_out.tokens)
    explained, pooled = entry.explained_tokens, entry.explained_with_outliers
    return (
        Cell(str(entry.unit), entry.layer),
        Cell(numbers.decimal(left_out.median_norm, 1), left_out.median_norm),
        Cell(numbers.decimal(left_out.first_norm, 1), left_out.first_norm),
        Cell(f"{left_out.first:,}", left_out.first),
        Cell(f"{left_out.outliers:,}", left_out.outliers),
        *(Cell(numbers.percent(share), share) for share in left_out.shares),
        _NONE if explained is None else Cell(numbers.percent(explained), explained),
        _NONE if pooled is None else Cell(numbers.decimal(pooled, 3), pooled),
        Cell(", ".join(most)),
    )


def surface_grid(diagnosis: Diagnosis) -> Grid:
    """One row a layer: the share of its score that each class of tokens carries, and each twin keeps."""
    first = diagnosis.layers[0]
    header = (
        heading(diagnosis),
        *(f"carried by {name}" for name in first.without),
        *(f"kept with {name} shuffled" for name in first.twins),
    )
    rows = (
        (
            Cell(str(entry.unit), entry.layer),
            *(_share(entry, value, carried=True) for value in entry.without.values()),
            *(_share(entry, value, carried=False) for value in entry.twins.values()),
        )
        for entry in diagnosis.layers
    )
    return Grid(header, tuple(rows))


def _share(entry: LayerDiagnosis, score: float, *, carried: bool) -> Cell:
    share = entry.share_of_score(score)
    if share is None:
        return _NONE
    shown = round(1 - share if carried else share, 4) + 0.0  # no share is -0.00 %
    return Cell(numbers.percent(shown), shown)


def corpora_grid(diagnosis: Diagnosis) -> Grid:
    """One row a corpus: what was encoded of it, what there was, and how much of it repeats."""
    words = ("side", "corpus")
    header = (
        *(*words, "documents", "sources", "tokens", "tokens a document", "documents read", "tokens read"),
        *("repeated", "nearly"),
    )
    sides = [("target", diagnosis.target), *(("control", control) for control in diagnosis.controls)]
    return Grid(header, tuple(_corpus_row(side, corpus) for side, corpus in sides), words=frozenset(words))


def _corpus_row(side: str, corpus: Corpus) -> tuple[Cell, ...]:
    return (
        Cell(side),
        Cell(corpus.name),
        Cell(f"{corpus.documents:,}", corpus.documents),
        Cell(f"{corpus.sources:,}", corpus.sources) if corpus.sources is not None else _NONE,
        Cell(f"{corpus.tokens:,}", corpus.tokens),
        Cell(numbers.decimal(corpus.tokens_a_document, 1), corpus.tokens_a_document),
        Cell(f"{corpus.documents_read:,}", corpus.documents_read),
        Cell(f"{corpus.tokens_read:,}", corpus.tokens_read),
        Cell(f"{corpus.exact_duplicates:,}", corpus.exact_duplicates),
        Cell(f"{corpus.near_duplicates:,}", corpus.near_duplicates),
    )


def named_controls(diagnosis: Diagnosis) -> str:
    """The controls' names, for a sentence."""
    return ", ".join(control.name for control in diagnosis.controls)


def layers_diagnosed(diagnosis: Diagnosis) -> str:
    """How many of the model's layers, or of their parts, have a score."""
    whole = diagnosis.model.n_layers
    if heading(diagnosis) == "layer":
        return f"{len(diagnosis.layers)} of {whole} layers diagnosed"
    return f"{len(diagnosis.layers)} of {len(PARTS) * whole} modules diagnosed"


def heading(diagnosis: Diagnosis) -> str:
    """What a row of the diagnosis' tables is: a layer, or a module."""
    return units_word(diagnosis.units)[:-1]
