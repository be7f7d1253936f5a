"""What a diagnosis looks like: ``specificity.png``, and ``diagnosis.html`` to read and to send on."""

import base64
from pathlib import Path

from sae_merge_method.artifacts.attribution import ATTRIBUTION_FILE, Attribution, read_attribution
from sae_merge_method.artifacts.diagnosis import PLOT_FILE, REPORT_FILE, Corpus, Diagnosis, ModelSource
from sae_merge_method.artifacts.layer_diagnosis import LayerDiagnosis
from sae_merge_method.attribute.page import attribution_section
from sae_merge_method.corpora.token_classes import TOKEN_CLASSES
from sae_merge_method.diagnose.plot import plot_specificity
from sae_merge_method.diagnose.score_ranks import depth_sentence
from sae_merge_method.diagnose.specificity import find_score
from sae_merge_method.diagnose.tables import (
    MOVED,
    corpora_grid,
    features_grid,
    heading,
    layers_diagnosed,
    layers_grid,
    left_out_grid,
    surface_grid,
)
from sae_merge_method.escape import html
from sae_merge_method.files.writing import write_bytes, write_text
from sae_merge_method.layers import Unit, format_layers, units_word
from sae_merge_method.models.parts import PARTS
from sae_merge_method.reports.grid import as_html
from sae_merge_method.reports.html import html_page
from sae_merge_method.selection import SelectionRule
from sae_merge_method.spacing import adjacency


def draw_diagnosis(
    folder: Path, diagnosis: Diagnosis, rule: SelectionRule | None = None, selected: tuple[Unit, ...] = ()
) -> None:
    """Write plot and page into a diagnosis folder: same diagnosis, same bytes.

    Args:
        folder: Where they go.
        diagnosis: What to show.
        rule: The rule whose layers are marked.
        selected: Its layers.

    Raises:
        UsageError: The diagnosis' score is not known here.
    """
    picture = plot_specificity(diagnosis, find_score(diagnosis.score).unit, selected)
    write_bytes(folder / PLOT_FILE, picture)
    attributed = read_attribution(folder) if (folder / ATTRIBUTION_FILE).is_file() else None
    write_text(folder / REPORT_FILE, diagnosis_page(diagnosis, picture, rule, selected, attributed))


def diagnosis_page(
    diagnosis: Diagnosis,
    picture: bytes,
    rule: SelectionRule | None,
    selected: tuple[Unit, ...],
    attribution: Attribution | None = None,
) -> str:
    """The whole page: same diagnosis and picture, same text.

    Args:
        diagnosis: What to show.
        picture: The plot, a PNG.
        rule: The rule whose layers are marked.
        selected: Its layers.
        attribution: Of a donor on the same texts, where there is one.
    """
    title = f"{_many(diagnosis).capitalize()} of {diagnosis.model.id}: {diagnosis.score}"
    body = _body(diagnosis, picture, rule, selected)
    return html_page(title, body if attribution is None else body + attribution_section(attribution))


def _body(
    diagnosis: Diagnosis, picture: bytes, rule: SelectionRule | None, selected: tuple[Unit, ...]
) -> str:
    score = find_score(diagnosis.score)
    chosen = _selected(rule, selected) if rule else ""
    word = heading(diagnosis)
    settings = "".join(
        f"<dt>{html(name)}</dt><dd>{html(_plainly(value))}</dd>" for name, value in diagnosis.settings.items()
    )
    return f"""<dl>
{_corpus("target", diagnosis.target)}
{chr(10).join(_corpus("control", control) for control in diagnosis.controls)}
{chr(10).join(_saes(diagnosis))}
<dt>documents begin</dt><dd>{html(_beginning(diagnosis.model))}</dd>
<dt>{_many(diagnosis)}</dt><dd>{_diagnosed(diagnosis)}</dd>
<dt>score</dt><dd>{html(score.name)}: {html(score.summary)}</dd>
{chosen}
</dl>
<p><img alt="Score of every {word}, with its interval and the scores of shuffled labels"
src="data:image/png;base64,{base64.b64encode(picture).decode("ascii")}"></p>
<h2>{_many(diagnosis).capitalize()}</h2>
<p class="note">Score in {html(score.unit)}. Corrected: less the mean under shuffled labels, which {word}s are
chosen by. p and q: from the same shuffles, q with false discoveries over {word}s controlled: whether usage
differs at all. Estimate and interval: where unlimited documents would put the score. Explained: how much of
the median token the SAE reconstructs. L0: active features a token. Outliers: tokens whose norm is far above
the {word}'s median, which do not count; with them: the score if they did, marked {html(MOVED)} where that is
another by more than its interval. A column's head sorts by it.</p>
{as_html(layers_grid(diagnosis, selected), "sortable", ascending=word)}
<p>{html(diagnosis.without_saes() or "")}</p>
<p>{html(depth_sentence(diagnosis) or "")}</p>
{_surface(diagnosis)}{_left_out(diagnosis)}<h2>Texts</h2>
<p class="note">What was encoded. All sides are cropped to one number and length of documents unless
matching was switched off; read: what there was. Repeated: documents that say the same as one of another
source.</p> {as_html(corpora_grid(diagnosis))}
<h2>Features that tell the target from the control</h2>
<p class="note">Share: of the layer's score. Mean activation and firing rate over the documents of either
corpus. The text is what the first features fire on most, their strongest token marked.</p>
{chr(10).join(map(_features, diagnosis.layers))}
<h2>Settings</h2>
<dl>{settings}</dl>"""


