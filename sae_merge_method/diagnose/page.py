"""``diagnosis.html``: the diagnosis as one page that needs nothing else, to read and to send on."""

import base64
from html import escape
from pathlib import Path

from sae_merge_method.artifacts.diagnosis import PLOT_FILE, REPORT_FILE, Corpus, Diagnosis, LayerDiagnosis
from sae_merge_method.files.writing import write_text
from sae_merge_method.layers import format_layers
from sae_merge_method.reports.html import html_page

_NEURONPEDIA = "https://www.neuronpedia.org"

_SORTED = ' aria-sort="ascending"'
_COLUMNS = ("layer", "score", "corrected", "p", "q", "low", "high", "explained", "L0")


def write_report(folder: Path, diagnosis: Diagnosis, unit: str, chosen: tuple[int, ...] = ()) -> None:
    """Write the page into a diagnosis folder that has its plot: same diagnosis, same bytes.

    Args:
        folder: Where ``specificity.png`` lies and ``diagnosis.html`` goes.
        diagnosis: What to show.
        unit: Unit of the score.
        chosen: Layers to mark as chosen.
    """
    picture = base64.b64encode((folder / PLOT_FILE).read_bytes()).decode("ascii")
    title = f"Layers of {diagnosis.model.id}: {diagnosis.score}"
    details = "\n".join(_features(entry) for entry in diagnosis.layers)
    settings = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(_plainly(value))}</dd>"
        for name, value in diagnosis.settings.items()
    )
    heads = "".join(f"<th{_SORTED if name == 'layer' else ''}>{name}</th>" for name in _COLUMNS)
    write_text(
        folder / REPORT_FILE,
        html_page(
            title,
            f"""<dl>
{_corpus("target", diagnosis.target)}
{_corpus("control", diagnosis.control)}
<dt>SAEs</dt><dd>{escape(diagnosis.layers[0].sae.release)} {escape(diagnosis.layers[0].sae.id)}</dd>
<dt>layers</dt><dd>{_heard(diagnosis)}</dd>
{f"<dt>chosen</dt><dd>{format_layers(chosen)} (shaded)</dd>" if chosen else ""}
</dl>
<p><img alt="Score of every layer, with its interval and the scores of shuffled labels"
src="data:image/png;base64,{picture}"></p>
<h2>Layers</h2>
<p class="note">Score in {escape(unit)}. Corrected: less the mean under shuffled document labels. p and q:
from the same shuffles, q with false discoveries over layers controlled. Low to high: where unlimited
documents would put the score. Explained: share of the activations' variance that the SAE reconstructs.
L0: active features a token. A column's head sorts by it.</p>
<table class="sortable"><thead><tr>{heads}</tr></thead>
<tbody>
{chr(10).join(_row(entry, entry.layer in chosen) for entry in diagnosis.layers)}
</tbody></table>
<h2>Features that tell the target from the control</h2>
<p class="note">Share: of the layer's score. Mean activation and firing rate over the documents of either
corpus. The text is what the first features fire on most, their strongest token marked.</p>
{details}
<h2>Settings</h2>
<dl>{settings}</dl>""",
        ),
    )


def _corpus(side: str, corpus: Corpus) -> str:
    amount = f"{corpus.documents:,} documents, {corpus.tokens:,} tokens"
    return f"<dt>{side}</dt><dd>{escape(corpus.name)}: {amount}, sha256 {corpus.sha256[:16]}</dd>"


def _heard(diagnosis: Diagnosis) -> str:
    heard = [entry.layer for entry in diagnosis.layers]
    n_layers = diagnosis.model.n_layers
    which = "" if len(heard) == n_layers else f": {format_layers(heard)}"
    return f"{len(heard)} of {n_layers} heard{which}"


def _plainly(value: str | int | float | bool | None) -> str:
    if value is None:
        return "not set"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _row(entry: LayerDiagnosis, chosen: bool) -> str:
    null, interval = entry.null, entry.interval
    numbers: list[tuple[float | None, str]] = [
        (entry.score, ".4f"),
        (null.corrected if null else None, "+.4f"),
        (null.p if null else None, ".4f"),
        (null.q if null else None, ".4f"),
        (interval.low if interval else None, ".4f"),
        (interval.high if interval else None, ".4f"),
        (entry.explained_variance, ".3f"),
        (entry.l0, ".1f"),
    ]
    cells = "".join(
        '<td data-value="">-</td>' if value is None else f'<td data-value="{value!r}">{value:{form}}</td>'
        for value, form in numbers
    )
    kind = ' class="chosen"' if chosen else ""
    return f'<tr{kind}><td data-value="{entry.layer}">{entry.layer}</td>{cells}</tr>'


def _features(entry: LayerDiagnosis) -> str:
    rows = "".join(
        f"<tr><td>{_link(entry, feature.feature)}</td><td>{feature.share:.1%}</td>"
        f"<td>{feature.target:.4g}</td><td>{feature.control:.4g}</td>"
        f"<td>{feature.target_rate:.2%}</td><td>{feature.control_rate:.2%}</td>"
        f'<td class="text">{"<br>".join(_marked(snippet) for snippet in feature.snippets)}</td></tr>'
        for feature in entry.top_features
    )
    heads = ("feature", "share", "mean on target", "mean on control", "fires on target", "fires on control")
    return (
        f"<details><summary>layer {entry.layer}: {len(entry.top_features)} features</summary>"
        f"<table><thead><tr>{''.join(f'<th>{head}</th>' for head in heads)}"
        '<th class="text">target text</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )


def _link(entry: LayerDiagnosis, feature: int) -> str:
    if entry.sae.neuronpedia is None:
        return str(feature)
    return f'<a href="{_NEURONPEDIA}/{escape(entry.sae.neuronpedia)}/{feature}">{feature}</a>'


def _marked(snippet: str) -> str:
    before, _, rest = snippet.partition("«")
    peak, _, after = rest.partition("»")
    return f"{escape(before)}<mark>{escape(peak)}</mark>{escape(after)}"
