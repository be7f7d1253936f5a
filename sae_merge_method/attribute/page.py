"""An attribution to read and to send on: a section of a diagnosis' page, and ``attribution.html`` alone."""

from pathlib import Path

from sae_merge_method.artifacts.attribution import ATTRIBUTION_PAGE, Attribution
from sae_merge_method.attribute.feature_tables import top_features_grid
from sae_merge_method.attribute.show import attribution_view
from sae_merge_method.escape import html
from sae_merge_method.files.writing import write_text
from sae_merge_method.reports.grid import as_html
from sae_merge_method.reports.html import html_page


def write_page(folder: Path, attribution: Attribution) -> None:
    """Write the page: same attribution, same bytes."""
    write_text(folder / ATTRIBUTION_PAGE, attribution_page(attribution))


def attribution_page(attribution: Attribution) -> str:
    """The whole page."""
    return html_page(f"Layers of {attribution.base.id}: a donor attributed", attribution_section(attribution))


def attribution_section(attribution: Attribution) -> str:
    """What a page says of an attribution, from its own heading on."""
    view = attribution_view(attribution)
    told = "".join(f"<p>{html(line)}</p>\n" for line in view.head)
    tables = "".join(f"<h3>{html(grid.title)}</h3>\n{as_html(grid)}\n" for grid in view.grids)
    notes = "".join(f'<p class="note">{html(line)}</p>\n' for line in view.tail)
    title = f"What the donor {html(attribution.donor.id)} does"
    return f"\n<h2>{title}</h2>\n{told}{tables}{_features(attribution)}{notes}"


def _features(attribution: Attribution) -> str:
    """Of every text and layer, folded up, the features that the edit acts through."""
    if not attribution.saes:
        return ""
    parts = ["<h3>Features that the edit acts through</h3>"]
    for text in attribution.texts:
        sign = 1 if text is attribution.target else -1
        for entry in text.layers:
            if entry.by_feature is not None and entry.by_feature.top:
                summary = f"layer {entry.layer} on {text.name}: {len(entry.by_feature.top)} features"
                table = as_html(top_features_grid(entry.by_feature, sign))
                parts.append(f"<details><summary>{html(summary)}</summary>{table}</details>")
    return "\n".join(parts) + "\n"
