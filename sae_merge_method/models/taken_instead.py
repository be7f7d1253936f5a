"""What a loader would take in place of a checkpoint's weights, or beside them: two tables, a row a way.

Read off the loading code of transformers 5.23, peft 0.21, mergekit 0.1.5 and lm-eval 0.4.13, and off what
vLLM and llama.cpp document. Files that any model has beside its weights are in ``beside_weights``; whether
a checkpoint holds one of these is for an audit.
"""

from fnmatch import fnmatchcase
from typing import NamedTuple


class TakenInstead(NamedTuple):
    """Files whose names are alike."""

    pattern: str
    """Of a name in the model's own folder."""
    what: str
    """What it holds, in words."""
    taken_by: str
    """Who takes it, and when."""


TAKEN_INSTEAD = (
    TakenInstead(
        "adapter_config.json",
        "an adapter",
        "transformers' from_pretrained adds it to the weights, where peft is installed",
    ),
    TakenInstead("adapter_model*", "an adapter's weights", "peft, and transformers where peft is installed"),
    TakenInstead(
        "*.safetensors.index.json",
        "the index of other weights",
        "transformers, by variant= or by config.json's transformers_weights",
    ),
    TakenInstead(
        "consolidated*",
        "weights in the format of their maker",
        "vLLM, by load_format=mistral or by itself where params.json is there",
    ),
    TakenInstead(
        "*.safetensors",
        "other weights",
        "vLLM takes all of a folder's; transformers by variant= or by config.json's transformers_weights",
    ),
    TakenInstead("*.bin.index.json", "the index of pickled weights", "transformers by use_safetensors=False"),
    TakenInstead("*.bin", "pickled weights", "transformers by use_safetensors=False, vLLM by load_format=pt"),
    TakenInstead("*.pt", "pickled weights", "vLLM, by load_format=pt"),
    TakenInstead("*.pth", "pickled weights", "vLLM, by load_format=pt; the model's own makers"),
    TakenInstead("*.ckpt*", "pickled weights", "loaders of training checkpoints"),
    TakenInstead("*.h5", "TensorFlow's weights", "transformers before 5, by from_tf"),
    TakenInstead("*.msgpack", "Flax' weights", "transformers before 5, by from_flax"),
    TakenInstead("*.gguf", "quantised weights", "transformers and lm-eval by gguf_file=; llama.cpp, vLLM"),
    TakenInstead("*.onnx*", "a graph with its weights", "optimum and onnxruntime"),
    TakenInstead("params.json", "a config in the format of its maker", "vLLM, by config_format=mistral"),
    TakenInstead("quantize_config.json", "how weights are packed", "GPTQ's loaders, lm-eval's gptqmodel"),
    TakenInstead("quant_config.json", "how weights are packed", "AWQ's loaders"),
    TakenInstead("hf_quant_config.json", "how weights are packed", "vLLM and TensorRT-LLM (ModelOpt)"),
)
"""In the order in which they are asked: the first that fits a name says what it is."""

_TRAINERS = (
    "training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state*.pth",
)  # fmt: skip
"""What a trainer leaves: every loader passes over these names."""


def taken_instead(name: str) -> TakenInstead | None:
    """The row of a file in a model's own folder; None where no loader would take it for weights."""
    if any(fnmatchcase(name, pattern) for pattern in _TRAINERS):
        return None
    return next((row for row in TAKEN_INSTEAD if fnmatchcase(name, row.pattern)), None)


class LeadsElsewhere(NamedTuple):
    """A key of a JSON file beside the weights by which a loader takes something from another place."""

    file: str
    """Path of the file in the model's folder; ``*`` for every one that has such keys."""
    key: str
    """At the top of the file."""
    what: str
    """What is taken, in words."""


LEADS_ELSEWHERE = (
    LeadsElsewhere("*", "auto_map", "code that trust_remote_code runs"),
    LeadsElsewhere("config.json", "configuration_files", "another config, by the version of transformers"),
    LeadsElsewhere("config.json", "quantization_config", "how transformers reads or packs the weights"),
    LeadsElsewhere("config.json", "attn_implementation", "a kernel of the Hub that computes attention"),
    LeadsElsewhere("config.json", "experts_implementation", "a kernel of the Hub that computes experts"),
    LeadsElsewhere("processor_config.json", "audio_tokenizer", "another model, which makes sound of tokens"),
    LeadsElsewhere("tokenizer_config.json", "fast_tokenizer_files", "another vocabulary, by the version"),
)
"""Held against the base as all keys are; the base's own may lead to what nobody here has looked into."""

WEIGHTS_KEY = "transformers_weights"
"""Key of config.json: transformers loads the file that it names, whatever else the folder holds."""

ABOUT = (
    "README*", "LICENSE*", "LICENCE*", "NOTICE*", "*.md", "*.png", "*.jpg", "*.svg", "mergekit_config.yml",
    "edit_report.json", "*.intoto.json*", "*.sig", "*.sigstore*",
)  # fmt: skip
"""Names, in a model's own folder, of what is about a model, not of it: no loader opens them, unless one of
:data:`TAKEN_INSTEAD` fits the name too."""


def is_about(name: str) -> bool:
    """Whether a file or folder of that name is about a model."""
    return any(fnmatchcase(name, pattern) for pattern in ABOUT)
