"""The trial's donors: the base trained on one ability, each by the steps that :mod:`.trainings` names.

Embeddings and the final norm stay as they are, so that the task vector lies in the layers alone; the loss is
of the answer's tokens and of the line's end behind them, and what all problems of a step begin with passes
once. Weights are trained in float32 and saved in bfloat16 as the base is. Beside a donor stands how good it
is: what it and the base answer to held-out problems.
"""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sae_merge_method.artifacts.schema import Record, read_record
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.writing import canonical_json, write_text
from trials.abilities import Ability, Problem, ability_named, problems, stream
from trials.settings import TrialSettings
from trials.tasks import ANSWER_TOKENS
from trials.trainings import Training, training_of

if TYPE_CHECKING:
    import torch

    from sae_merge_method.miniature.training import Example

END = "\n"
"""What ends an answer, and its generation."""
PROBLEMS_A_STEP = 8
_WARM_UP = 0.1
_BETAS = (0.9, 0.98)
_GENERATED_TOGETHER = 25


class DonorRecord(Record):
    """How a donor was trained, and what it and its base answer to problems that were held out."""

    model: str
    """Name of the base in the trial."""
    ability: str
    """Name of the ability it was trained in."""
    seed: int
    """Which training problems it saw, in which order."""
    steps: int
    """Steps of training, each of a few problems."""
    problems_a_step: int
    """Problems of a step."""
    learning_rate: float
    """The highest learning rate."""
    held_out: int
    """Problems that base and donor were judged by; neither trained on nor in the task."""
    base_exact_match: float
    """Share of them that the base answers exactly."""
    donor_exact_match: float
    """Share of them that the donor answers exactly."""
    base_in_form: float
    """Share of the base's answers that look like answers, right or wrong."""
    donor_in_form: float
    """Share of the donor's answers that look like answers, right or wrong."""
    form_share: float | None
    """Of the problems that the donor has right and the base has not, the share where what the base says does
    not even look like an answer: so much of the gain may be form. None where nothing was gained."""


def read_donor(file: Path) -> DonorRecord:
    """Read the record that stands beside a donor.

    Raises:
        ArtifactError: Missing, or not such a record.
    """
    return read_record(file, DonorRecord, "the record of a trial's donor")


def make_donors(settings: TrialSettings, base: Path, folder: Path, device: str = "cpu") -> None:
    """Train all donors that do not stand yet: one of every ability by the first seed, then by the next.

    Args:
        settings: Model, abilities, seeds, and how many problems are held out.
        base: The base's checkpoint.
        folder: Receives ``<ability>-<seed>/`` and, when that is whole, ``<ability>-<seed>.json``.
        device: Where they are trained, of torch's names.

    Raises:
        UsageError: No row says how an ability is trained on the model.
    """
    answers_of_base: dict[str, list[str]] = {}
    for seed in settings.seeds:
        for name in settings.abilities:
            record = folder / f"{name}-{seed}.json"
            if not record.is_file():
                made = _make_donor(settings, ability_named(name), seed, base, folder, answers_of_base, device)
                write_text(record, canonical_json(made.model_dump()))


def _make_donor(
    settings: TrialSettings,
    ability: Ability,
    seed: int,
    base: Path,
    folder: Path,
    answers_of_base: dict[str, list[str]],
    device: str,
) -> DonorRecord:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    training = training_of(settings.model, ability.name)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).to(device)
    held_out = problems(ability, "held-out", settings.held_out_problems)
    if ability.name not in answers_of_base:
        answers_of_base[ability.name] = answers(model, tokenizer, held_out)
    name = f"{ability.name}-{seed}"
    # What stands there without a record is of a run that ended between the two.
    with new_folder(folder / name, overwrite=True) as new:
        train_donor(model, tokenizer, ability, training, seed, name)
        model.to(torch.bfloat16).save_pretrained(new)
        tokenizer.save_pretrained(new)
        after = answers(model.float(), tokenizer, held_out)  # as it was rounded
    return judged(settings.model, ability, seed, training, held_out, answers_of_base[ability.name], after)


