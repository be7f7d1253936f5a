"""The miniature's SAEs: one a layer on the base's residual stream, trained as anyone's are by ``train_saes``.

What is the miniature's own is what they read, maths and stories in equal parts, and their numbers.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sae_merge_method.files.scratch import scratch_folder
from sae_merge_method.miniature.dataset import write_jsonl
from sae_merge_method.miniature.settings import MiniatureSettings
from sae_merge_method.miniature.texts import Document, Streams
from sae_merge_method.models.hub import ModelId
from sae_merge_method.train_saes.run import run_job
from sae_merge_method.train_saes.settings import TrainSaesSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

NAME = "sae-merge miniature"
"""What reports and configs call the model: it has another folder on every machine."""
_HELD_OUT = 40
"""A fortieth as many tokens as are trained on are held out."""
_DEAD_AFTER = 1000
"""SAELens' own window, in steps: longer than the training, so that none is revived, which takes time."""
_AT_ONCE = 256


def make_saes(
    settings: MiniatureSettings, base: Path, tokenizer: "PreTrainedTokenizerFast", folder: Path
) -> None:
    """Train an SAE for every decoder layer and write them into ``folder``, with their report.

    Args:
        settings: Width, sparsity, budget and seed.
        base: Folder of the base model.
        tokenizer: Its tokenizer.
        folder: Folder that receives one SAELens inference SAE (jumprelu) a layer.
    """
    import torch

    from sae_merge_method.train_saes.job import open_job
    from sae_merge_method.train_saes.states import States

    torch.set_num_threads(1)  # so that the bytes do not depend on how many there are
    streams = Streams(settings, "saes")
    kinds = {"maths": streams.maths, "stories": streams.stories}
    with scratch_folder(folder / "saes", "texts") as texts:
        files = {name: texts / f"{name}.jsonl" for name in kinds}
        for name, stream in kinds.items():
            write_jsonl(files[name], list(_rows(stream, tokenizer, settings.sae_tokens)))
        job = open_job(_settings(settings, base, tuple(files.values())))
    named = tuple(replace(text, source=name) for name, text in zip(kinds, job.texts, strict=True))
    job = replace(job, model=replace(job.model, name=ModelId(NAME)), texts=named)
    states = States(folder / "saes", job.inputs())
    run_job(job, states, folder, report=lambda _: None)
    states.discard(job.sites)


def _settings(settings: MiniatureSettings, base: Path, texts: tuple[Path, ...]) -> TrainSaesSettings:
    held_out = settings.sae_tokens // _HELD_OUT
    return TrainSaesSettings(
        model=str(base),
        text=tuple(map(str, texts)),
        width=str(settings.sae_width),
        k=settings.sae_k,
        tokens=str(settings.sae_tokens),
        step_tokens=settings.sae_batch,
        learning_rate=settings.sae_learning_rate,
        dead_after=_DEAD_AFTER,
        held_out=held_out,
        loss_tokens=max(1, held_out // 4),
        seed=settings.seed,
    )


def _rows(
    stream: Iterator[Document], tokenizer: "PreTrainedTokenizerFast", tokens: int
) -> Iterator[dict[str, str]]:
    """Documents of so many tokens together: of both kinds, twice what is trained on."""
    while tokens > 0:
        texts = [next(stream).text for _ in range(_AT_ONCE)]
        tokens -= sum(map(len, tokenizer(texts).input_ids))
        yield from ({"text": text} for text in texts)
