"""All that takes a device, in one run on a random model of Gemma 3 4B's shape: seconds, GPU memory, shares.

A base, a donor near it and SAEs of 16k features for every layer are drawn at random, since what computing
costs does not depend on the weights; thresholds let some 50 features of a token pass. Then every command
that takes a device runs as it would for a user, one after the other in this process: the diagnosis, SAEs
trained on two layers, the attribution, the search, a merge by mergekit's engine, and an experiment of three
arms with generation. Each is printed with its seconds by the clock and its peak memory (of the GPU; of this
process on a CPU), and the diagnosis beside the least it could cost: the model's blocks and the encoders'
matrix products, nothing done with them.

Run: python benchmarks/gpu.py                        where there is a CUDA GPU; 30 GB of disk
     python benchmarks/gpu.py --only tune,merge      some of it
     python benchmarks/gpu.py --device cpu --tiny    the same on a model of four small layers, in a minute
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
import yaml
from gpu_inputs import GEMMA_3_4B, TINY, Shape, build_models, build_saes, write_texts


class Row(NamedTuple):
    """One line of the table."""

    name: str
    seconds: float
    nbytes: int
    what: str


def timed(name: str, on: str, what: str, work: Callable[[], object]) -> Row:
    """Run something, and print its line."""
    from sae_merge_method.models.devices import format_memory, peak_memory

    device = torch.device(on)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    start = time.perf_counter()
    with peak_memory(device) as peak:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    row = Row(name, time.perf_counter() - start, peak.nbytes, what)
    print(f"{row.name:22}{row.seconds:10.1f} s {format_memory(row.nbytes):>10}   {row.what}", flush=True)
    return row


def least(work: Path, shape: Shape, device: str) -> float:
    """Seconds of the model's blocks and the encoders' products over the texts of the diagnosis."""
    from sae_merge_method.corpora.batches import make_batches
    from sae_merge_method.corpora.documents import read_corpus
    from sae_merge_method.corpora.tokens import tokenize
    from sae_merge_method.loaded.residual_stream import forward
    from sae_merge_method.loaded.text_model import load_text_model

    model = load_text_model(str(work / "base"), device=device)
    texts = [
        text for name in ("target", "control") for text in read_corpus(str(work / f"{name}.jsonl")).documents
    ]
    documents = tokenize(model.tokenizer, texts, "texts", frozenset(), 1024)
    encoder = torch.randn(shape.sizes.width, shape.features, dtype=model.dtype, device=model.device)

    def product(residual: torch.Tensor) -> None:
        torch.mm(residual, encoder)

    batches = list(make_batches(documents, 2048))
    use = dict.fromkeys(range(shape.layers), product)
    forward(model, batches[0], use)
    start = time.perf_counter()
    for batch in batches:
        forward(model, batch, use)
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter() - start


def diagnosed(work: Path, shape: Shape, device: str) -> None:
    """The diagnosis of all layers, beside the least it could cost."""
    from sae_merge_method import diagnose
    from sae_merge_method.diagnose.settings import DiagnoseSettings

    settings = DiagnoseSettings.model_validate(
        {
            "model": str(work / "base"),
            "sae": str(work / "saes/layer_{layer}"),
            "target": str(work / "target.jsonl"),
            "control": (str(work / "control.jsonl"),),
            "device": device,
            "twins": (),
            "dictionaries": (),
        }
    )
    tokens = f"{2 * shape.documents * shape.length:,} tokens, {shape.layers} layers of {shape.features:,}"
    row = timed("diagnose", device, tokens, lambda: diagnose(settings, work / "diagnosis"))
    floor = least(work, shape, device)
    share = floor / row.seconds
    print(f"{'':22}{floor:10.1f} s {'':10}   forward and encoders' products alone: {share:.2f} of it")


def trained(work: Path, shape: Shape, device: str) -> None:
    """SAEs of two layers."""
    from sae_merge_method import train_saes
    from sae_merge_method.train_saes.settings import TrainSaesSettings

    settings = TrainSaesSettings.model_validate(
        {"model": str(work / "base"), "text": (str(work / "target.jsonl"), str(work / "control.jsonl")),
         "layers": "1-2", "device": device, "width": "2x",
         "tokens": str(shape.documents * shape.length), "k": 16, "held_out": shape.length * 2,
         "buffer_tokens": max(2048, shape.length), "step_tokens": min(1024, shape.length * 2)}
    )  # fmt: skip
    timed("train-saes", device, "two SAEs of twice the width", lambda: train_saes(settings, work / "trained"))


def attributed(work: Path, shape: Shape, device: str) -> None:
    """Gain and damage of every layer, to first order."""
    from sae_merge_method import attribute
    from sae_merge_method.attribute.settings import AttributeSettings

    settings = AttributeSettings.model_validate(
        {"base": str(work / "base"), "donor": str(work / "donor"), "target": str(work / "target.jsonl"),
         "control": (str(work / "control.jsonl"),), "device": device, "first_order": True,
         "dtype": "bfloat16", "checkpointing": True, "max_documents": max(4, shape.documents // 4)}
    )  # fmt: skip
    timed("attribute", device, "first order", lambda: attribute(settings, work / "attribution"))


def tuned(work: Path, shape: Shape, device: str) -> None:
    """A search among weights of all layers."""
    from sae_merge_method import tune
    from sae_merge_method.tune.search import TuneError
    from sae_merge_method.tune.settings import TuneSettings

    settings = TuneSettings.model_validate(
        {"base": str(work / "base"), "donor": (str(work / "donor"),), "target": str(work / "problems.jsonl"),
         "control": (str(work / "general.jsonl"),), "budget": 100.0,
         "families": ("damped",), "finalists": 1, "shuffles": 0,
         "device": device, "dtype": "bfloat16", "max_documents": max(12, shape.problems // 2)}
    )  # fmt: skip

    def search() -> None:
        try:
            tune(settings, work / "tuned")
        except TuneError as nothing:  # a random donor gains nothing: the search is made all the same
            logging.getLogger(__name__).info("%s", nothing)

    timed("tune", device, "one family of edits", search)


def merged(work: Path, _shape: Shape, device: str) -> None:
    """Two layers, by mergekit's engine."""
    from sae_merge_method import merge
    from sae_merge_method.merge.settings import MergeSettings

    recipe = work / "recipe.yml"
    recipe.write_text(
        yaml.safe_dump(
            {"merge_method": "sae_stethoscope", "base_model": str(work / "base"), "dtype": "bfloat16",
             "models": [{"model": str(work / "donor"), "parameters": {"weight": 1.0}}],
             "parameters": {"layers": "1-2"}}
        )
    )  # fmt: skip
    by_mergekit = MergeSettings(engine="mergekit")
    options = {"device": device, "cuda": device.startswith("cuda")}
    timed(
        "merge", device, "by mergekit's engine",
        lambda: merge(recipe, work / "out", by_mergekit, options=options),
    )  # fmt: skip


