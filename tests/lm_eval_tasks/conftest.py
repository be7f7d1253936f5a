"""A working folder with the benchmark's seven subjects in miniature, and a model that answers them.

The model is a real Gemma 3 whose blocks add nothing, so that the next token depends on the
last one alone, and whose vocabulary has whole sentences as single tokens: it says one
sentence after "Solution:", another after a turn marker, and nothing has to be trained.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

SUBJECTS = {
    "algebra": "algebra",
    "counting_and_prob": "counting_and_probability",
    "geometry": "geometry",
    "intermediate_algebra": "intermediate_algebra",
    "num_theory": "number_theory",
    "prealgebra": "prealgebra",
    "precalc": "precalculus",
}
SAID = " Two and two.\nFinal Answer: The final answer is $4$. I hope it is correct."
SAID_IN_TURN = "Problem: the sum of two and two. It is $\\boxed{4}$."
TURN_END = "<end_of_turn>"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n"
    "{{ message['content'] }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


class Bench(NamedTuple):
    """Where lm-eval runs, and the model it runs."""

    folder: Path
    model: Path


def problems(index: int) -> list[dict[str, str]]:
    """``index + 2`` problems of one subject, of which the first ``index`` have the answer 4."""
    answers = [4] * index + [7, 70 + index]
    return [
        {
            "problem": f"What is {answer - k} + {k}?",
            "level": "Level 1",
            "type": "Sums",
            "solution": f"It is $\\boxed{{{answer}}}$.",
        }
        for k, answer in enumerate(answers)
    ]


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    write_benchmark(folder / "EleutherAI" / "hendrycks_math")
    write_requests(folder / "bench-llm" / "or-bench")
    write_model(folder / "model")
    return Bench(folder, folder / "model")


@pytest.fixture(scope="module")
def in_bench(bench: Bench) -> Iterator[Bench]:
    """This process works in the bench's folder, and keeps its dataset cache there."""
    import datasets

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(bench.folder)
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(bench.folder / "cache"))
        yield bench


@pytest.fixture(scope="session")
def manager() -> Any:
    """Of lm-eval's own tasks only those that ours are made from: to read them all takes many seconds."""
    import lm_eval.tasks
    from lm_eval.tasks import TaskManager

    from sae_merge_method.lm_eval_tasks import tasks_path

    theirs = Path(lm_eval.tasks.__path__[0]) / "minerva_math"
    return TaskManager(include_path=[str(theirs), str(tasks_path())], include_defaults=False)


def write_benchmark(folder: Path) -> None:
    lines = ["---", "configs:"]
    for index, name in enumerate(SUBJECTS.values()):
        (folder / name).mkdir(parents=True)
        rows = "".join(json.dumps(row) + "\n" for row in problems(index))
        for split in ("train", "test"):
            (folder / name / f"{split}.jsonl").write_text(rows)
        lines += [f"- config_name: {name}", "  data_files:"]
        lines += [f"  - {{split: {split}, path: {name}/{split}.jsonl}}" for split in ("train", "test")]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))


def write_requests(folder: Path) -> None:
    """Two requests of each kind, as OR-Bench has them."""
    folder.mkdir(parents=True)
    lines = ["---", "configs:"]
    for name in ("or-bench-toxic", "or-bench-hard-1k"):
        rows = "".join(f'{{"prompt": "{name} {i}", "category": "harmful"}}\n' for i in range(2))
        (folder / f"{name}.jsonl").write_text(rows)
        lines += [f"- config_name: {name}", f"  data_files: {name}.jsonl"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))


def write_model(folder: Path) -> None:
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", TURN_END]
    core.add_special_tokens([AddedToken(text, special=True) for text in special])
    core.add_tokens([AddedToken(SAID, normalized=False), AddedToken(SAID_IN_TURN, normalized=False)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)

    token = {text: core.token_to_id(text) for text in (*special, SAID, SAID_IN_TURN)}
    newline = core.encode("\n").ids[0]
    says = {newline: SAID_IN_TURN, token[SAID]: "<eos>", token[SAID_IN_TURN]: TURN_END}
    config = Gemma3TextConfig(
        vocab_size=core.get_vocab_size(), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, head_dim=16, max_position_embeddings=8192,
        tie_word_embeddings=False, pad_token_id=token["<pad>"], eos_token_id=token["<eos>"],
        bos_token_id=token["<bos>"],
    )  # fmt: skip
    model = Gemma3ForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        # Each token has the direction of what follows it; after most of them that is SAID.
        follows = torch.tensor([token[says.get(i, SAID)] for i in range(config.vocab_size)])
        for direction, then in enumerate(follows.unique()):
            model.get_input_embeddings().weight[follows == then, direction] = 1.0
            model.lm_head.weight[then, direction] = 1.0
    model.save_pretrained(folder)
