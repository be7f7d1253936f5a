"""Public suites of SAEs with one for every layer of a model: one row a model, and nothing else lists them.

Releases and ids are those of SAELens' table of releases; a test holds each row against it. Left out are
suites that cover a few layers only (Gemma Scope of Gemma 2 9B IT and 27B, those of gpt-oss, whose weights are
MXFP4 besides): a choice among three layers is none.
"""

from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import NamedTuple


class SuiteModel(NamedTuple):
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

    d_sae: int
    """Features of an SAE."""
    parameters: int | None = None
    """Numbers in its weights; None where the sizes in its config could not be looked up."""
    in_turns: bool = False
    """Whether it was trained to answer in a chat."""

    @property
    def diagnosis(self) -> str:
        """Settings of ``sae-merge diagnose``."""
        return f"""\
# Which layers of {self.title} are specific to mathematics: {self.suite} SAEs on every layer.
#   sae-merge diagnose --config diagnose-{self.name}.yml --out diagnosis/
# Any option of the command overrides its line here (--device cpu, --max-documents 100, ...).
model: {self.model}
{_texts(self, _MATHS)}"""

    @property
    def experiment(self) -> str:
        """Settings of ``sae-merge experiment``."""
        opening = (
            f"{self.title} and a mathematics donor of yours: the pick, its controls, and what each does to "
            "general text",
            f"  sae-merge experiment run experiment-{self.name}.yml --out exp/ --gpus 0 --gpus 1",
        )
        measuring = _MEASURED_IN_TURNS if self.in_turns else _MEASURED
        return experiment_text(opening, self, "path/to/maths-finetune", _MATHS, measuring)


class DiagnosisTexts(NamedTuple):
    """The texts of a diagnosis."""

    target: str
    """Text of the ability."""
    control: tuple[str, ...]
    """Texts of other kinds."""
    text_field: str = "text"
    """Column of each that holds its text: the first of these that it has."""


class Measuring(NamedTuple):
    """What an ability is measured by."""

    tasks: str
    """lm-eval's tasks, or ours."""
    metric: str
    """Of theirs, the one that arms are judged by."""
    more: Mapping[str, str] = {}
    """Other keys of an experiment's evaluation."""
    about: Sequence[str] = ()
    """Lines that stand above as comments."""


_MATHS = DiagnosisTexts("HuggingFaceTB/finemath:finemath-4plus", ("HuggingFaceFW/fineweb:sample-10BT",))
_MEASURED = Measuring("minerva_math_sae", "exact_match")
_MEASURED_IN_TURNS = Measuring(
    f"{_MEASURED.tasks} # in a chat: minerva_math_sae_chat",
    f"{_MEASURED.metric} # in a chat: math_verify",
    {"apply_chat_template": "false # in a chat: true"},
    about=(
        "This model answers in turns, and is asked here as a base model is, behind four solved problems. To",
        'ask it in its chat template, as the manual does, write what stands behind "in a chat" into these',
        "three keys: an answer may then have 2,048 tokens, not 256. How one is asked that thinks first, and",
        "takes more, stands in the README.md of minerva_math_sae_chat (sae-merge tasks-path prints where).",
    ),
)


def experiment_text(
    opening: Sequence[str], base: SuiteModel, donor: str, texts: DiagnosisTexts, measuring: Measuring
) -> str:
    """Settings of ``sae-merge experiment``.

    Args:
        opening: Lines that stand above as comments; the first says what it is.
        base: The model, and its SAEs.
        donor: What the files are to name as the donor.
        texts: Texts to find the layers by.
        measuring: Tasks to judge the arms by.
    """
    more = "".join(f"  {key}: {value}\n" for key, value in measuring.more.items())
    comments, about = ("".join(f"# {line}\n" for line in lines) for lines in (opening, measuring.about))
    return f"""\
{comments}base: {base.model}
donor: {donor}
diagnosis: # how to make it; or the folder of one that stands
{indent(_texts(base, texts), "  ")}select: top_k=6
weight: 1.0
random_layers: 20 # sets of as many other layers in as many runs at about the same depth, drawn at random
damping: [0.1, 0.25, 0.35, 0.5, 0.75] # weights of all layers: the curve that any choice of layers has to beat
all_but_the_last: 1 # layers left out of all layers at the same weights: the last is often the costliest
{about}metric: {measuring.metric}
evaluation:
  model: hf # or vllm
  model_args: {{dtype: bfloat16}}
  tasks: {measuring.tasks}
  batch_size: auto
{more}general_loss:
  corpus: allenai/c4:en:validation
  max_documents: 300
  margin: 0.01 # nats a token: general text is unharmed where its loss is shown to change by less
"""


