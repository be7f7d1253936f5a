"""The miniature's tokenizer and its Gemma 3 models."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sae_merge_method.miniature.settings import MiniatureSettings

if TYPE_CHECKING:
    from transformers import Gemma3ForCausalLM, PreTrainedTokenizerFast

PAD, EOS, BOS = "<pad>", "<eos>", "<bos>"


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> "PreTrainedTokenizerFast":
    """Train the tokenizer; the same texts give the same tokenizer.

    Args:
        texts: Training texts, in pieces as the models will read them (prompts and completions
            apart, so that no merge runs across the seam).
        vocabulary: Number of tokens, special ones and the 256 bytes included.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=[PAD, EOS, BOS],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A",
        pair=f"{BOS} $A {BOS} $B",
        special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
    )


def build_model(settings: MiniatureSettings, tokenizer: "PreTrainedTokenizerFast") -> "Gemma3ForCausalLM":
    """A freshly initialised float32 model; the same settings give the same weights."""
    import torch
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(settings.seed)
    config = Gemma3TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.d_model,
        intermediate_size=settings.d_mlp,
        num_hidden_layers=settings.n_layers,
        num_attention_heads=settings.n_heads,
        num_key_value_heads=settings.n_kv_heads,
        head_dim=settings.d_head,
        query_pre_attn_scalar=settings.d_head,
        max_position_embeddings=settings.context,
        sliding_window=settings.context,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    return Gemma3ForCausalLM(config).float()


def load_model(folder: Path) -> "Gemma3ForCausalLM":
    """Read a checkpoint written by :func:`save_model`, or by a merge of two of them."""
    from transformers import Gemma3ForCausalLM

    _no_bars()
    return Gemma3ForCausalLM.from_pretrained(folder).eval()


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerFast":
    """Read the tokenizer from a checkpoint's folder, or from its own."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder)


def save_model(model: "Gemma3ForCausalLM", tokenizer: "PreTrainedTokenizerFast", folder: Path) -> None:
    """Write an ordinary Hugging Face checkpoint, tokenizer included."""
    _no_bars()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _no_bars() -> None:
    """transformers shows a bar for every two megabytes it reads or writes."""
    from transformers.utils import logging

    logging.disable_progress_bar()
