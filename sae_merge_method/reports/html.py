"""A page that needs nothing else: its style and its one script are in it. What it says is for others."""

from sae_merge_method.escape import html

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; }
body { max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th { vertical-align: bottom; } th.text, td.text { text-align: left; } details { overflow-x: auto; }
.sortable th { cursor: pointer; user-select: none; } .sortable th:hover { color: #3b6ea5; }
th[aria-sort=ascending]::after { content: " \\2191"; } th[aria-sort=descending]::after { content: " \\2193"; }
tr.chosen td { background: #fbeae5; } td.text { max-width: 34rem; }
img { max-width: 100%; } mark { background: #fbd7cc; } summary { cursor: pointer; margin: .3rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; } dt { color: #666; }
dd { margin: 0; overflow-wrap: anywhere; } .note { color: #555; max-width: 46rem; }
"""

# A click on a column's head, or Enter on it, sorts by data-value: numbers from the highest, text
# from A, and cells without a value last either way.
_SCRIPT = """
for (const head of document.querySelectorAll("table.sortable th")) {
  const isText = head.classList.contains("text");
  const sort = () => {
    const body = head.closest("table").tBodies[0];
    const was = head.getAttribute("aria-sort");
    const down = was ? was === "ascending" : !isText;
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = row => row.cells[head.cellIndex].dataset.value;
    const ordered = (a, b) => isText ? a.localeCompare(b) : Number(a) - Number(b);
    const [known, unknown] = [[], []];
    for (const row of body.rows) (value(row) ? known : unknown).push(row);
    known.sort((a, b) => (down ? -1 : 1) * ordered(value(a), value(b)));
    body.append(...known, ...unknown);
  };
  head.tabIndex = 0;
  head.addEventListener("click", sort);
  head.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
}
"""


def marked(snippet: str) -> str:
    """A snippet of text as a page shows it, safe: what stands between guillemets is marked."""
    before, _, rest = snippet.partition("«")
    peak, _, after = rest.partition("»")
    return f"{html(before)}<mark>{html(peak)}</mark>{html(after)}"


def html_page(title: str, body: str, style: str = "") -> str:
    """A whole page.

    Args:
        title: Plain text, also the first heading.
        body: HTML that stands below it; its ``table.sortable`` sort by ``data-value``.
        style: Further rules.
    """
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{html(title)}</title>
<style>{_STYLE}{style}</style></head><body>
<h1>{html(title)}</h1>
{body}
<script>{_SCRIPT}</script>
</body></html>
"""