def _texts(model: SuiteModel, texts: DiagnosisTexts) -> str:
    control = texts.control[0] if len(texts.control) == 1 else f"[{', '.join(texts.control)}]"
    field = "" if texts.text_field == "text" else f"text_field: {texts.text_field}\n"
    return f"""\
sae: {model.sae}
sae_id: {model.sae_id}
target: {texts.target}
control: {control}
{field}max_documents: 1000
max_length: 512
dtype: bfloat16
"""


def _gemma_3(size: str, n_layers: int, d_model: int, parameters: int) -> tuple[SuiteModel, ...]:
    pretrained = "" if size == "270m" else "-pt"  # the smallest has no such ending
    return tuple(
        SuiteModel(
            name=f"gemma-3-{size}{ending}",
            title=f"Gemma 3 {size.upper()}{' IT' if of == 'it' else ''}",
            model=f"google/gemma-3-{size}{ending}",
            suite="Gemma Scope 2",
            sae=f"gemma-scope-2-{size}-{of}-res-all",
            sae_id="layer_{layer}_width_16k_l0_small",
            model_type="gemma3_text",
            n_layers=n_layers,
            d_model=d_model,
            d_sae=16_384,
            parameters=parameters,
            in_turns=of == "it",
        )
        for of, ending in (("pt", pretrained), ("it", "-it"))
    )


def _gemma_2(size: str, n_layers: int, d_model: int, parameters: int) -> SuiteModel:
    return SuiteModel(
        name=f"gemma-2-{size}",
        title=f"Gemma 2 {size.upper()}",
        model=f"google/gemma-2-{size}",
        suite="Gemma Scope",
        sae=f"gemma-scope-{size}-pt-res-canonical",
        sae_id="layer_{layer}/width_16k/canonical",
        model_type="gemma2",
        n_layers=n_layers,
        d_model=d_model,
        d_sae=16_384,
        parameters=parameters,
    )


def _qwen(
    model: str, width: int, model_type: str, n_layers: int, d_model: int, parameters: int | None = None
) -> SuiteModel:
    name = model.lower()
    return SuiteModel(
        name=name,
        title=model.replace("-", " "),
        model=f"Qwen/{model}",
        suite="Qwen-Scope",
        sae=f"qwen-scope-{name.removeprefix('qwen').lstrip('-')}-w{width}k-l50",
        sae_id="layer{layer}",
        model_type=model_type,
        n_layers=n_layers,
        d_model=d_model,
        d_sae=1024 * width,
        parameters=parameters,
        in_turns=not model.endswith("-Base"),
    )


SUITE_MODELS: dict[str, SuiteModel] = {
    row.name: row
    for row in (
        *_gemma_3("270m", 18, 640, 268_098_176),
        *_gemma_3("1b", 26, 1152, 999_885_952),
        *_gemma_3("4b", 34, 2560, 4_300_079_472),
        *_gemma_3("12b", 48, 3840, 12_187_325_040),
        *_gemma_3("27b", 62, 5376, 27_432_406_640),
        _gemma_2("2b", 26, 2304, 2_614_341_888),
        _gemma_2("9b", 42, 3584, 9_241_705_984),
        SuiteModel(
            name="llama-3.1-8b",
            title="Llama 3.1 8B",
            model="meta-llama/Llama-3.1-8B",
            suite="Llama Scope",
            sae="llama_scope_lxr_8x",
            sae_id="l{layer}r_8x",
            model_type="llama",
            n_layers=32,
            d_model=4096,
            d_sae=32_768,
            parameters=8_030_261_248,
        ),
        _qwen("Qwen3-1.7B-Base", 32, "qwen3", 28, 2048, 1_720_574_976),
        _qwen("Qwen3-8B-Base", 64, "qwen3", 36, 4096, 8_190_735_360),
        _qwen("Qwen3-30B-A3B-Base", 32, "qwen3_moe", 48, 2048, 30_532_122_624),
        _qwen("Qwen3.5-2B-Base", 32, "qwen3_5_text", 24, 2048),
        _qwen("Qwen3.5-9B-Base", 64, "qwen3_5_text", 32, 4096),
        _qwen("Qwen3.5-27B", 80, "qwen3_5_text", 64, 5120),
        _qwen("Qwen3.5-35B-A3B-Base", 32, "qwen3_5_moe_text", 40, 2048),
    )
}
"""All by name: a row here is all that a new one takes."""
