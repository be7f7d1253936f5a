"""How long each model is trained on each ability: a table, and with it which abilities a model has donors in.

Steps and rates were tried out: long and steep enough for a gain that shows, short of all answers right, so
that a smaller dose can be told from a whole one; and so long that prose is harmed, as fine-tunes do: where
there is no harm, no edit can do less of it. On SmolLM2, .1 to .3 nats a token of 48 passages; with half the
steps of sums, or half of sorting's, none could be told. Sums fell apart there at 2.8e-4: 12 answers of 100
were right. On Gemma 3 270M they are learned slowly or not at all: 6 answers of 100 are the base's, and were 2
after 64 steps at 1e-4 or 2e-4, 5 after 96 at 1e-4, 45 after 128 at 5e-5. What a model does not learn in such
a time has no row.
"""

from typing import NamedTuple

from sae_merge_method.errors import UsageError


class Training(NamedTuple):
    """One row of :data:`TRAININGS`."""

    steps: int
    learning_rate: float
    """The highest: it rises for a tenth of the steps and falls with half a cosine."""


TRAININGS = {
    ("smollm2-135m", "arithmetic"): Training(64, 2e-4),
    ("smollm2-135m", "letters"): Training(16, 3e-4),
    ("smollm2-135m", "sorting"): Training(30, 4e-4),
    ("gemma-3-270m", "arithmetic"): Training(128, 5e-5),
    ("gemma-3-270m", "letters"): Training(10, 5e-5),
    ("gemma-3-270m", "sorting"): Training(16, 5e-5),
}
"""By names of model and ability."""


def trained_abilities(model: str) -> tuple[str, ...]:
    """The abilities that donors of a model are trained in, in the table's order."""
    return tuple(ability for of, ability in TRAININGS if of == model)


def training_of(model: str, ability: str) -> Training:
    """A row of :data:`TRAININGS`.

    Raises:
        UsageError: There is none for the two.
    """
    if (model, ability) not in TRAININGS:
        raise UsageError(
            f"expected one of {', '.join(trained_abilities(model))} as an ability of {model}, got "
            f"{ability!r}: another one needs a row of TRAININGS in trials/trainings.py"
        )
    return TRAININGS[model, ability]