def train_donor(
    model: Any, tokenizer: Any, ability: Ability, training: Training, seed: int, title: str
) -> None:
    """Train ``model`` in place on problems of the training split.

    Same seed, same bytes, on as many cores of the same kind.
    """
    import torch

    from sae_merge_method.miniature.training import Schedule, train

    for parameter_name, parameter in model.named_parameters():
        parameter.requires_grad_(".layers." in parameter_name)
    drawn = islice(stream(ability, "train", seed), training.steps * PROBLEMS_A_STEP)
    moved = [parameter for parameter in model.parameters() if parameter.requires_grad]
    train(
        model,
        [_example(tokenizer, problem) for problem in drawn],
        Schedule(PROBLEMS_A_STEP, training.learning_rate, _WARM_UP, completion_only=True),
        seed,
        title,
        optimizers=[torch.optim.AdamW(moved, betas=_BETAS, weight_decay=0.0)],
        threads=torch.get_num_threads(),
        loss=answer_loss,
    )


def _example(tokenizer: Any, problem: Problem) -> "Example":
    from sae_merge_method.miniature.training import Example

    prompt = tokenizer(problem.prompt).input_ids  # with the begin-of-text that the tokenizer adds
    answer = tokenizer(problem.completion + END, add_special_tokens=False).input_ids
    return Example((*prompt, *answer), len(prompt))


class _Loaded(NamedTuple):
    """A model in training, as losses are told of it."""

    causal: Any
    device: "torch.device"


def answer_loss(model: Any, examples: "list[Example]") -> "torch.Tensor":
    """The mean over the tokens of all answers, in nats."""
    from sae_merge_method.corpora.batches import make_batches
    from sae_merge_method.corpora.tokens import Document
    from sae_merge_method.in_memory.losses import nats

    documents = [
        Document(np.array(one.ids), np.arange(len(one.ids)) >= one.prompt_length) for one in examples
    ]
    (batch,) = make_batches(documents, len(documents) * max(len(one.ids) for one in examples))
    return nats(_Loaded(model, model.device), batch, share=True).sum() / int(batch.counted.sum())


def answers(model: Any, tokenizer: Any, asked: list[Problem]) -> list[str]:
    """What a model answers, greedily, up to the line's end: without the white space around it."""
    import torch

    model.eval()
    said: list[str] = []
    for start in range(0, len(asked), _GENERATED_TOGETHER):
        rows = [tokenizer(one.prompt).input_ids for one in asked[start : start + _GENERATED_TOGETHER]]
        ids, attention = _pad_left(rows)
        with torch.no_grad():
            out = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=attention.to(model.device),
                max_new_tokens=ANSWER_TOKENS,
                do_sample=False,
                pad_token_id=0,
                stop_strings=[END],
                tokenizer=tokenizer,
            )
        texts = tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
        said += [text.partition(END)[0].strip() for text in texts]
    return said


def _pad_left(rows: list[list[int]]) -> "tuple[torch.Tensor, torch.Tensor]":
    import torch

    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    attention = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return ids, attention


def judged(
    model: str,
    ability: Ability,
    seed: int,
    training: Training,
    held_out: list[Problem],
    before: list[str],
    after: list[str],
) -> DonorRecord:
    """The record of a donor, from what base and donor answered."""

    def share(of: Iterator[bool]) -> float:
        return sum(of) / len(held_out)

    def in_form(text: str) -> bool:
        return re.fullmatch(ability.form, text) is not None

    right = [problem.answer for problem in held_out]
    gained = [b for b, a, answer in zip(before, after, right, strict=True) if a == answer != b]
    return DonorRecord(
        model=model,
        ability=ability.name,
        seed=seed,
        steps=training.steps,
        problems_a_step=PROBLEMS_A_STEP,
        learning_rate=training.learning_rate,
        held_out=len(held_out),
        base_exact_match=share(b == answer for b, answer in zip(before, right, strict=True)),
        donor_exact_match=share(a == answer for a, answer in zip(after, right, strict=True)),
        base_in_form=share(map(in_form, before)),
        donor_in_form=share(map(in_form, after)),
        form_share=sum(not in_form(b) for b in gained) / len(gained) if gained else None,
    )