def _selected(rule: SelectionRule, layers: tuple[Unit, ...]) -> str:
    shown = f"{format_layers(layers)} (shaded), {adjacency(layers)}" if layers else "none"
    return f"<dt>selected by {html(str(rule))}</dt><dd>{shown}</dd>"


def _corpus(side: str, corpus: Corpus) -> str:
    amount = f"{corpus.documents:,} documents, {corpus.tokens:,} tokens"
    return f"<dt>{side}</dt><dd>{html(corpus.name)}: {amount}, sha256 {html(corpus.sha256[:16])}</dd>"


def _diagnosed(diagnosis: Diagnosis) -> str:
    every = diagnosis.model.n_layers * (1 if heading(diagnosis) == "layer" else len(PARTS))
    which = "" if len(diagnosis.layers) == every else f": {format_layers(diagnosis.units)}"
    return f"{layers_diagnosed(diagnosis)}{which}"


def _many(diagnosis: Diagnosis) -> str:
    return units_word(diagnosis.units)


def _saes(diagnosis: Diagnosis) -> list[str]:
    """The first SAE of each family, with the place of it."""
    first: dict[tuple[str | None, str], LayerDiagnosis] = {}
    for entry in diagnosis.layers:
        first.setdefault((entry.part, entry.sae.release), entry)
    return [
        f"<dt>SAEs</dt><dd>{html(release)} {html(entry.sae.id)}</dd>"
        if part is None
        else f"<dt>SAEs of {html(PARTS[part].title)}</dt>"
        f"<dd>{html(release)} {html(entry.sae.id)}, {html(entry.sae.hook_point)}</dd>"
        for (part, release), entry in first.items()
    ]


def _surface(diagnosis: Diagnosis) -> str:
    if not diagnosis.layers[0].without and not diagnosis.layers[0].twins:
        return ""
    classes = "; ".join(f"{row.name}: {row.description}" for row in TOKEN_CLASSES.values())
    return f"""<h2>How much of the score is surface</h2>
<p class="note">Shares of the corrected score. Carried by a class of tokens: what is gone when they are not
counted; classes overlap, and without a class a score may be higher. Kept by a surface twin, the target's own
documents with words shuffled within sentences, or with digits and operators permuted: vocabulary rather than
ability. Classes: {html(classes)}.</p>
{as_html(surface_grid(diagnosis), "sortable", ascending=heading(diagnosis))}
"""


def _beginning(model: ModelSource) -> str:
    if model.begins_with is None:
        return "with their own first token, which does not count: this tokenizer adds no BOS"
    added = "" if model.adds_begin else ", which this tokenizer does not add by itself"
    return f"with {model.begins_with}{added}"


def _left_out(diagnosis: Diagnosis) -> str:
    grid = left_out_grid(diagnosis)
    if not grid.rows:
        return ""
    return f"""<h2>Tokens that do not count</h2>
<p class="note">{html(diagnosis.outliers() or "No token of the texts is an outlier.")}</p>
<p class="note">Outliers are tokens whose norm is more than so many times the {heading(diagnosis)}'s median
(outlier_norm, in the settings): attention sinks and massive activations, a few of which rule every mean. At
first position: the norm of whatever stands there, in medians; first tokens: documents whose own token stands
there, which never counts. Explained tokens: share of tokens of which the SAE reconstructs at least half; with
outliers: of the variance of all tokens together.</p>
{as_html(grid, "sortable", ascending=heading(diagnosis))}
"""


def _plainly(value: str | int | float | bool | None) -> str:
    if value is None:
        return "not set"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _features(entry: LayerDiagnosis) -> str:
    word = "layer" if entry.part is None else "module"
    summary = f"{word} {entry.unit}: {len(entry.top_features)} features"
    return f"<details><summary>{summary}</summary>{as_html(features_grid(entry))}</details>"
