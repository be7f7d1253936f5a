"""Making a miniature, or taking it from the cache: texts, then the base, then donor and SAEs.

The base is trained on two halves of each batch at once. Donor and SAEs depend on the base alone and are made
side by side where there are processes for it, each by one thread.
"""

import logging
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from sae_merge_method.files.cache import cache_key, cached_folder, is_sealed
from sae_merge_method.miniature.model import build_model, load_model, load_tokenizer, save_model
from sae_merge_method.miniature.saes import make_saes
from sae_merge_method.miniature.settings import GENERATION, MiniatureSettings
from sae_merge_method.miniature.texts import TOKENIZER_FOLDER, Streams, make_texts

logger = logging.getLogger(__name__)

# What each part depends on besides the parts it is made from, by the prefix of the settings' names.
_TEXT_SETTINGS = ("seed", "problems_", "vocabulary", "tokenizer_", "diagnosis_")
_BASE_SETTINGS = ("n_", "d_", "context", "documents_", "warm_up", "base_", "maths_share", "drill_share")
_DONOR_SETTINGS = ("donor_",)
_SAE_SETTINGS = ("sae_",)


_PARTS = 2
"""Parts of a batch of the base's: another number trains another base."""


@dataclass(frozen=True)
class Miniature:
    """Folders of one finished miniature."""

    texts: Path
    base: Path
    donor: Path
    saes: Path
    made: tuple[str, ...] = ()
    """Parts that were not in the cache."""


def locate(settings: MiniatureSettings, root: Path) -> Miniature:
    """Where a miniature of these settings lies in the cache, whether or not it is there."""
    texts = _key(settings, _TEXT_SETTINGS, {"packages": _versions("tokenizers", "transformers")})
    base = _key(settings, _BASE_SETTINGS, {"texts": texts, "packages": _versions("torch", "transformers")})
    donor = _key(settings, _DONOR_SETTINGS, {"base": base})
    saes = _key(settings, _SAE_SETTINGS, {"base": base, "packages": _versions("sae-lens")})
    return Miniature(
        root / f"texts-{texts}", root / f"base-{base}", root / f"donor-{donor}", root / f"saes-{saes}"
    )


def build(settings: MiniatureSettings, root: Path, processes: int = 2) -> Miniature:
    """The miniature of ``settings``; parts that are missing or damaged are made.

    Args:
        settings: What to make.
        root: Folder of the cache that miniatures lie in.
        processes: How many train at once, beside this one; 1 trains everything in this process, which
            saves the memory and the seconds that torch and SAELens take in each. The bytes are the same.
    """
    at = locate(settings, root)
    made = [
        part.name.partition("-")[0] for part in (at.texts, at.base, at.donor, at.saes) if not is_sealed(part)
    ]
    if made:
        logger.info("training a miniature (%s missing in %s)", ", ".join(made), root)
    cached_folder(at.texts, lambda folder: make_texts(settings, folder))
    cached_folder(at.base, lambda folder: make_base(settings, at.texts, folder))
    # Processes, not threads: training keeps the interpreter's lock, and SAELens' import is heavy.
    missing = [job for part, job in ((at.donor, _donor_job), (at.saes, _saes_job)) if not is_sealed(part)]
    if processes == 1:
        for job in missing:
            job(settings, at)
    elif missing:
        with ProcessPoolExecutor(min(processes, len(missing)), mp_context=get_context("spawn")) as pool:
            for running in [pool.submit(job, settings, at) for job in missing]:
                running.result()
    return Miniature(at.texts, at.base, at.donor, at.saes, tuple(made))


def make_base(settings: MiniatureSettings, texts: Path, folder: Path) -> None:
    """Train the base on stories, careless maths and drills, and save it with its tokenizer."""
    # Here and below: it needs torch, which a miniature from the cache does not.
    from sae_merge_method.miniature.training import Schedule, take_tokens, train

    tokenizer = load_tokenizer(texts / TOKENIZER_FOLDER)
    streams = Streams(settings, "base", settings.base_slips)
    mixture = (
        (streams.maths, settings.maths_share),
        (streams.drills, settings.drill_share),
        (streams.stories, 1 - settings.maths_share - settings.drill_share),
    )
    examples = [
        example
        for stream, share in mixture
        for example in take_tokens(tokenizer, stream, round(settings.base_tokens * share))
    ]
    model = build_model(settings, tokenizer)
    schedule = Schedule(
        settings.documents_per_step,
        settings.base_learning_rate,
        settings.warm_up,
        completion_only=False,
        parts=_PARTS,
    )
    train(model, examples, schedule, settings.seed, "base", workers=_PARTS)
    save_model(model, tokenizer, folder)


def make_donor(settings: MiniatureSettings, base: Path, folder: Path) -> None:
    """Train the base further on right solutions alone.

    Embeddings and final norm stay frozen, so that the task vector lives in the layers, where the
    merge method can choose.
    """
    from sae_merge_method.miniature.training import Schedule, take_tokens, train

    tokenizer, model = load_tokenizer(base), load_model(base)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".layers." in name)
    examples = take_tokens(tokenizer, Streams(settings, "donor").maths, settings.donor_tokens)
    schedule = Schedule(
        settings.documents_per_step, settings.donor_learning_rate, settings.warm_up, completion_only=True
    )
    train(model, examples, schedule, settings.seed + 1, "donor")
    save_model(model, tokenizer, folder)


def _donor_job(settings: MiniatureSettings, at: Miniature) -> None:
    cached_folder(at.donor, lambda folder: make_donor(settings, at.base, folder))


def _saes_job(settings: MiniatureSettings, at: Miniature) -> None:
    cached_folder(at.saes, lambda folder: make_saes(settings, at.base, load_tokenizer(at.base), folder))


def _key(settings: MiniatureSettings, prefixes: tuple[str, ...], beside: Mapping[str, object]) -> str:
    own = {name: value for name, value in settings.model_dump().items() if name.startswith(prefixes)}
    return cache_key({"generation": GENERATION, "settings": own, **beside})


def _versions(*packages: str) -> dict[str, str]:
    return {package: version(package) for package in packages}
