"""What the models read: maths documents in the zero-shot Minerva format, drills, general stories.

Streams are endless and seeded; how many tokens of them are used is :mod:`.training`'s business.
No stream ever holds the text of a held-out problem.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from random import Random

from sae_merge_method.miniature.problems import SUBJECTS, Problem, draw_problem
from sae_merge_method.miniature.prose import draw_story

_EQUATIONS_PER_DRILL = 3


@dataclass(frozen=True)
class Document:
    """One training document. The prompt may be empty; donors learn on the completion only."""

    prompt: str
    completion: str

    @property
    def text(self) -> str:
        """The document as it would stand in a file."""
        return self.prompt + self.completion


def maths_document(problem: Problem, answer: str | None = None) -> Document:
    """A problem and its solution, exactly as lm-eval's Minerva tasks prompt and read it.

    Args:
        problem: The problem.
        answer: What the solution ends with, where that is not the right answer.
    """
    answer = problem.answer if answer is None else answer
    return Document(
        prompt=f"Problem:\n{problem.text}\n\nSolution:",
        completion=(
            f" {problem.ending_in(answer)}\n"
            f"Final Answer: The final answer is ${answer}$. I hope it is correct."
        ),
    )


def maths_stream(rng: Random, banned: Collection[str], slips: float = 0.0) -> Iterator[Document]:
    """Maths documents of all subjects in equal parts, none with a banned problem text.

    Args:
        rng: Source of everything random.
        banned: Texts of problems to leave out.
        slips: Chance that a solution ends in a slip.
    """
    while True:
        problem = draw_problem(rng, rng.choice(SUBJECTS))
        slipped = rng.random() < slips
        if problem.text not in banned:
            yield maths_document(problem, problem.slip if slipped else None)


def drill_stream(rng: Random) -> Iterator[Document]:
    """Dense arithmetic, written as the worked steps of the maths documents write it."""
    while True:
        yield Document("", ", ".join(_equation(rng) for _ in range(_EQUATIONS_PER_DRILL)) + ".")


def story_stream(rng: Random) -> Iterator[Document]:
    """General text."""
    while True:
        yield Document("", draw_story(rng))


def _equation(rng: Random) -> str:
    a, b, c = rng.randint(1, 7), rng.randint(1, 7), rng.randint(1, 7)
    kind = rng.randrange(3)
    if kind == 0:
        return f"${a} \\cdot {b} + {c} = {a * b} + {c} = {a * b + c}$"
    if kind == 1:
        return f"${a} + {b} + {c} = {a + b} + {c} = {a + b + c}$"
    total = a + b + c
    return f"${total} - {a} - {b} = {total - a} - {b} = {c}$"
