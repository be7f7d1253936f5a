"""The abilities of the trial: problems with one exact answer, drawn by seed, and texts close to them.

A prompt says what to do and shows one worked example: the base is told the answer's form as a donor is, so
that a gain is the ability and not the form. Prompts are plain text without a chat template: every model reads
the same. Which split a problem belongs to is told by a hash of its question, so that splits share no problem,
whatever the seeds and sizes.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple

from sae_merge_method.errors import UsageError

WORDS = tuple(Path(__file__).with_name("words.txt").read_text(encoding="utf-8").split())
"""Common English words of three to eight letters."""
SPLITS = {"train": 60, "held-out": 8, "target": 10, "search": 14, "task": 8}
"""Parts of a hundred: what donors train on and are judged by, what an edit is chosen by and judged by."""

_MISSES = 20_000
"""Draws in a row without a new problem after which a split is at its end."""


class Question(NamedTuple):
    """A problem without the words around it."""

    asked: str
    answer: str


class Problem(NamedTuple):
    """A problem as a model reads it."""

    prompt: str
    """Ends without white space."""
    completion: str
    """The answer with the space before it; its end is not part of it."""

    @property
    def answer(self) -> str:
        """What must come, exactly."""
        return self.completion.strip()


class Ability(NamedTuple):
    """One row of :data:`ABILITIES`."""

    name: str
    """How folders, tasks and reports call it."""
    what: str
    """What it is, for a report."""
    instruction: str
    """The prompt's first line."""
    sign: str
    """What stands between a question and its answer."""
    shown: Question
    """The worked example in every prompt; asked in none."""
    draw: Callable[[Random], Question]
    """A problem of any split."""
    near: Callable[[Random], str]
    """A text of the same material that does not ask for the ability."""
    form: str
    """What every answer looks like, right or wrong: a regular expression."""


def _sum(rng: Random) -> Question:
    a, b = rng.randint(10, 99), rng.randint(10, 99)
    return Question(f"{a} + {b}", str(a + b))


def _letters(rng: Random) -> Question:
    words = rng.sample(WORDS, 2)
    return Question(" ".join(words), " ".join(word[0] for word in words))


def _sorting(rng: Random) -> Question:
    numbers = rng.sample(range(10, 100), 3)
    return Question(" ".join(map(str, numbers)), " ".join(map(str, sorted(numbers))))


_THINGS = ("tickets", "boxes", "pages", "visitors", "seats", "letters", "trees", "bottles", "chairs")
_HOLDERS = ("The school", "A farmer", "The library", "My neighbour", "The museum", "Our team", "The harbour")
_DEEDS = ("counted", "ordered", "sold", "found", "lost", "painted", "counted again", "gave away")


def _tale_of_numbers(rng: Random) -> str:
    """Numbers that are told of, neither added nor put in order."""
    return " ".join(
        f"{rng.choice(_HOLDERS)} {rng.choice(_DEEDS)} {rng.randint(10, 99)} {rng.choice(_THINGS)} "
        f"and {rng.randint(10, 99)} {rng.choice(_THINGS)}."
        for _ in range(3)
    )


def _comparison(rng: Random) -> str:
    """Numbers side by side, which is larger, how many tens: no sum."""
    lines = []
    for _ in range(4):
        a, b = rng.sample(range(10, 100), 2)
        lines.append(f"{a} is {'more' if a > b else 'less'} than {b}, and {b} has {b // 10} tens.")
    return " ".join(lines)


def _list_of_words(rng: Random) -> str:
    """Words in a row, and said of: no letters."""
    words = rng.sample(WORDS, 12)
    return f"The list has {', '.join(words[:8])}. Then come {', '.join(words[8:11])} and {words[11]}."


ABILITIES = {
    row.name: row
    for row in (
        Ability(
            name="arithmetic",
            what="the sum of two numbers of two digits",
            instruction="Add the two numbers.",
            sign="=",
            shown=Question("45 + 76", "121"),
            draw=_sum,
            near=_comparison,
            form=r"\d+",
        ),
        Ability(
            name="letters",
            what="the first letters of two words",
            instruction="Write the first letter of each word.",
            sign="->",
            shown=Question("fish cloud", "f c"),
            draw=_letters,
            near=_list_of_words,
            form=r"[a-z] [a-z]",
        ),
        Ability(
            name="sorting",
            what="three numbers of two digits in their order",
            instruction="Sort the numbers from smallest to largest.",
            sign="->",
            shown=Question("80 48 63", "48 63 80"),
            draw=_sorting,
            near=_tale_of_numbers,
            form=r"\d+( \d+){2}",
        ),
    )
}
"""By name. Another is a row."""


def ability_named(name: str) -> Ability:
    """A row of :data:`ABILITIES`.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in ABILITIES:
        raise UsageError(f"expected abilities among {', '.join(ABILITIES)}, got {name!r}")
    return ABILITIES[name]


def problems(ability: Ability, split: str, count: int, seed: int = 0) -> list[Problem]:
    """The first ``count`` problems of a split in a seeded order, no two alike.

    Args:
        ability: Whose problems.
        split: One of :data:`SPLITS`.
        count: How many; a split of the smallest ability holds some 600.
        seed: Another order.
    """
    return list(islice(stream(ability, split, seed), count))


def stream(ability: Ability, split: str, seed: int = 0) -> Iterator[Problem]:
    """Problems of a split, no two alike, in a seeded order, until hardly one is left."""
    rng = Random(f"{ability.name} {split} {seed}")
    seen = {ability.shown.asked}
    misses = 0
    while misses < _MISSES:
        question = ability.draw(rng)
        misses += 1
        if question.asked not in seen and split_of(ability, question) == split:
            seen.add(question.asked)
            misses = 0
            yield as_asked(ability, question)


def split_of(ability: Ability, question: Question) -> str:
    """Which split a question belongs to, everywhere and always."""
    part = int.from_bytes(sha256(f"{ability.name}: {question.asked}".encode()).digest()[:8], "big") % 100
    for split, share in SPLITS.items():
        part -= share
        if part < 0:
            return split
    raise AssertionError("the shares of SPLITS are a hundred together")


def as_asked(ability: Ability, question: Question) -> Problem:
    """The question as a model reads it, behind the instruction and the worked example."""
    shown, sign = ability.shown, ability.sign
    prompt = f"{ability.instruction}\n{shown.asked} {sign} {shown.answer}\n{question.asked} {sign}"
    return Problem(prompt, f" {question.answer}")


def near_texts(ability: Ability, count: int, seed: int = 0) -> list[str]:
    """Texts close to an ability that do not ask for it."""
    rng = Random(f"near {ability.name} {seed}")
    return [ability.near(rng) for _ in range(count)]
