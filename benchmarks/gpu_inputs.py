"""Models, SAEs and texts of random weights and words, shaped as Gemma 3 4B's or tiny: what a GPU is given."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import random_encoders
import torch
import yaml
from random_models import Sizes, gemma, word_tokenizer


class Shape(NamedTuple):
    """Of the model, its SAEs and the texts."""

    sizes: Sizes
    layers: int
    features: int
    documents: int
    """Of each text."""
    length: int
    """Words of a document."""
    problems: int
    answer: int
    """Tokens to generate for each."""


GEMMA_3_4B = Shape(Sizes(2560, 10240, 8, 4, 256, 262_144), 34, 16_384, 200, 400, 64, 128)
TINY = Shape(Sizes(64, 128, 2, 1, 32, 512), 4, 256, 24, 24, 24, 4)


def build_models(work: Path, shape: Shape, device: str) -> None:
    """Base and donor with a word a token, in bfloat16."""
    tokenizer = word_tokenizer(shape.sizes.words)
    model = gemma(shape.sizes, shape.layers, "bfloat16", device)
    for name in ("base", "donor"):
        model.save_pretrained(work / name)
        tokenizer.save_pretrained(work / name)
        with torch.no_grad():
            for layer in model.model.layers:
                for parameter in layer.parameters():
                    parameter += 0.05 * parameter.std() * torch.randn_like(parameter)


def build_saes(work: Path, shape: Shape, device: str) -> None:
    """One a layer, with features that are as often active as a trained one's."""
    random_encoders.build_saes(
        work / "base", work / "saes", shape.layers, shape.features, random_encoders.alike(), device
    )


def write_texts(work: Path, shape: Shape) -> None:
    """Texts of three kinds, problems with answers, and a task that has answers generated."""
    random = np.random.default_rng(1)

    def words(count: int, low: int, high: int) -> str:
        return " ".join(f"w{word}" for word in random.integers(low, high, count))

    half = shape.sizes.words // 2
    for name, low, high in (
        ("target", 4, half),
        ("control", half, shape.sizes.words),
        ("general", 4, shape.sizes.words),
    ):
        lines = (json.dumps({"text": words(shape.length, low, high)}) for _ in range(shape.documents))
        (work / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    problems = (
        json.dumps({"prompt": words(shape.length // 4, 4, half), "completion": f" {words(2, 4, half)}"})
        for _ in range(shape.problems)
    )
    (work / "problems.jsonl").write_text("\n".join(problems) + "\n")
    task = {
        "task": "answers", "dataset_path": "json", "test_split": "test", "num_fewshot": 0,
        "dataset_kwargs": {"data_files": {"test": str(work / "problems.jsonl")}},
        "output_type": "generate_until", "doc_to_text": "{{prompt}}", "doc_to_target": "{{completion}}",
        "generation_kwargs": {"max_gen_toks": shape.answer, "until": ["<eos>"], "do_sample": False},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }  # fmt: skip
    (work / "tasks").mkdir()
    (work / "tasks" / "answers.yaml").write_text(yaml.safe_dump(task))
