"""Text from files is text wherever it is shown: every renderer, under names that try to be more."""

import ast
import importlib
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sae_merge_method
from sae_merge_method.reports.grid import Grid, as_csv, as_html, as_latex, as_markdown, as_text
from sae_merge_method.reports.notebook import VIEWS, View, view_html, view_text
from tests.merged import Merged
from tests.reports import oracles
from tests.reports.renderers import RENDERERS
from tests.reports.scene import Scene

PIECES = [
    "\x1b[2J", "\x1b]0;t\x07", "\x9b31m", "\r", "\x08", "\n", "\t", "\x00", "\x85", "\u2028", "\x0c",
    "\u202e", "\u2066", "\u200b", "\ufeff", "\u00ad", "\U000e0041", "\ud800", "\xa0",
    "=1+1", "+", "-", "@SUM(A1)", "-1.5", ",", ";", ";=", ';"=', '"', "'", "\uff1d",
    "|", "||", "<b>", "<script>alert(1)</script>", "</td>", "<!-- x -->", "-->", "&amp;", "&#60;", '" onload="x', "]]>",
    "`", "```", "````", "~~~", "**", "*", "_", "__", "~~", "[a](http://b)", "![a](b)", "![", "](", "http://b.c",
    "www.b.c", "# ", "- ", "1. ", "---", "===", "> ", "$", "$$", "$x^2$", "\\", "\\\\", "\\[", "    ",
    "%", "\\input{x}", "\\end{tabular}", "^^M", "&", "{", "}", "#", "~", "^", "[1ex]", "*[",
    "%s", "{0}", "{name}", ": ", "a: b", "? ", "!!python/object:os", "--- ", "'''", "«", "»", "é", "漢",
]  # fmt: skip
LETTER = "x"
NAMES = st.builds(
    lambda before, after: "".join(before) + LETTER + "".join(after),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=5),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=5),
)

SINKS = {
    "terminal": (as_text, oracles.terminal),
    "markdown": (as_markdown, oracles.markdown),
    "html": (as_html, oracles.html),
    "latex": (as_latex, oracles.latex),
    "csv_file": (as_csv, oracles.csv_file),
}
"""By name, how a grid is drawn for one, and its oracle."""
PICTURES = {name for name, renderer in RENDERERS.items() if renderer.sink == "picture"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, merged: Merged) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"), merged.out)


def structure(drawn: Any, sink: str) -> Any:
    """What a drawing is made of beside the names in it, in every sink that it is for."""
    if isinstance(drawn, View):
        grids = [structure(grid, "grids") for grid in drawn.grids]
        return [oracles.html(view_html(drawn)), oracles.terminal(view_text(drawn)), *grids]
    if isinstance(drawn, tuple) and not isinstance(drawn, Grid):
        return [structure(grid, "grids") for grid in drawn]
    if isinstance(drawn, Grid):
        return [oracle(draw(drawn)) for draw, oracle in SINKS.values()]
    return getattr(oracles, sink)(drawn)


@cache
def harmless(scene: Scene, name: str) -> Any:
    return structure(RENDERERS[name].draw(scene, "xxxx"), RENDERERS[name].sink)


@pytest.mark.parametrize("name", sorted(RENDERERS.keys() - PICTURES))
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(text=NAMES)
def test_a_name_is_text_wherever_it_is_shown(scene: Scene, name: str, text: str) -> None:
    renderer = RENDERERS[name]
    assert structure(renderer.draw(scene, text), renderer.sink) == harmless(scene, name)


HOSTILE = r"$\frac{" + "\n\x1b]0;t\x07\u202e<script>&]]>--$\\$_"


@pytest.mark.usefixtures("whole_pictures")
@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("text", [HOSTILE, "_" + HOSTILE, "$x$"], ids=["broken", "hidden", "formula"])
@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_name_in_a_picture_is_no_formula_and_no_markup(
    scene: Scene, name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.mathtext import MathTextParser

    formulas = []
    parse = MathTextParser.parse
    monkeypatch.setattr(
        MathTextParser,
        "parse",
        lambda self, s, *rest, **more: (formulas.append(s), parse(self, s, *rest, **more))[1],
    )
    drawn = RENDERERS[name].draw(scene, text)
    assert not [formula for formula in formulas if "frac" in formula or "x" in formula]
    if not drawn.startswith(b"\x89PNG"):
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(drawn).iter()}
        assert "script" not in tags and "a" not in tags


DOORS = {"escape", "figure", "grid", "html", "markdown", "notebook"}
HOMES = ("sae_merge_method.reports", "sae_merge_method.escape")
DRAWN = {"View", "Grid", "Grid | None", "tuple[Grid, ...]"}
NO_NAMES = {
    "reports.grid:with_content": "takes columns out of a grid",
    "tune.words:reach": "writes numbers alone",
}
"""Functions that look like renderers and are none, with the reason."""


def renderers_in(file: Path) -> list[str]:
    """Public functions that return a grid or a view, or call a door of ``escape`` or ``reports`` themselves."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    doors = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if f"{node.module}.{alias.name}".startswith(HOMES)
        and ((node.module or "").rpartition(".")[2] in DOORS or alias.name in DOORS)
    }
    module = ".".join(file.relative_to(Path(sae_merge_method.__file__).parent).with_suffix("").parts)
    found = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        used = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        returned = ast.unparse(node.returns) if node.returns else ""
        if returned in DRAWN or (
            used & doors - {"Grid", "View", "Cell"} and returned in ("str", "bytes", "None")
        ):
            found.append(f"{module}:{node.name}")
    return found


def test_every_renderer_is_in_the_table():
    source = Path(sae_merge_method.__file__).parent
    found = {
        name
        for file in source.rglob("*.py")
        if file.name != "escape.py" and "cli" not in file.relative_to(source).parts
        for name in renderers_in(file)
    }
    assert NO_NAMES.keys() <= found
    assert found - NO_NAMES.keys() <= RENDERERS.keys()
    for name in RENDERERS:
        module, _, function = name.partition(":")
        assert callable(getattr(importlib.import_module(f"sae_merge_method.{module}"), function))


def test_every_view_of_a_notebook_is_in_the_table():
    assert {view.removeprefix("sae_merge_method.") for view in VIEWS.values()} <= RENDERERS.keys()


def test_no_module_escapes_by_itself():
    source = Path(sae_merge_method.__file__).parent
    own = {
        file.relative_to(source).as_posix()
        for file in source.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and node.module == "html")
        or (isinstance(node, ast.Import) and {"html", "csv"} & {alias.name for alias in node.names})
    }
    assert own <= {"escape.py"}
