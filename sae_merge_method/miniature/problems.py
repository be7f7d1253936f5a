r"""Maths problems of seven subjects, written from a table of templates: text, worked solution, answer.

The solutions have the shape of the MATH data set (the last step ends in ``\boxed{answer}``), so
that lm-eval's own code finds the answer. How a problem becomes a training document is for :mod:`.texts`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Problem:
    """One problem, as a row of the MATH data set has it."""

    text: str
    steps: str
    """The work, up to the last equals sign, without the dollar signs around it."""
    answer: str
    slip: str
    """What a careless solver ends with."""

    @property
    def solution(self) -> str:
        """The right solution, as the data set has it."""
        return self.ending_in(self.answer)

    def ending_in(self, answer: str) -> str:
        """The solution with ``answer`` at its end, right or wrong."""
        return f"${self.steps} = \\boxed{{{answer}}}$."


class Template(NamedTuple):
    """One row: a kind of problem."""

    subject: str
    """As lm-eval names its tasks (minerva_math_<subject>)."""
    draw: Callable[[Random], tuple[Any, ...]]
    """What differs from problem to problem."""
    write: Callable[..., Problem]
    """The problem of what was drawn."""


def _drawing(*draws: Callable[[Random], Any]) -> Callable[[Random], tuple[Any, ...]]:
    return lambda rng: tuple(draw(rng) for draw in draws)


def _whole(low: int, high: int) -> Callable[[Random], int]:
    return lambda rng: rng.randint(low, high)


def _word(*words: str) -> Callable[[Random], str]:
    return lambda rng: rng.choice(words)


def _division(rng: Random) -> tuple[int, int, int]:
    """Quotient, divisor, remainder."""
    quotient, divisor = rng.randint(1, 7), rng.randint(2, 7)
    return quotient, divisor, rng.randrange(divisor)


_SMALL, _MORE_THAN_ONE = _whole(1, 7), _whole(2, 7)
_THREE, _FOUR = _drawing(_SMALL, _SMALL, _SMALL), _drawing(_SMALL, _SMALL, _SMALL, _SMALL)
_TALE = _drawing(
    _SMALL, _SMALL, _SMALL, _word("Tom", "Anna", "Ben", "Lucy"), _word("apples", "pens", "cards", "shells")
)


def _solved(text: str, steps: str, answer: int) -> Problem:
    return Problem(text, steps, str(answer), slip=str(answer + 1))


def _sum(text: str, a: int, b: int, c: int) -> Problem:
    return _solved(text, f"{a} + {b} + {c} = {a + b} + {c}", a + b + c)


def _product(text: str, a: int, b: int, c: int) -> Problem:
    """A product, and something on top."""
    return _solved(text, f"{a} \\cdot {b} + {c} = {a * b} + {c}", a * b + c)


def _left(text: str, total: int, a: int, b: int) -> Problem:
    """What two subtractions leave."""
    return _solved(text, f"{total} - {a} - {b} = {total - a} - {b}", total - a - b)


def _chance(text: str, a: int, b: int, c: int) -> Problem:
    """The share of the first of three."""
    total = a + b + c
    steps = f"{a} + {b} + {c} = {total}$, $\\frac{{r}}{{n}}"
    return Problem(text, steps, f"\\frac{{{a}}}{{{total}}}", slip=f"\\frac{{{a + 1}}}{{{total}}}")


def _common_divisor(text: str, a: int, b: int) -> Problem:
    divisor = math.gcd(a, b)
    factors = (f"${n} = {divisor} \\cdot {n // divisor}$" for n in (a, b))
    return _solved(text, f"{', '.join(factors)[1:]}, $\\gcd", divisor)


# fmt: off
TEMPLATES = (
    Template("algebra", _drawing(_MORE_THAN_ONE, _SMALL, _SMALL), lambda a, b, x: _product(
        f"If $f(x) = {a}x + {b}$, find $f({x})$.", a, x, b)),
    Template("algebra", _THREE, lambda x, a, b: _left(
        f"Solve $x + {a} + {b} = {x + a + b}$ for $x$.", x + a + b, a, b)),
    Template("algebra", _THREE, lambda x, y, c: _sum(
        f"If $x = {x}$ and $y = {y}$, find $x + y + {c}$.", x, y, c)),

    Template("counting_and_prob", _THREE, lambda a, b, c: _product(
        f"In how many ways can you take one of ${a}$ hats and one of ${b}$ scarves, or one of ${c}$ coats?",
        a, b, c)),
    Template("counting_and_prob", _THREE, lambda a, b, c: _sum(
        f"A box holds ${a}$ red, ${b}$ blue and ${c}$ green balls. In how many ways can one be drawn?",
        a, b, c)),
    Template("counting_and_prob", _THREE, lambda a, b, c: _chance(
        f"A bag holds ${a}$ red, ${b}$ blue and ${c}$ green balls. What is the probability of red?",
        a, b, c)),

    Template("geometry", _THREE, lambda a, b, c: _sum(
        f"A triangle has sides ${a}$, ${b}$ and ${c}$. What is its perimeter?", a, b, c)),
    Template("geometry", _THREE, lambda a, b, c: _product(
        f"A ${a}$ by ${b}$ rectangle lies beside a region of area ${c}$. What is the total area?", a, b, c)),
    Template("geometry", _THREE, lambda a, b, c: _left(
        f"A triangle of perimeter ${a + b + c}$ has sides ${a}$ and ${b}$. What is the third side?",
        a + b + c, a, b)),

    Template("intermediate_algebra", _drawing(_SMALL, _MORE_THAN_ONE, _SMALL), lambda x, a, c: _product(
        f"Let $p(x) = x^2 + {a}x + {c}$. Find $p({x})$.", x, x + a, c)),
    Template("intermediate_algebra", _THREE, lambda r, s, c: _sum(
        f"A quadratic has roots ${r}$ and ${s}$. What is the sum of its roots, plus ${c}$?", r, s, c)),
    Template("intermediate_algebra", _THREE, lambda a, b, c: _solved(
        f"Find $|{a} - {b}| + {c}$.", f"{abs(a - b)} + {c}", abs(a - b) + c)),

    Template("num_theory", _division, lambda q, d, rest: _solved(
        f"What remains of ${q * d + rest}$ after ${q}$ groups of ${d}$ are taken away?",
        f"{q * d + rest} - {q} \\cdot {d} = {q * d + rest} - {q * d}", rest)),
    Template("num_theory", _THREE, lambda a, b, c: _solved(
        f"What is the units digit of ${a} \\cdot {b} + {c}$?",
        f"{a} \\cdot {b} + {c} = {a * b} + {c} = {a * b + c}$, $u", (a * b + c) % 10)),
    Template("num_theory", _drawing(_whole(2, 30), _whole(2, 30)), lambda a, b: _common_divisor(
        f"Find the greatest common divisor of ${a}$ and ${b}$.", a, b)),

    Template("prealgebra", _THREE, lambda a, b, c: _product(
        f"What is ${a} + {b} \\cdot {c}$?", b, c, a)),
    Template("prealgebra", _TALE, lambda a, b, c, name, thing: _product(
        f"{name} has ${a}$ boxes of ${b}$ {thing} and finds ${c}$ more. How many {thing} are there?",
        a, b, c)),
    Template("prealgebra", _TALE, lambda a, b, c, name, thing: _left(
        f"{name} has ${a + b + c}$ {thing}, loses ${a}$ and sells ${b}$. How many {thing} are left?",
        a + b + c, a, b)),

    Template("precalc", _drawing(*[_whole(1, 5)] * 4), lambda a, b, c, d: _solved(
        f"Find the dot product of $({a}, {b})$ and $({c}, {d})$.",
        f"{a} \\cdot {c} + {b} \\cdot {d} = {a * c} + {b * d}", a * c + b * d)),
    Template("precalc", _FOUR, lambda a, b, c, d: _solved(
        f"Add the vectors $({a}, {b})$ and $({c}, {d})$. What is the first entry?", f"{a} + {c}", a + c)),
    Template("precalc", _THREE, lambda a, d, b: _product(
        f"A matrix has rows $({a}, -{b})$ and $(1, {d})$. Find its determinant.", a, d, b)),
)
"""All kinds of problems; those of a subject are drawn equally often."""
# fmt: on

SUBJECTS = tuple(dict.fromkeys(template.subject for template in TEMPLATES))


def draw_problem(rng: Random, subject: str) -> Problem:
    """One random problem of ``subject``, every template equally likely."""
    template = rng.choice([template for template in TEMPLATES if template.subject == subject])
    return template.write(*template.draw(rng))


def held_out_problems(seed: int, subject: str, count: int) -> tuple[Problem, ...]:
    """``count`` problems with distinct texts, the same for the same arguments."""
    rng = Random(f"held-out {seed} {subject}")
    chosen: dict[str, Problem] = {}
    while len(chosen) < count:
        problem = draw_problem(rng, subject)
        chosen.setdefault(problem.text, problem)
    return tuple(chosen.values())
