"""What is trained: a model, its sites, the texts, and how each SAE learns; looked at before work begins."""

from dataclasses import dataclass
from typing import Any

from sae_merge_method import __version__
from sae_merge_method.corpora.counting import OUTLIER_NORM
from sae_merge_method.corpora.tokens import Document, special_token_ids
from sae_merge_method.errors import UsageError
from sae_merge_method.files.stamps import ENCODING
from sae_merge_method.identity.made_from import of_model, of_packages, of_texts
from sae_merge_method.layers import parse_layers
from sae_merge_method.loaded.sites import TRAINED, Site, source_of
from sae_merge_method.loaded.text_model import TextModel, load_text_model
from sae_merge_method.train_saes.learner import Schedule
from sae_merge_method.train_saes.settings import TrainSaesSettings, parse_count, parse_width
from sae_merge_method.train_saes.texts import Reading, Text, read_texts

_DEAD_SHARE, _MOST_DEAD_AFTER = 8, 1000
"""Dead after an eighth of the steps; SAELens' own window where they are many."""
_RATE, _RATE_OF = 2e-4, 1 << 14
"""Gao et al. (arXiv 2406.04093): the best learning rate falls with the square root of the number of features;
the constant is sparsify's."""
_STEPS, _SMALLEST_STEP, _LARGEST_STEP = 256, 128, 1024
"""On 32k tokens of SmolLM2's layer 3, 31 steps explain a fifth of the variance and 250 two thirds."""


@dataclass(frozen=True)
class Job:
    """A training, ready to begin."""

    settings: TrainSaesSettings
    model: TextModel
    sites: tuple[Site, ...]
    """By hook, then by layer."""
    texts: tuple[Text, ...]
    schedule: Schedule
    """Of every SAE."""
    step_tokens: int
    """Tokens of a training step."""
    block_steps: int
    """Steps that are taken on activations that were shuffled together."""

    @property
    def block_tokens(self) -> int:
        """Tokens that are shuffled together."""
        return self.block_steps * self.step_tokens

    @property
    def held_out(self) -> tuple[Document, ...]:
        """Documents of all corpora to judge by, in turn: any first part has something of each."""
        of_texts = [text.held_out for text in self.texts]
        longest = max(map(len, of_texts))
        return tuple(one[nth] for nth in range(longest) for one in of_texts if nth < len(one))

    def metadata(self, site: Site) -> dict[str, Any]:
        """What SAELens' config says of one SAE."""
        first = self.texts[0].training[0]
        return {
            "model_name": self.model.name.path,
            "hook_name": site.saelens,
            "context_size": min(self.settings.max_length, self.model.context),
            "prepend_bos": int(first.ids[0]) in special_token_ids(self.model.tokenizer, *self.model.configs),
            "dataset_path": ", ".join(text.source for text in self.texts),
        }

    def seed(self, site: Site) -> int:
        """Of one SAE's first weights: its own, whichever others are trained."""
        return (self.settings.seed * len(TRAINED) + list(TRAINED).index(site.hook)) * 1000 + site.layer

    def recorded(self) -> dict[str, str | int | float | None]:
        """The settings as they were really used."""
        dtype = str(self.model.dtype).removeprefix("torch.")
        return {
            **self.settings.recorded(dtype, self.model.device.type),
            "step_tokens": self.step_tokens,
            "outlier_norm": OUTLIER_NORM,
        }

    def inputs(self) -> dict[str, str | int | float | None]:
        """What a resumed run must have in common with the one that was interrupted."""
        return {
            "version": __version__,
            **of_packages(ENCODING),
            **self.recorded(),
            **of_model("model", self.model),
            # In their order: another one is another stream.
            **of_texts((text.source, text.sha256, f"weight {text.weight}") for text in self.texts),
        }


def step_of(tokens: int) -> int:
    """Tokens of a step, of so many in all, where nobody has said: small steps rather than few."""
    return min(max(tokens // _STEPS, _SMALLEST_STEP), _LARGEST_STEP)


def open_job(settings: TrainSaesSettings) -> Job:
    """Load the model, read the texts, and work out how SAEs learn.

    Raises:
        SaeMergeError: Something of it cannot be had, or does not fit the rest.
    """
    model = load_text_model(settings.model, settings.dtype, settings.device, with_head=settings.held_out > 0)
    layers = parse_layers(settings.layers, len(model.blocks))
    sites = tuple(Site(layer, hook) for hook in TRAINED if hook in settings.hook for layer in layers)
    for site in sites:
        source_of(model, site)
    width, tokens = parse_width(settings.width, model.d_model), parse_count(settings.tokens)
    if settings.k > width:
        raise UsageError(
            f"expected at most as many active features as there are, {width}; got --k {settings.k}"
        )
    step_tokens = min(settings.step_tokens or step_of(tokens), tokens)
    steps = tokens // step_tokens
    reading = Reading(
        tokens,
        settings.held_out,
        settings.max_length,
        settings.text_field,
        settings.max_documents,
        settings.seed,
    )
    schedule = Schedule(
        d_in=model.d_model,
        d_sae=width,
        k=settings.k,
        steps=steps,
        learning_rate=settings.learning_rate or _RATE * (_RATE_OF / width) ** 0.5,
        dead_after=settings.dead_after or min(_MOST_DEAD_AFTER, max(1, steps // _DEAD_SHARE)),
    )
    texts = read_texts(model, settings.text, reading)
    return Job(
        settings, model, sites, texts, schedule, step_tokens, max(1, settings.buffer_tokens // step_tokens)
    )
