"""Public suites of SAEs with one for every layer of a model: one row a model, and nothing else lists them.

Releases and ids are those of SAELens' table of releases; a test holds each row against it. Left out are
suites that cover a few layers only (Gemma Scope of Gemma 2 9B IT and 27B, those of gpt-oss, whose weights are
MXFP4 besides): a choice among three layers is none.
"""

from textwrap import indent
from typing import NamedTuple


class ListenedModel(NamedTuple):
    """A model whose every layer has a public SAE on its residual stream."""

    name: str
    """Of its ready files: ``diagnose/NAME`` and ``experiment/NAME``."""
    title: str
    """The model, for people."""
    model: str
    """Its id on the Hub."""
    suite: str
    """The suite, for people."""
    sae: str
    """Release of SAELens' table."""
    sae_id: str
    """Id of a layer's SAE within it, with ``{layer}``."""
    model_type: str
    """transformers' type of the text model; with the two sizes it tells a folder's model."""
    n_layers: int
    """Decoder layers."""
    d_model: int
    """Width of the residual stream."""

    @property
    def diagnosis(self) -> str:
        """Settings of ``sae-merge diagnose``."""
        return f"""\
# Which layers of {self.title} are specific to mathematics: {self.suite} SAEs on every layer.
#   sae-merge diagnose --config diagnose-{self.name}.yml --out diagnosis/
# Any option of the command overrides its line here (--device cpu, --max-documents 100, ...).
model: {self.model}
{_LISTENING.format(sae=self.sae, sae_id=self.sae_id)}"""

    @property
    def experiment(self) -> str:
        """Settings of ``sae-merge experiment``."""
        return f"""\
# {self.title} and a mathematics donor of yours: the pick, its controls, and what each does to general text
#   sae-merge experiment run experiment-{self.name}.yml --out exp/ --gpus 0 --gpus 1
base: {self.model}
donor: path/to/maths-finetune
diagnosis: # how to make it; or the folder of one that stands
{indent(_LISTENING.format(sae=self.sae, sae_id=self.sae_id), "  ")}{_EXPERIMENT}"""


_LISTENING = """\
sae: {sae}
sae_id: {sae_id}
target: HuggingFaceTB/finemath:finemath-4plus
control: HuggingFaceFW/fineweb:sample-10BT
max_documents: 1000
max_length: 512
dtype: bfloat16
"""
_EXPERIMENT = """\
select: top_k=6
weight: 1.0
random_layers: 20 # sets of as many other layers in as many runs at about the same depth, drawn at random
damping: [0.1, 0.25, 0.35, 0.5, 0.75] # weights of all layers: the curve that any choice of layers has to beat
all_but_the_last: 1 # layers left out of all layers at the same weights: the last is often the costliest
evaluation:
  model: hf # or vllm
  model_args: {dtype: bfloat16}
  tasks: minerva_math_sae
  batch_size: auto
general_loss:
  corpus: allenai/c4:en:validation
  max_documents: 300
  margin: 0.01 # nats a token: general text is unharmed where its loss is shown to change by less
"""


def _gemma_3(size: str, n_layers: int, d_model: int) -> tuple[ListenedModel, ...]:
    pretrained = "" if size == "270m" else "-pt"  # the smallest has no such ending
    return tuple(
        ListenedModel(
            name=f"gemma-3-{size}{ending}",
            title=f"Gemma 3 {size.upper()}{' IT' if of == 'it' else ''}",
            model=f"google/gemma-3-{size}{ending}",
            suite="Gemma Scope 2",
            sae=f"gemma-scope-2-{size}-{of}-res-all",
            sae_id="layer_{layer}_width_16k_l0_small",
            model_type="gemma3_text",
            n_layers=n_layers,
            d_model=d_model,
        )
        for of, ending in (("pt", pretrained), ("it", "-it"))
    )


def _gemma_2(size: str, n_layers: int, d_model: int) -> ListenedModel:
    return ListenedModel(
        name=f"gemma-2-{size}",
        title=f"Gemma 2 {size.upper()}",
        model=f"google/gemma-2-{size}",
        suite="Gemma Scope",
        sae=f"gemma-scope-{size}-pt-res-canonical",
        sae_id="layer_{layer}/width_16k/canonical",
        model_type="gemma2",
        n_layers=n_layers,
        d_model=d_model,
    )


def _qwen(model: str, width: str, model_type: str, n_layers: int, d_model: int) -> ListenedModel:
    name = model.lower()
    return ListenedModel(
        name=name,
        title=model.replace("-", " "),
        model=f"Qwen/{model}",
        suite="Qwen-Scope",
        sae=f"qwen-scope-{name.removeprefix('qwen').lstrip('-')}-{width}-l50",
        sae_id="layer{layer}",
        model_type=model_type,
        n_layers=n_layers,
        d_model=d_model,
    )


LISTENED: dict[str, ListenedModel] = {
    row.name: row
    for row in (
        *_gemma_3("270m", 18, 640),
        *_gemma_3("1b", 26, 1152),
        *_gemma_3("4b", 34, 2560),
        *_gemma_3("12b", 48, 3840),
        *_gemma_3("27b", 62, 5376),
        _gemma_2("2b", 26, 2304),
        _gemma_2("9b", 42, 3584),
        ListenedModel(
            name="llama-3.1-8b",
            title="Llama 3.1 8B",
            model="meta-llama/Llama-3.1-8B",
            suite="Llama Scope",
            sae="llama_scope_lxr_8x",
            sae_id="l{layer}r_8x",
            model_type="llama",
            n_layers=32,
            d_model=4096,
        ),
        _qwen("Qwen3-1.7B-Base", "w32k", "qwen3", 28, 2048),
        _qwen("Qwen3-8B-Base", "w64k", "qwen3", 36, 4096),
        _qwen("Qwen3-30B-A3B-Base", "w32k", "qwen3_moe", 48, 2048),
        _qwen("Qwen3.5-2B-Base", "w32k", "qwen3_5_text", 24, 2048),
        _qwen("Qwen3.5-9B-Base", "w64k", "qwen3_5_text", 32, 4096),
        _qwen("Qwen3.5-27B", "w80k", "qwen3_5_text", 64, 5120),
        _qwen("Qwen3.5-35B-A3B-Base", "w32k", "qwen3_5_moe_text", 40, 2048),
    )
}
"""All by name: a row here is all that a new one takes."""
