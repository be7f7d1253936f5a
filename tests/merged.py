"""A merged folder with all that lies beside the weights, and what it was made of."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests import tiny

BESIDE_TEXT = {
    "generation_config.json": {"temperature": 1.0, "top_k": 64, "transformers_version": "5.0.0"},
    "tokenizer_config.json": {"model_max_length": 64},
    "tokenizer.json": {"model": {"vocab": {"a": 0, "dtype": 1}}, "added_tokens": []},
    "special_tokens_map.json": {"bos_token": "<bos>"},
    "chat_template.jinja": "{{ bos_token }}{{ messages }}",
    "merges.txt": "a b\n",
}
BESIDE_IMAGES = {
    "preprocessor_config.json": {"do_resize": True, "size": {"height": 28, "width": 28}},
    "processor_config.json": {"image_seq_length": 4},
    "video_preprocessor_config.json": {"fps": 2.0},
}


@dataclass(frozen=True)
class Merged:
    """A merged folder and what it was made of."""

    out: Path
    base: Path
    donor: Path

    def copy(self, to: Path) -> Path:
        """A copy of the merged folder, to be changed."""
        shutil.copytree(self.out, to)
        return to

    def copy_base(self, to: Path) -> Path:
        """A copy of the base, to be changed."""
        shutil.copytree(self.base, to)
        return to


def make_merged(folder: Path, *, multimodal: bool = False) -> Merged:
    """Layers 1 and 3 of 4 at weight 0.5, by sae-merge."""
    from tests.recipes import recipe_text, run_recipe

    make = tiny.gemma3_multimodal if multimodal else tiny.gemma3_text
    base, donor = make(folder / "base", 0), make(folder / "donor", 1)
    for name, content in (BESIDE_TEXT | (BESIDE_IMAGES if multimodal else {})).items():
        (base / name).write_text(content if isinstance(content, str) else json.dumps(content))
    run_recipe(recipe_text(base, donor, weight="0.5"), folder / "out")
    return Merged(folder / "out", base, donor)


def rename_models(out: Path, base: str, donor: str) -> None:
    """Let a merged folder's recipe name other models."""
    config = out / "mergekit_config.yml"
    lines = config.read_text().splitlines()
    named = {"base_model:": f"base_model: {base}", "  - model:": f"  - model: {donor}"}
    lines = [next((new for old, new in named.items() if line.startswith(old)), line) for line in lines]
    config.write_text("\n".join(lines) + "\n")
