"""What each marked place of the manual holds, made from the code: nothing is typed twice.

How a page marks a place, and who fills it, is in ``generated``; how the fields of a file become a table, in
``keys``.
"""

import json
import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import getmembers, isclass
from pathlib import Path
from typing import Any

from family_table import family_grid
from keys import anchor, fields_table, record_tables, table, words

import sae_merge_method as sm
from sae_merge_method import artifacts
from sae_merge_method.artifacts.energy_report import LayerEnergy
from sae_merge_method.artifacts.method_parameters import ScalpelParameters, StethoscopeParameters
from sae_merge_method.artifacts.recipe import Recipe, SharedParameters
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.attribute.scores import DONOR_SCORES
from sae_merge_method.controls.arms import ARMS
from sae_merge_method.corpora.token_classes import TOKEN_CLASSES
from sae_merge_method.corpora.twins import TWINS
from sae_merge_method.diagnose.specificity import SCORES
from sae_merge_method.experiment.report.claims import CLAIMS
from sae_merge_method.loaded.sites import TRAINED
from sae_merge_method.models.rounding import ROUNDINGS
from sae_merge_method.models.unreadable import UNREADABLE
from sae_merge_method.recipe.methods import METHODS
from sae_merge_method.recipes.suites import SUITE_MODELS
from sae_merge_method.reports.grid import as_markdown
from sae_merge_method.saes.checks import REFUSALS
from sae_merge_method.saes.dictionaries import DICTIONARIES
from sae_merge_method.saes.formats import FORMATS
from sae_merge_method.selection import RULES
from sae_merge_method.statistics.multiplicity import CORRECTIONS
from sae_merge_method.statistics.tests import TESTS
from sae_merge_method.statistics.verdicts import VERDICTS
from sae_merge_method.tune.families import FAMILIES as TUNE_FAMILIES

ROOT = Path(__file__).parents[1]


def _code(name: str) -> str:
    return f"`{name}`"


def _rows(rows: Mapping[str, Any], header: tuple[str, ...], *columns: str) -> Callable[[], str]:
    """A registry: its members' names, and the attributes that say what each of them is."""

    def made() -> str:
        lines = [
            (_code(getattr(row, "example", name)), *(words(str(getattr(row, of))) for of in columns))
            for name, row in rows.items()
        ]
        return table(header, lines)

    return made


_PAGES = {"docs/": "", "CONTRIBUTING.md": "building.md", "CHANGELOG.md": "changes.md"}
"""Where links of the tree's documents lead to from a page."""


def _file(name: str) -> Callable[[], str]:
    """A document of the tree."""

    def made() -> str:
        text = (ROOT / name).read_text(encoding="utf-8")
        for linked, page in _PAGES.items():
            text = text.replace(f"]({linked}", f"]({page}")
        return text

    return made


def _suites() -> str:
    rows = [
        (words(row.title), _code(row.model), row.suite, str(row.n_layers), _code(f"diagnose/{row.name}"))
        for row in SUITE_MODELS.values()
    ]
    return table(("model", "id", "SAEs", "layers", "ready diagnosis"), rows)


def _families() -> str:
    return as_markdown(family_grid())


def _claims() -> str:
    rows = [
        (claim.text, ", ".join(map(_code, claim.arms)) or "-", words(claim.assumes))
        for claim in CLAIMS.values()
    ]
    return table(("claim", "arms that it takes", "what its test assumes"), rows)


def _arms() -> str:
    rows = [(_code(row.name), words(row.as_it_is or row.description)) for row in ARMS.values()]
    return table(("arm", "what it is there for"), rows)


def _recipe() -> str:
    return "\n\n".join(
        [
            fields_table(Recipe),
            "## Under `parameters`\n\nof the whole recipe; `weight` also under one model's own:",
            fields_table(SharedParameters),
            "## `sae_stethoscope` takes beside",
            fields_table(StethoscopeParameters),
            "## `sae_scalpel` takes beside",
            fields_table(ScalpelParameters),
        ]
    )


