"""``experiment.html``: the report as one page that needs nothing else."""

import base64

from sae_merge_method.artifacts.conclusions import Conclusion
from sae_merge_method.artifacts.experiment import BY_HAND, Experiment
from sae_merge_method.escape import html
from sae_merge_method.experiment.report.claims import how_to_read
from sae_merge_method.experiment.report.markdown import commands, recipe_path
from sae_merge_method.experiment.report.scatter import caption
from sae_merge_method.experiment.report.shown import SHOWN, Shown
from sae_merge_method.experiment.report.words import facts, notes, standing, title
from sae_merge_method.reports.grid import as_html, plain_grid
from sae_merge_method.reports.html import html_page

STYLE = """
body { max-width: 76rem; }
.scroll { overflow: auto; max-height: 44rem; margin: .5rem 0; width: fit-content; }
.scroll { max-width: 100%; } .scroll table { margin: 0; }
.scroll th, .scroll td { padding: .2rem .5rem; }
.scroll thead th { position: sticky; top: 0; background: #fff; box-shadow: inset 0 -1px #999; z-index: 1; }
.scroll th:first-child, .scroll td:first-child { position: sticky; left: 0; background: #fff; }
.scroll th:first-child { z-index: 2; } .scroll td:first-child { white-space: nowrap; }
.scroll tr.chosen td:first-child { background: #fbeae5; } .purposes td:nth-child(2) { min-width: 16rem; }
ul.claims { list-style: none; padding: 0; }
.claims li { display: grid; grid-template-columns: 6rem 1fr; gap: 0 .8rem; padding: .45rem 0; }
.claims li { border-bottom: 1px solid #ddd; }
.claims p { margin: 0; } .claims .evidence { color: #555; font-size: .92em; }
.answer { border: 1px solid; border-radius: .2rem; text-align: center; font-size: .85em; font-weight: 600; }
.answer { align-self: start; padding: .1rem .3rem; }
.yes { background: #0b5394; color: #fff; border-color: #0b5394; }
.no { background: #b45309; color: #fff; border-color: #b45309; }
.shown { color: #444; border-color: #888; background: #f2f2f2; }
.tested { color: #666; border: 1px dashed #999; font-weight: 400; }
pre { background: #f5f5f5; padding: .7rem; overflow-x: auto; } code { overflow-wrap: anywhere; }
@media (max-width: 40rem) { .claims li { grid-template-columns: 1fr; gap: .3rem; } }
@media (max-width: 40rem) { .answer { justify-self: start; } dl { grid-template-columns: 1fr; } }
@media (max-width: 40rem) { dd { margin-bottom: .4rem; } }
@media print { .scroll { max-height: none; overflow: visible; } }
"""

_MOST = 4.0
"""A z from which on the colour no longer deepens."""
_UP = (112, 172, 222)
_DOWN = (236, 148, 74)


def z_colour(z: float) -> str:
    """Blue above 0, orange below, white at 0: told apart by any eye, and dark text stays legible.

    In grey both ends are alike; the sign is in the text.
    """
    depth = min(abs(z) / _MOST, 1.0)
    end = _UP if z > 0 else _DOWN
    return "#" + "".join(f"{round(255 - depth * (255 - channel)):02x}" for channel in end)


def as_page(experiment: Experiment, picture: bytes) -> str:
    """The whole page: same experiment and picture, same text.

    Args:
        experiment: What to show.
        picture: The scatter, a PNG.
    """
    drawn = base64.b64encode(picture).decode("ascii")
    head = "".join(f"<dt>{html(name)}</dt><dd>{html(value)}</dd>" for name, value in facts(experiment))
    parts = [
        f"<dl>{head}</dl>",
        "<h2>What the numbers support</h2>",
        f'<ul class="claims">{"".join(map(_claim, experiment.conclusions))}</ul>',
        *(f'<p class="note"><b>Note:</b> {html(note)}</p>' for note in notes(experiment)),
        _note(how_to_read(experiment)),
        "<h2>Gain against cost</h2>",
        f'<p><img alt="{html(caption(experiment))}" src="data:image/png;base64,{drawn}"></p>',
        _note(f"{caption(experiment)}. {' '.join(standing(experiment))}"),
        *(part for shown in SHOWN for part in _table(shown, experiment)),
    ]
    parts += ["<h2>What each arm is for</h2>", _purposes(experiment)]
    parts += [
        f"<h2>{BY_HAND}</h2>",
        "<p>In the working folder of the experiment, with its folder in EXP:</p>",
    ]
    parts.append(f"<pre>{html(chr(10).join(commands(experiment)))}</pre>")
    return html_page(title(experiment), "\n".join(parts), STYLE)


def _table(shown: Shown, experiment: Experiment) -> list[str]:
    grid = shown.grid(experiment)
    if grid is None:
        return []
    sort = " A column's head sorts by it." if shown.is_of_arms else ""
    drawn = as_html(grid, "sortable" if shown.is_sortable else "", z_colour if shown.is_coloured else None)
    return [f"<h2>{html(shown.heading)}</h2>", drawn, _note(shown.words(experiment) + sort)]


def _claim(one: Conclusion) -> str:
    kind = one.answer.split()[-1]  # yes, no, shown, tested: the word that a class name can be
    return (
        f'<li><span class="answer {html(kind)}">{html(one.answer)}</span><div><p>{html(one.claim)}</p>'
        f'<p class="evidence">{html(one.evidence)}</p></div></li>'
    )


def _note(text: str) -> str:
    return f'<p class="note">{html(text)}</p>'


def _purposes(experiment: Experiment) -> str:
    header = ("arm", "what for", "recipe")
    rows = [
        (
            arm.name,
            arm.description,
            recipe_path(arm) if arm.method is not None else "evaluated as it is",
        )
        for arm in experiment.arms
    ]
    marked = frozenset(number for number, arm in enumerate(experiment.arms) if arm.role == "selected")
    return as_html(plain_grid(header, rows, words=header)._replace(marked=marked), "purposes")