def experimented(work: Path, shape: Shape, device: str) -> None:
    """Three arms with generation, by what the diagnosis picks."""
    from sae_merge_method.experiment.run import run_experiment
    from sae_merge_method.experiment.settings import ExperimentSettings, RunSettings

    settings = ExperimentSettings.model_validate(
        {"base": str(work / "base"), "donor": str(work / "donor"), "diagnosis": str(work / "diagnosis"),
         "select": "top_k=2", "arms": ("all-layers",), "damping": (), "random_layers": 0, "windows": 0,
         "every_nth": 0, "all_but_the_last": 0,
         "evaluation": {"tasks": "answers", "include_path": str(work / "tasks"), "device": device,
                        "batch_size": 64, "model_args": {"dtype": "bfloat16"}},
         "general_loss": {"corpus": str(work / "general.jsonl"),
                          "max_documents": max(4, shape.documents // 10)}}
    )  # fmt: skip
    answers = f"three arms, {shape.problems} answers of up to {shape.answer} tokens each"
    here = RunSettings(workers=0)
    timed("experiment", device, answers, lambda: run_experiment(settings, work / "experiment", here))


COMMANDS: dict[str, Callable[[Path, Shape, str], None]] = {
    "diagnose": diagnosed,
    "train-saes": trained,
    "attribute": attributed,
    "tune": tuned,
    "merge": merged,
    "experiment": experimented,
}
"""All that takes a device, by name; an experiment reads the diagnosis."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="Four small layers, to see that all of it runs.")
    parser.add_argument(
        "--only",
        type=lambda names: names.split(","),
        default=list(COMMANDS),
        metavar="NAME,NAME",
        help=f"Some of {', '.join(COMMANDS)}, in the order named.",
    )
    options = parser.parse_args()
    if unknown := set(options.only) - set(COMMANDS):
        parser.error(f"expected some of {', '.join(COMMANDS)}, got {', '.join(sorted(unknown))}")
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no CUDA GPU here: expected one, or --device cpu --tiny", file=sys.stderr)
        sys.exit(2)
    os.environ["HF_HUB_OFFLINE"] = "1"
    shape = TINY if options.tiny else GEMMA_3_4B
    card = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    )
    print(
        f"{shape.layers} layers of {shape.sizes.width}, {shape.features:,} features each, bfloat16, on {card}"
    )
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve()
        os.environ["HF_DATASETS_CACHE"] = str(work / ".datasets")
        build_models(work, shape, options.device)
        if "diagnose" in options.only:
            build_saes(work, shape, options.device)
        write_texts(work, shape)
        for name in options.only:
            COMMANDS[name](work, shape, options.device)


if __name__ == "__main__":
    main()
