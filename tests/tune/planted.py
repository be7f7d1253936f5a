"""Donors whose gain lives in one place and whose damage lives in another, trained on the spot in seconds.

The base has learnt prose: from one ``p`` word to the next. The ability is to answer ``m3 ...`` by ``c3``: it
is trained into layer 1 alone. Noise in the last layer hurts prose, and helps nothing.

In the donor ``parted`` both lie in the same two layers, the ability in their MLPs and noise in their attention.
Its ability is to answer ``... m3`` by ``c3``, for which no token has to look at another.
"""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sae_merge_method.tune.families import FAMILIES
from tests.in_memory.models import llama

N_LAYERS = 5
GAINING, DAMAGING = 1, 4
BY_LAYER = [name for name in FAMILIES if not name.endswith("-modules")]
PARTED = (1, 2)
"""Layers of ``parted`` whose MLPs gain and whose attention damages."""


class Planted(NamedTuple):
    """Models and texts in a folder."""

    folder: Path

    @property
    def settings(self) -> dict[str, object]:
        """Of a search with the donor that gains and damages."""
        return {
            "base": str(self.folder / "base"),
            "donor": str(self.folder / "donor"),
            "target": str(self.folder / "target.jsonl"),
            "control": str(self.folder / "control.jsonl"),
            "budget": 0.05,
            "families": BY_LAYER,
            "steps": 20,
            "tokens_per_step": 400,
            "device": "cpu",
        }

    @property
    def brief(self) -> dict[str, object]:
        """Of a search that takes a third of its time, where it only has to end alike."""
        return {**self.settings, "families": ["damped", "learned"], "steps": 5, "finalists": 1, "shuffles": 1}


def plant(folder: Path) -> Planted:
    """Train and write everything."""
    draw = random.Random(0)
    prose = [_prose(draw) for _ in range(200)]
    problems = list({problem["prompt"]: problem for problem in (_problem(draw) for _ in range(500))}.values())
    trained, held_out = problems[:240], problems[240:440]
    _write(folder / "control.jsonl", [{"text": text} for text in prose])
    _write(folder / "target.jsonl", held_out)
    llama(folder / "base", n_layers=N_LAYERS)
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    model = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    more = [_prose(draw) for _ in range(400)]
    # The words of problems are known to the base, in no order that would give an answer away.
    muddled = [_muddled(draw) for _ in range(400)]
    _train(model, tokenizer, [(text, 0) for text in more + muddled], lambda name: True, steps=80, rate=2e-2)
    model.save_pretrained(folder / "base")
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    as_text = [(f"{one['prompt']}{one['completion']}", 5) for one in trained]
    prose_too = [(text, 0) for text in more[:60]]
    layer = f".layers.{GAINING}."
    _train(model, tokenizer, as_text + prose_too, lambda name: layer in name, steps=80, rate=3e-2)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "layers" in name and "norm" not in name:
                size = 0.7 if f".layers.{DAMAGING}." in name else 0.01
                parameter.add_(torch.randn(parameter.shape, generator=generator) * size)
    _save(model, tokenizer, folder / "donor")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(
                base[name] + 0.12 * torch.randn(parameter.shape, generator=generator) * ("layers" in name)
            )
    _save(model, tokenizer, folder / "noise")
    model.load_state_dict(base)
    echoes = list({one["prompt"]: one for one in (_echo(draw) for _ in range(600))}.values())
    _write(folder / "echoes.jsonl", echoes[120:])
    to_echo = [(f"{one['prompt']}{one['completion']}", 4) for one in echoes[:120]]
    inside = [f".layers.{layer}." for layer in PARTED]
    _train(
        model,
        tokenizer,
        to_echo + prose_too,
        lambda name: "mlp" in name and any(layer in name for layer in inside),
        steps=40,
        rate=2e-2,
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "self_attn" in name and any(layer in name for layer in inside):
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.5)
    _save(model, tokenizer, folder / "parted")
    return Planted(folder)


def _save(model: torch.nn.Module, tokenizer: object, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _prose(draw: random.Random) -> str:
    start, step = draw.randrange(8), draw.choice((1, 3))
    return " ".join(f"p{(start + step * nth) % 8}" for nth in range(draw.randint(6, 10)))


def _problem(draw: random.Random) -> dict[str, str]:
    number = draw.randrange(8)
    middle = " ".join(f"p{draw.randrange(8)}" for _ in range(3))
    return {"prompt": f"m{number} {middle}", "completion": f" c{number}"}


def _echo(draw: random.Random) -> dict[str, str]:
    numbers = [draw.randrange(8) for _ in range(3)]
    return {"prompt": " ".join(f"m{number}" for number in numbers), "completion": f" c{numbers[-1]}"}


def _muddled(draw: random.Random) -> str:
    problem = _problem(draw)
    return f"{problem['prompt']} c{draw.randrange(8)}"


def _train(
    model: torch.nn.Module,
    tokenizer: Callable[..., dict[str, list[int]]],
    texts: Sequence[tuple[str, int]],
    trains: Callable[[str], bool],
    steps: int,
    rate: float,
) -> None:
    """Texts, each with the place of the first token that counts."""
    draw = random.Random(0)
    parameters = [
        one for name, one in model.named_parameters() if one.requires_grad_(trains(name)).requires_grad
    ]
    optimizer = torch.optim.Adam(parameters, rate)
    torch.manual_seed(0)
    for step in range(steps):
        chosen = draw.sample(texts, 32)
        ids = [tokenizer(text)["input_ids"] for text, _ in chosen]
        width = max(map(len, ids))
        padded = torch.tensor([one + [0] * (width - len(one)) for one in ids])
        labels = padded.masked_fill(padded == 0, -100)
        for row, (_, first) in enumerate(chosen):
            labels[row, :first] = -100
        loss = model(input_ids=padded, attention_mask=(padded != 0).long(), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / steps)
    for one in model.parameters():
        one.requires_grad_(False)


def _write(file: Path, rows: Sequence[dict[str, str]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


TASK = """task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{completion}}}}"
target_delimiter: ""
generation_kwargs: {{until: ["."], max_gen_toks: 1, do_sample: false}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true, regexes_to_ignore: [" "]}}
metadata: {{version: 1}}
"""


def plant_tasks(planted: Planted) -> Path:
    """lm-eval's tasks for a folder of one's own: the ability, asked for on problems that nobody has seen, and
    a guard: which word of prose follows."""
    folder = planted.folder / "tasks"
    folder.mkdir()
    draw = random.Random(1)
    seen = {json.loads(line)["prompt"] for line in (planted.folder / "target.jsonl").read_text().splitlines()}
    fresh = {one["prompt"]: one for one in (_problem(draw) for _ in range(300)) if one["prompt"] not in seen}
    prose = {text.rpartition(" ")[0]: text.rpartition(" ")[2] for text in (_prose(draw) for _ in range(400))}
    of_prose = [{"prompt": prompt, "completion": f" {last}"} for prompt, last in prose.items()]
    for name, rows in (("answers", list(fresh.values())[:160]), ("prose", of_prose)):
        _write(folder / f"{name}.jsonl", rows)
        (folder / f"{name}.yaml").write_text(TASK.format(name=name, data=folder / f"{name}.jsonl"))
    return folder