def _settings() -> str:
    """Every record of settings that the Python door offers."""
    parts = []
    for name in sm.__all__:
        if name.endswith("Settings"):
            record = getattr(sm, name)
            about = words(record.__doc__.partition("\n\n")[0])
            parts += [f"## {name}", about, fields_table(record)]
    return "\n\n".join(parts)


def _artifacts() -> str:
    """Every record that has a version, with those that it holds below it."""
    known: set[type[Record]] = set()
    parts = []
    for module in pkgutil.iter_modules(artifacts.__path__, f"{artifacts.__name__}."):
        for _, kind in getmembers(import_module(module.name), isclass):
            if kind.__module__ == module.name and "schema_version" in getattr(kind, "model_fields", ()):
                parts.append(record_tables(kind, known))
    return "\n\n".join(parts)


def _door() -> str:
    """What ``import sae_merge_method as sm`` offers, by mkdocstrings; what records hold has its own page."""
    parts = []
    for name in sm.__all__:
        member = getattr(sm, name)
        parts.append(f"::: {member.__module__}.{name}")
        if isclass(member) and issubclass(member, Record):
            own = [
                key
                for key in vars(member)
                if key[0] != "_" and key not in ("model_config", *member.model_fields)
            ]
            parts[-1] += f"\n    options: {{members: {json.dumps(own) if own else 'false'}}}"
            page = "settings" if name.endswith("Settings") else "artifacts"
            if page == "settings" or "schema_version" in member.model_fields:
                parts.append(f"[What it holds]({page}.md#{anchor(name)})")
    return "\n\n".join(parts)


def reports_of_trials() -> list[Path]:
    """Reports of trials; what else lies there is what they show."""
    return sorted(file for file in (ROOT / "docs" / "trials").glob("*.md") if file.name != "index.md")


def _list_of_trials() -> str:
    titles = {
        file.name: file.read_text("utf-8").partition("\n")[0].lstrip("# ") for file in reports_of_trials()
    }
    return "\n".join(f"- [{title}]({name})" for name, title in titles.items()) or "None is kept here yet."


GENERATED: dict[str, Callable[[], str]] = {
    "readme": _file("README.md"),
    "contributing": _file("CONTRIBUTING.md"),
    "changelog": _file("CHANGELOG.md"),
    "suites": _suites,
    "model-families": _families,
    "sae-formats": _rows(FORMATS, ("layout", "weights"), "weights"),
    "sae-refusals": _rows(REFUSALS, ("what", "refused are"), "description"),
    "unreadable": _rows(UNREADABLE, ("weights", "what they are", "what to do"), "what", "way_out"),
    "hooks": _rows(TRAINED, ("place", "what it is"), "description"),
    "scores": _rows(SCORES, ("score", "what it measures", "unit", "source"), "description", "unit", "source"),
    "donor-scores": _rows(
        DONOR_SCORES, ("score", "what it measures", "unit", "source"), "description", "unit", "source"
    ),
    "rules": _rows(RULES, ("rule", "layers that it takes"), "description"),
    "token-classes": _rows(TOKEN_CLASSES, ("class", "tokens"), "description"),
    "twins": _rows(TWINS, ("twin", "what is done to a text"), "description"),
    "dictionaries": _rows(DICTIONARIES, ("dictionary", "what it is"), "description"),
    "methods": _rows(METHODS, ("merge method", "what it adds"), "description"),
    "roundings": _rows(ROUNDINGS, ("rounding", "what it does"), "description"),
    "tests": _rows(TESTS, ("test", "what it is"), "description"),
    "verdicts": _rows(VERDICTS, ("verdict", "what it says"), "description"),
    "corrections": _rows(CORRECTIONS, ("correction", "what it does"), "description"),
    "tune-families": _rows(TUNE_FAMILIES, ("family", "its edits"), "description"),
    "arms": _arms,
    "claims": _claims,
    "energy": lambda: fields_table(LayerEnergy),
    "recipe": _recipe,
    "settings": _settings,
    "artifacts": _artifacts,
    "door": _door,
    "trials": _list_of_trials,
}
