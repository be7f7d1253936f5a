"""Loading the language model: a text decoder, its blocks and its tokenizer, or a reason why not."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sae_merge_method.artifacts.fingerprint import Fingerprint
from sae_merge_method.errors import ModelError, UsageError, first_line
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.models.checkpoint import CONFIG_FILE, open_checkpoint
from sae_merge_method.models.devices import AUTO, resolve_device
from sae_merge_method.models.families import family_of, vocabulary
from sae_merge_method.models.hub import ModelId, parse_model_id
from sae_merge_method.models.precision import model_dtype, product_dtype
from sae_merge_method.models.shards import read_json
from sae_merge_method.models.tensor_names import decoder_layer
from sae_merge_method.models.unreadable import explain, held_at, quantised_by_config

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TextModel:
    """A language model cut down to what a forward pass up to its last block needs."""

    name: ModelId
    revision: str | None
    """Commit on the Hub, where there is one."""
    config_sha256: str
    fingerprint: Fingerprint
    """Of the weights as they lie on the disk, whatever precision they are used in."""
    decoder: "torch.nn.Module"
    """The text model without the language-model head: blocks and final norm."""
    blocks: "torch.nn.ModuleList"
    tokenizer: Any
    configs: tuple[Any, ...]
    """The whole model's config and the text model's."""
    dtype: "torch.dtype"
    causal: "torch.nn.Module | None" = None
    """The whole model, which gives logits; None where it was loaded without its head."""

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.configs[-1].hidden_size)

    @property
    def context(self) -> int:
        """Longest input, in tokens."""
        return int(getattr(self.configs[-1], "max_position_embeddings", 0) or 1 << 20)

    @property
    def device(self) -> "torch.device":
        """Where the inputs go: the device of the embeddings."""
        return next(self.decoder.parameters()).device


def load_text_model(
    text: str, dtype: str = "auto", device: str | None = AUTO, *, with_head: bool = False
) -> TextModel:
    """Load a causal or multimodal model and keep its text decoder.

    Args:
        text: Folder or Hub id, ``@revision`` allowed.
        dtype: Name of a torch dtype; ``auto`` is the checkpoint's own, or float32 where this machine is
            clearly faster in it and has the memory.
        device: A torch device, or auto for the best there is; None to spread the model over all there are.
        with_head: Keep the whole model, too, for its logits.

    Raises:
        ModelError: Unreadable, without a text decoder, float16 Gemma 3, a checkpoint that leaves
            weights at random values, or more weights than all devices hold.
        UsageError: No such device.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import cached_file

    name = parse_model_id(text)
    if name.adapter is not None:
        raise UsageError(f"{text}: expected a whole model, not an adapter; merge it first")
    at = None if device is None else resolve_device(device)
    where = {"revision": name.revision} if name.revision else {}
    folder = Path(name.path).expanduser()
    kind = held_at(folder)
    if kind is not None:
        raise ModelError(explain(f"the model {text}", kind))
    if folder.is_dir() and not (folder / CONFIG_FILE).is_file():
        raise ModelError(f"expected a Hugging Face model in {name.path}: it has no config.json")
    try:
        config_file = cached_file(name.path, CONFIG_FILE, **where)
        coded = quantised_by_config(read_json(Path(config_file), "a model's config"))
        if coded is not None:
            raise ModelError(explain(f"the model {text}", coded))
        config = AutoConfig.from_pretrained(name.path, **where)
        tokenizer = AutoTokenizer.from_pretrained(name.path, **where)
        if dtype == AUTO:
            dtype = model_dtype(config, at)
        with _quiet_loading():
            model, info = AutoModelForCausalLM.from_pretrained(
                name.path,
                dtype=dtype,
                device_map="auto" if at is None else None,
                output_loading_info=True,
                **where,
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelError(f"cannot load the model {text}: {first_line(error)}") from error
    _check_loading(text, info)
    checkpoint = open_checkpoint(Path(config_file).parent)
    checkpoint.require_agreement()
    text_config = config.get_text_config()
    decoder = model.get_decoder()
    if decoder is model:  # Llama 4's with a head says that it is its own
        decoder = getattr(model, "model", model)
    kept = (model if with_head else decoder).eval().requires_grad_(False)
    if at is not None:
        try:
            kept.to(at)
        except RuntimeError as error:  # its memory is too small
            raise ModelError(f"cannot put the model {text} on {at}: {first_line(error)}") from error
    _check_placed(text, decoder)
    blocks = find_blocks(text, decoder, text_config.num_hidden_layers)
    _check_dtype(text, model.dtype, text_config.model_type)
    if product_dtype(model.dtype, model.device) != model.dtype:
        logger.warning("this processor has no bfloat16 arithmetic: --dtype float32 is many times faster")
    return TextModel(
        name=name,
        revision=getattr(config, "_commit_hash", None),
        config_sha256=checkpoint.config_sha256,
        fingerprint=fingerprint(checkpoint),
        decoder=decoder,
        blocks=blocks,
        tokenizer=tokenizer,
        configs=(config, text_config),
        dtype=model.dtype,
        causal=model if with_head else None,
    )


def _check_loading(text: str, info: dict[str, Any]) -> None:
    """Transformers only warns when a weight was not in the checkpoint: its value is then random."""
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"the checkpoint {text} does not match its config.json: {len(missing)} weights are not in it "
            f"and would be random, the first is {missing[0]}"
        )
    if info["mismatched_keys"]:
        raise ModelError(f"the checkpoint {text} holds weights of another shape: {info['mismatched_keys']}")
    unused = sorted(key for key in info["unexpected_keys"] if decoder_layer(key) is not None)
    if unused:
        raise ModelError(
            f"the checkpoint {text} does not match its config.json: {len(unused)} weights of decoder "
            f"layers would go unused, the first is {unused[0]}"
        )


def _check_placed(text: str, decoder: Any) -> None:
    """A model spread over devices that are too small keeps some weights nowhere until they are used."""
    if any(weight.is_meta for weight in decoder.parameters()):
        raise ModelError(
            f"the model {text} does not fit on the devices there are: use --device cpu, or --dtype bfloat16"
        )


def find_blocks(text: str, decoder: Any, n_layers: int) -> Any:
    """The list of a decoder's blocks.

    Args:
        text: The model's name, for messages.
        decoder: A text model without its head.
        n_layers: How many blocks it has.

    Raises:
        ModelError: It has none under a name that a family gives it.
    """
    names = vocabulary().block_lists
    for attribute in names:
        blocks = getattr(decoder, attribute, None)
        if blocks is not None and len(blocks) == n_layers:
            return blocks
    raise ModelError(
        f"cannot find the {n_layers} decoder blocks of {text}: "
        f"{type(decoder).__name__} has no list of them named {' or '.join(names)}"
    )


def _check_dtype(text: str, dtype: "torch.dtype", model_type: str) -> None:
    import torch

    family = family_of(model_type)
    if dtype == torch.float16 and family is not None and family.overflows_float16:
        raise ModelError(f"float16 overflows on {family.name} ({text}): use --dtype bfloat16 or float32")


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """Silence transformers' own report of missing keys: ours is an error with the same content.

    Its progress bar stays for a terminal, and stays away from a log.
    """
    from transformers.utils import logging as reports

    level = reports.get_verbosity()
    bar = reports.is_progress_bar_enabled()
    reports.set_verbosity_error()
    if not sys.stderr.isatty():
        reports.disable_progress_bar()
    try:
        yield
    finally:
        reports.set_verbosity(level)
        if bar:
            reports.enable_progress_bar()
