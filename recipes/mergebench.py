"""Experiments with MergeBench's donors (arXiv 2505.10833): one a domain and base, with nothing to fill in.

A row of ``DOMAINS`` is a domain: the text of its diagnosis, and lm-eval's tasks that measure it. ``BASES``
are those of its bases whose every layer has a public SAE: not Llama 3.2 3B, nor the instruction-tuned ones.
Donors are called as MergeBench's own code calls them (``merging/main.py``): the base's name, an underscore,
the domain.
"""

from typing import NamedTuple

from sae_merge_method.recipes.suites import (
    SUITE_MODELS,
    DiagnosisTexts,
    Measuring,
    SuiteModel,
    experiment_text,
)

_PROSE = "HuggingFaceFW/fineweb:sample-10BT"
_REQUESTS = "databricks/databricks-dolly-15k"
_LANGUAGES = ("fr", "es", "de", "ru")
"""Those that MergeBench evaluates."""


class Domain(NamedTuple):
    """A domain of MergeBench."""

    name: str
    """As the donors' names end."""
    title: str
    """The ability, for people."""
    texts: DiagnosisTexts
    """Text that is specific to it, and text that is not."""
    measuring: Measuring
    """What it is measured by."""
    takes: str = ""
    """What has to be installed, or known, before."""


DOMAINS: dict[str, Domain] = {
    domain.name: domain
    for domain in (
        Domain(
            "math",
            "mathematics",
            DiagnosisTexts("HuggingFaceTB/finemath:finemath-4plus", (_PROSE,)),
            Measuring("minerva_math_sae", "exact_match"),
        ),
        Domain(
            "coding",
            "code",
            DiagnosisTexts("codeparrot/codeparrot-clean-valid", (_PROSE,), "content,text"),
            Measuring(
                "mbpp", "pass_at_1", {"confirm_run_unsafe_code": "false # true allows mbpp to run programs"}
            ),
            "mbpp runs the programs that the models write, here and with your rights: use a container, "
            "and allow it below.",
        ),
        Domain(
            "multilingual",
            "languages",
            DiagnosisTexts("HuggingFaceFW/fineweb-2:fra_Latn", (_PROSE,)),
            Measuring(
                ",".join(
                    f"{task}_{language}" for task in ("arc", "hellaswag", "m_mmlu") for language in _LANGUAGES
                ),
                "acc",
                {"limit": "300"},
            ),
            "Diagnosed on French alone, measured on French, Spanish, German and Russian.",
        ),
        Domain(
            "safety",
            "refusal",
            DiagnosisTexts("LibrAI/do-not-answer", (_REQUESTS, _PROSE), "question,instruction,text"),
            Measuring("refusal_sae", "acc"),
            "Refusal and over-refusal, told by wording: the README.md of refusal_sae says how.",
        ),
        Domain(
            "instruction",
            "instruction following",
            DiagnosisTexts(
                "allenai/tulu-3-sft-personas-instruction-following",
                (_REQUESTS, _PROSE),
                "prompt,instruction,text",
            ),
            Measuring("ifeval", "prompt_level_strict_acc"),
            "ifeval takes: pip install 'lm-eval[ifeval]'",
        ),
    )
}
"""All by name."""
BASES = tuple(SUITE_MODELS[name] for name in ("gemma-2-2b", "gemma-2-9b", "llama-3.1-8b"))


def donor_of(base: SuiteModel, domain: Domain) -> str:
    """The donor's id on the Hub."""
    return f"MergeBench/{base.model.rpartition('/')[2]}_{domain.name}"


def experiments() -> dict[str, str]:
    """Settings of ``sae-merge experiment`` by name, one a base and domain."""
    return {
        name: experiment_text(
            (
                f"{base.title} and MergeBench's donor of {domain.title}, with nothing to fill in",
                f"  sae-merge experiment plan experiment-{name}.yml --out exp/   # what it takes, can show",
                f"  sae-merge experiment run experiment-{name}.yml --out exp/",
                *([domain.takes] if domain.takes else ()),
            ),
            base,
            donor_of(base, domain),
            domain.texts,
            domain.measuring,
        )
        for base in BASES
        for domain in DOMAINS.values()
        for name in (f"mergebench-{base.name}-{domain.name}",)
    }
