"""What was found when a recipe was looked over, part by part, and how it is shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from sae_merge_method.artifacts.recipe import Recipe
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.errors import SaeMergeError
from sae_merge_method.recipe.located import Located
from sae_merge_method.reports.grid import Cell, Grid
from sae_merge_method.reports.notebook import View
from sae_merge_method.reports.numbers import byte_size

Verdict = Literal["fits", "odd", "not checked", "fault"]


class Finding(Record):
    """What was found of one part of a recipe."""

    subject: str
    """The part: a model as the recipe names it, or gate, diagnosis, sae_evidence, donors, edit."""
    verdict: Verdict
    """Whether the part is as it must be, odd though not wrong, could not be looked at, or is wrong."""
    text: str
    """What was seen, why it could not be looked at, or what is wrong and was expected."""


class CheckedRecipe(Record):
    """A recipe that was looked over: where its models are, and what was found."""

    recipe: Recipe
    """The recipe."""
    models: dict[str, tuple[Located, ...]]
    """By the recipe's names the models that were found, each with its adapter behind it."""
    findings: tuple[Finding, ...]
    """What was found, in the order of looking."""
    pinned: str
    """The recipe's text with every model on the Hub at a commit."""

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What keeps the recipe from running."""
        return tuple(finding for finding in self.findings if finding.verdict == "fault")

    @property
    def located(self) -> tuple[Located, ...]:
        """Every model and adapter, once each."""
        return tuple({model.name: model for parts in self.models.values() for model in parts}.values())

    @property
    def missing(self) -> int:
        """Bytes to download."""
        return sum(model.missing for model in self.located)


class Notes:
    """Collects findings; an error of ours while a part is looked at becomes its fault."""

    def __init__(self) -> None:
        """Begin with none."""
        self.findings: list[Finding] = []

    def add(self, subject: str, text: str, verdict: Verdict = "fits") -> None:
        """Note what was found of a part."""
        self.findings.append(Finding(subject=subject, verdict=verdict, text=text))

    @contextmanager
    def of(self, subject: str) -> Iterator[None]:
        """Look at a part in a block: what is wrong there is noted, and ends the block."""
        try:
            yield
        except SaeMergeError as error:
            self.add(subject, str(error), "fault")


def check_view(checked: CheckedRecipe) -> View:
    """A table of the models and one of the findings, faults last."""
    models = [
        (
            Cell(f"{model.name}@{model.commit}" if model.commit else model.name),
            Cell(byte_size(model.size), model.size),
            Cell(byte_size(model.missing), model.missing),
        )
        for model in checked.located
    ]
    in_order = sorted(checked.findings, key=lambda finding: get_args(Verdict).index(finding.verdict))
    findings = [
        (
            Cell(finding.verdict.upper() if finding in checked.faults else finding.verdict),
            Cell(finding.subject),
            Cell(finding.text),
        )
        for finding in in_order
    ]
    return View(
        (
            Grid(("model", "size", "to download"), tuple(models), words=frozenset({"model"})),
            Grid(
                ("verdict", "part", "found"),
                tuple(findings),
                words=frozenset({"verdict", "part", "found"}),
            ),
        ),
        tail=(f"{byte_size(checked.missing)} to download in all",),
    )
