"""What a checkpoint holds beside its weights: config and tokenizer are the base's, the card is new."""

import shutil
from pathlib import Path

from sae_merge_method.checkpoints import CONFIG_FILE, file_inside
from sae_merge_method.merge.job import Job

# The names mergekit copies, and those it takes along for multimodal models.
_TOKENIZER_FILES = (
    "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer.model",
    "added_tokens.json", "merges.txt", "vocab.json", "chat_template.jinja", "chat_template.json",
    "video_preprocessor_config.json",
)  # fmt: skip
_MODEL_FILES = (CONFIG_FILE, "generation_config.json")
CARD_FILES = ("README.md", "mergekit_config.yml")
_PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")


def copy_side_files(job: Job, folder: Path) -> None:
    """Copy config, generation settings, tokenizer and processor of the base into ``folder``.

    Raises:
        ModelError: One of them is a link that leads out of the base's folder.
    """
    names = [*_MODEL_FILES]
    if job.options.get("copy_tokenizer", True):
        names += _TOKENIZER_FILES
    if job.base.is_multimodal:
        names += _PROCESSOR_FILES
    for name in names:
        source = file_inside(job.base.folder, name)
        if source.is_file():
            shutil.copyfile(source, folder / name)


def write_card(job: Job, folder: Path, name: str) -> None:
    """Write mergekit's card and the recipe as the user wrote it, unless the user wants none."""
    if not job.options.get("write_model_card", True):
        return
    from sae_merge_method.merge.card import card_text

    (folder / CARD_FILES[0]).write_text(card_text(job.source, job.plan, name), encoding="utf-8")
    (folder / CARD_FILES[1]).write_text(job.source, encoding="utf-8")
