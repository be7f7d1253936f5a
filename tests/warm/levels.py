"""What is loaded ahead of warm interpreters, level by level, and how it is made cheap to fork."""

import atexit
import ctypes
import functools
import gc
import importlib
import inspect
import os
import pkgutil
import site
import sys
from pathlib import Path

LEVELS: dict[str, tuple[str, ...]] = {
    "torch": ("torch", "safetensors.torch", "httpx", "pydantic"),
    "libraries": (
        "transformers.trainer_utils", "transformers.models.auto.modeling_auto", "peft", "accelerate", "networkx",
        "datasets", "evaluate", "sklearn.metrics", "sympy.parsing.latex", "math_verify",
        "pydantic",
    ),
    "hosts": (
        "mergekit.merge", "lm_eval.evaluator", "lm_eval.models.huggingface", "lm_eval.tasks.minerva_math.utils",
        "sae_lens", "scipy.stats", "matplotlib.figure", "transformers.models.gemma3.modeling_gemma3",
    ),
}  # fmt: skip
"""By level, what it loads beside what the levels before it do. The second knows neither host, nor us."""
HOSTS = "hosts"
"""The level that has all of ours loaded as well."""
FEW = "few_tasks"
"""In a test run's folder, the packages that this level finds before all others: an lm-eval."""
NOT_AHEAD = ("sae_merge_method.cli.main", "sae_merge_method.lm_eval_tasks")
"""What runs as a program, and what lm-eval loads by its path."""


def load(level: str, folder: str) -> None:
    """Load a level's libraries, and make them cheap to share."""
    gc.disable()  # to look through what is being loaded, and never dies, takes a quarter of the time
    if level == HOSTS:
        sys.path[:0] = [
            str(Path(folder) / FEW),
            *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
        ]
        site.main()
    for name in LEVELS[level]:
        importlib.import_module(name)
    if level == "libraries":
        _read_formulas()
    if level == HOSTS:
        importlib.import_module("tests.pictures").draw_small()
        ours = importlib.import_module("sae_merge_method")
        for module in pkgutil.walk_packages(ours.__path__, "sae_merge_method."):
            if not module.name.startswith(NOT_AHEAD):
                importlib.import_module(module.name)
        _compare_answers_once()
        _read_templates_once()
        _write_no_configs()
        _draw_a_picture()
    else:
        known = {name.partition(".")[0] for name in sys.modules}
        assert not known & {"mergekit", "lm_eval", "sae_merge_method"}, known
    inspect.getmodule(load)  # fills a table over all modules, which pydantic would fill in every fork
    atexit._clear()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()
    _lay_together()


def _lay_together() -> None:
    """Have Linux keep the heap in large pages: to fork and to end takes half as long, and they are most of a start."""
    if sys.platform == "linux":
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for line in Path("/proc/self/maps").read_text().splitlines():
            addresses, rights, _, _, file, *name = line.split()
            if rights.startswith("rw") and file == "0" and name != ["[stack]"]:
                start, end = (int(address, 16) for address in addresses.split("-"))
                advise(start, end - start, 25)  # MADV_COLLAPSE, of Linux 6.1; before, nothing happens


def _read_formulas() -> None:
    """Who first reads a formula reads its grammar, which takes longer than many an evaluation here."""
    sys.modules["sympy.parsing.latex"].parse_latex(r"\frac{8}{2}")
    verify = sys.modules["math_verify"]
    verify.verify(gold=verify.parse(r"$\frac{8}{2}$"), target=verify.parse("4"))


def _compare_answers_once() -> None:
    """Have lm-eval read and compare the same two answers once: a tenth of a second, and most are no answer at all.

    Models here have learned nothing, and for every problem and arm it simplifies the word that it has for that.
    """
    scoring = sys.modules["lm_eval.tasks.minerva_math.utils"]
    for name in ("parse_latex", "is_equiv"):
        setattr(scoring, name, functools.cache(getattr(scoring, name)))
    scoring.is_equiv(scoring.get_unnormalized_answer(""), "4")


def _read_templates_once() -> None:
    """Have lm-eval compile a task's templates once, which it does for each of them and every problem anew."""
    environment = sys.modules["lm_eval.utils"].env
    environment.from_string = functools.cache(environment.from_string)


def _write_no_configs() -> None:
    """Have transformers not write each config that it reads into a line of a log that nobody keeps."""
    sys.modules["transformers"].PreTrainedConfig.__repr__ = object.__repr__


def _draw_a_picture() -> None:
    """The first picture of a process is four times as dear as the next: fonts are looked for and read."""
    figure = sys.modules["sae_merge_method.reports.figure"]
    drawn = figure.new_figure(2, 2)
    figure.layer_axes(drawn, "score", "layers").plot([0, 1], [0, 1], label="line")
    drawn.axes[0].legend()
    figure.picture(drawn)
