r"""Maths problems of seven subjects, written from templates: text, worked solution, answer.

The solutions have the shape of the MATH data set (the last step ends in ``\boxed{answer}``), so
that lm-eval's own code finds the answer. How a problem becomes a training document is
:mod:`.documents`' business.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

_NAMES = ("Tom", "Anna", "Ben", "Lucy")
_THINGS = ("apples", "pens", "cards", "shells")


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


Template = Callable[[Random], Problem]


def _problem(text: str, steps: str, answer: int) -> Problem:
    return Problem(text, steps, str(answer), slip=str(answer + 1))


def _small(rng: Random, low: int = 1, high: int = 7) -> int:
    return rng.randint(low, high)


def _linear_value(rng: Random) -> Problem:
    a, b, x = _small(rng, 2), _small(rng), _small(rng)
    return _problem(
        f"If $f(x) = {a}x + {b}$, find $f({x})$.", f"{a} \\cdot {x} + {b} = {a * x} + {b}", a * x + b
    )


def _linear_equation(rng: Random) -> Problem:
    x, a, b = _small(rng), _small(rng), _small(rng)
    total = x + a + b
    return _problem(
        f"Solve $x + {a} + {b} = {total}$ for $x$.", f"{total} - {a} - {b} = {total - a} - {b}", x
    )


def _two_unknowns(rng: Random) -> Problem:
    x, y, c = _small(rng), _small(rng), _small(rng)
    return _problem(
        f"If $x = {x}$ and $y = {y}$, find $x + y + {c}$.", f"{x} + {y} + {c} = {x + y} + {c}", x + y + c
    )


def _outfits(rng: Random) -> Problem:
    a, b, c = _small(rng), _small(rng), _small(rng)
    return _problem(
        f"In how many ways can you take one of ${a}$ hats and one of ${b}$ scarves, or one of ${c}$ coats?",
        f"{a} \\cdot {b} + {c} = {a * b} + {c}",
        a * b + c,
    )


def _one_of_three(rng: Random) -> Problem:
    a, b, c = _small(rng), _small(rng), _small(rng)
    return _problem(
        f"A box holds ${a}$ red, ${b}$ blue and ${c}$ green balls. In how many ways can one be drawn?",
        f"{a} + {b} + {c} = {a + b} + {c}",
        a + b + c,
    )


def _probability(rng: Random) -> Problem:
    red, blue, green = _small(rng), _small(rng), _small(rng)
    total = red + blue + green
    return Problem(
        f"A bag holds ${red}$ red, ${blue}$ blue and ${green}$ green balls. What is the probability of red?",
        f"{red} + {blue} + {green} = {total}$, $\\frac{{r}}{{n}}",
        f"\\frac{{{red}}}{{{total}}}",
        f"\\frac{{{red + 1}}}{{{total}}}",
    )


def _triangle(rng: Random) -> Problem:
    a, b, c = _small(rng), _small(rng), _small(rng)
    return _problem(
        f"A triangle has sides ${a}$, ${b}$ and ${c}$. What is its perimeter?",
        f"{a} + {b} + {c} = {a + b} + {c}",
        a + b + c,
    )


def _rectangle_and_square(rng: Random) -> Problem:
    a, b, c = _small(rng), _small(rng), _small(rng)
    return _problem(
        f"A ${a}$ by ${b}$ rectangle lies beside a region of area ${c}$. What is the total area?",
        f"{a} \\cdot {b} + {c} = {a * b} + {c}",
        a * b + c,
    )


def _missing_side(rng: Random) -> Problem:
    a, b, c = _small(rng), _small(rng), _small(rng)
    total = a + b + c
    return _problem(
        f"A triangle of perimeter ${total}$ has sides ${a}$ and ${b}$. What is the third side?",
        f"{total} - {a} - {b} = {total - a} - {b}",
        c,
    )


def _quadratic_value(rng: Random) -> Problem:
    x, a, c = _small(rng), _small(rng, 2), _small(rng)
    return _problem(
        f"Let $p(x) = x^2 + {a}x + {c}$. Find $p({x})$.",
        f"{x} \\cdot {x + a} + {c} = {x * (x + a)} + {c}",
        x * (x + a) + c,
    )


def _sum_of_roots(rng: Random) -> Problem:
    r, s, shift = _small(rng), _small(rng), _small(rng)
    return _problem(
        f"A quadratic has roots ${r}$ and ${s}$. What is the sum of its roots, plus ${shift}$?",
        f"{r} + {s} + {shift} = {r + s} + {shift}",
        r + s + shift,
    )


def _absolute_value(rng: Random) -> Problem:
    a, b, c = _small(rng), _small(rng), _small(rng)
    return _problem(f"Find $|{a} - {b}| + {c}$.", f"{abs(a - b)} + {c}", abs(a - b) + c)


def _remainder(rng: Random) -> Problem:
    quotient, divisor = _small(rng), _small(rng, 2, 7)
    rest = rng.randrange(divisor)
    n = quotient * divisor + rest
    return _problem(
        f"What remains of ${n}$ after ${quotient}$ groups of ${divisor}$ are taken away?",
        f"{n} - {quotient} \\cdot {divisor} = {n} - {quotient * divisor}",
        rest,
    )


def _units_digit(rng: Random) -> Problem:
    a, b, c = _small(rng), _small(rng), _small(rng)
    total = a * b + c
    return _problem(
        f"What is the units digit of ${a} \\cdot {b} + {c}$?",
        f"{a} \\cdot {b} + {c} = {a * b} + {c} = {total}$, $u",
        total % 10,
    )


def _common_divisor(rng: Random) -> Problem:
    a, b = rng.randint(2, 30), rng.randint(2, 30)
    divisor = math.gcd(a, b)
    return _problem(
        f"Find the greatest common divisor of ${a}$ and ${b}$.",
        f"{a} = {divisor} \\cdot {a // divisor}$, ${b} = {divisor} \\cdot {b // divisor}$, $\\gcd",
        divisor,
    )


def _order_of_operations(rng: Random) -> Problem:
    a, b, c = _small(rng), _small(rng), _small(rng)
    return _problem(f"What is ${a} + {b} \\cdot {c}$?", f"{b} \\cdot {c} + {a} = {b * c} + {a}", a + b * c)


def _boxes(rng: Random) -> Problem:
    a, b, c = _small(rng), _small(rng), _small(rng)
    name, thing = rng.choice(_NAMES), rng.choice(_THINGS)
    return _problem(
        f"{name} has ${a}$ boxes of ${b}$ {thing} and finds ${c}$ more. How many {thing} are there?",
        f"{a} \\cdot {b} + {c} = {a * b} + {c}",
        a * b + c,
    )


def _gives_away(rng: Random) -> Problem:
    a, b, c = _small(rng), _small(rng), _small(rng)
    name, thing = rng.choice(_NAMES), rng.choice(_THINGS)
    start = a + b + c
    return _problem(
        f"{name} has ${start}$ {thing}, loses ${a}$ and sells ${b}$. How many {thing} are left?",
        f"{start} - {a} - {b} = {start - a} - {b}",
        c,
    )


def _dot_product(rng: Random) -> Problem:
    a, b, c, d = _small(rng, 1, 5), _small(rng, 1, 5), _small(rng, 1, 5), _small(rng, 1, 5)
    return _problem(
        f"Find the dot product of $({a}, {b})$ and $({c}, {d})$.",
        f"{a} \\cdot {c} + {b} \\cdot {d} = {a * c} + {b * d}",
        a * c + b * d,
    )


def _vector_sum(rng: Random) -> Problem:
    a, b, c, d = _small(rng), _small(rng), _small(rng), _small(rng)
    return _problem(
        f"Add the vectors $({a}, {b})$ and $({c}, {d})$. What is the first entry?",
        f"{a} + {c}",
        a + c,
    )


def _determinant(rng: Random) -> Problem:
    a, d, b = _small(rng), _small(rng), _small(rng)
    return _problem(
        f"A matrix has rows $({a}, -{b})$ and $(1, {d})$. Find its determinant.",
        f"{a} \\cdot {d} + {b} = {a * d} + {b}",
        a * d + b,
    )


# Keys as lm-eval names its tasks (minerva_math_<subject>).
TEMPLATES: dict[str, tuple[Template, ...]] = {
    "algebra": (_linear_value, _linear_equation, _two_unknowns),
    "counting_and_prob": (_outfits, _one_of_three, _probability),
    "geometry": (_triangle, _rectangle_and_square, _missing_side),
    "intermediate_algebra": (_quadratic_value, _sum_of_roots, _absolute_value),
    "num_theory": (_remainder, _units_digit, _common_divisor),
    "prealgebra": (_order_of_operations, _boxes, _gives_away),
    "precalc": (_dot_product, _vector_sum, _determinant),
}

SUBJECTS = tuple(TEMPLATES)


def draw_problem(rng: Random, subject: str) -> Problem:
    """One random problem of ``subject``, every template equally likely."""
    return rng.choice(TEMPLATES[subject])(rng)


def held_out_problems(seed: int, subject: str, count: int) -> tuple[Problem, ...]:
    """``count`` problems with distinct texts, the same for the same arguments."""
    rng = Random(f"held-out {seed} {subject}")
    chosen: dict[str, Problem] = {}
    while len(chosen) < count:
        problem = draw_problem(rng, subject)
        chosen.setdefault(problem.text, problem)
    return tuple(chosen.values())
