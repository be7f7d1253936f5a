"""``tune.html`` and ``tune.md``: the result of a search, as a page that needs nothing else and as
Markdown."""

import base64

from sae_merge_method.artifacts.tune import RECIPE_FILE, Asked, Tune, TunedText
from sae_merge_method.escape import html
from sae_merge_method.layers import units_word
from sae_merge_method.reports.grid import as_html
from sae_merge_method.reports.grid import as_markdown as as_markdown_table
from sae_merge_method.reports.html import html_page
from sae_merge_method.reports.markdown import bullets, fence, plain, section
from sae_merge_method.tune.plot import draw_front, draw_weights
from sae_merge_method.tune.tables import (
    candidate_grid,
    curve_grid,
    finalist_grid,
    rival_grid,
    weight_grid,
)
from sae_merge_method.tune.words import HOW_TO_READ, sentences

TITLE = "Tuned within a damage budget"
_SECTIONS = (
    ("Beside its rivals, on the report part", rival_grid, HOW_TO_READ),
    (
        "Beside the damping curve, on the report part",
        curve_grid,
        "All layers at the weights between which the winner's gain and its damage lie. What they damage at "
        "its gain is on the line between the two nearest; what they gain at its damage is on the line that "
        "the sentence above names.",
    ),
    (
        "Finalists",
        finalist_grid,
        "The best of each family on the search part, as many as there is room for, and the next best, held "
        "against each other on the choice part.",
    ),
    (
        "Weights",
        weight_grid,
        "The winner's weights, and what each layer, or each module, carries of gain and damage: the path "
        "integral of the slopes to all layers damped to the budget, on the search part, or what the "
        "attribution says that was named. Strong: layers whose damage stands out.",
    ),
    (
        "Edits that were searched",
        candidate_grid,
        "Within the budget on the search part, by their gain there, which flatters the first ones.",
    ),
)
_OVER_SOURCES = "over sources, each with all its texts, and so are tests of losses"
_FRONT = (
    "Gain against damage on the search part, an edit a point; the thin line joins those that no other edit "
    "beats in both, the green one all layers at one weight"
)


def facts(tune: Tune) -> list[tuple[str, str]]:
    """What was tuned, on what."""
    return [
        ("base", tune.base),
        ("donor" if len(tune.donors) == 1 else "donors", ", ".join(tune.donors)),
        ("budget", _budget(tune)),
        ("target", _text(tune.target)),
        *(("control", _text(one)) for one in tune.controls),
        *((("intervals", _OVER_SOURCES),) if _names_sources(tune) else ()),
        *(() if tune.task is None else (("judged by", _asked(tune.task)),)),
        *(() if tune.guard is None else (("guard", _asked(tune.guard)),)),
        ("families", ", ".join(tune.families)),
        ("computed in", f"{tune.dtype}, with weights rounded as they are written ({tune.rounding})"),
    ]


def _text(text: TunedText) -> str:
    of = {part: f" texts of {count} sources" for part, count in (text.sources or {}).items()}
    parts = ", ".join(f"{count}{of.get(part, '')} in the {part} part" for part, count in text.texts.items())
    return f"{text.name}: {parts}; sha256 {text.sha256[:16]}"


def _names_sources(tune: Tune) -> bool:
    return any(text.sources is not None for text in (tune.target, *tune.controls))


def _budget(tune: Tune) -> str:
    in_nats = f"{tune.budget:g} nats a token"
    if tune.guard is None:
        return in_nats
    in_points = f"{tune.points:g} points of {tune.guard.name}"
    if tune.budget_weight is None:
        return f"{in_nats}, and {in_points}"
    return f"{in_points}; {in_nats} by all layers at weight {tune.budget_weight:g}, which keeps to them"


def _asked(asked: Asked) -> str:
    parts = ", ".join(f"{count} problems in the {part} part" for part, count in asked.problems.items())
    base = ", ".join(f"{score:.4g} in the {part} part" for part, score in asked.base.items())
    return f"{asked.name}, {asked.metric}: {parts}; the base has {base}; sha256 {asked.sha256[:16]}"


def as_markdown(tune: Tune) -> str:
    """The report as Markdown: same result, same text."""
    parts = [
        f"# {TITLE}",
        bullets([f"{name}: {plain(value)}" for name, value in facts(tune)]),
        section("What came of it", bullets([plain(line) for line in sentences(tune)])),
        *(
            section(heading, as_markdown_table(grid(tune)), plain(words))
            for heading, grid, words in _SECTIONS
        ),
        section(
            "By hand", fence(f"sae-merge merge {RECIPE_FILE} out/\nmergekit-yaml {RECIPE_FILE} out/", "sh")
        ),
    ]
    return "\n\n".join(parts) + "\n"


def as_page(tune: Tune) -> str:
    """The report as a page: same result, same text."""
    head = "".join(f"<dt>{html(name)}</dt><dd>{html(value)}</dd>" for name, value in facts(tune))
    told = "".join(f"<li>{html(line)}</li>" for line in sentences(tune))
    parts = [
        f"<dl>{head}</dl>",
        f"<h2>What came of it</h2><ul>{told}</ul>",
        "<h2>Gain against damage</h2>",
        _image(draw_front(tune), _FRONT),
        _image(draw_weights(tune), f"The winner's weights of {units_word(tune.winner.units)}"),
    ]
    for heading, grid, words in _SECTIONS:
        parts += [
            f"<h2>{heading}</h2>",
            as_html(grid(tune), "sortable"),
            f'<p class="note">{html(words)}</p>',
        ]
    return html_page(TITLE, "\n".join(parts))


def _image(drawn: bytes, words: str) -> str:
    encoded = base64.b64encode(drawn).decode("ascii")
    image = f'<img alt="{html(words)}" src="data:image/png;base64,{encoded}">'
    return f'<p>{image}</p><p class="note">{html(words)}.</p>'
