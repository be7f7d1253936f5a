"""What is asked of vLLM, where it cannot be installed: held against the signatures of lm-eval's own class for it."""

import ast
import inspect
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.evaluation.harness import Harness
from sae_merge_method.evaluation.settings import BACKENDS, EvaluationSettings

SOURCE = Path(sysconfig.get_path("purelib")) / "lm_eval" / "models" / "vllm_causallms.py"


def members() -> dict[str, ast.FunctionDef]:
    """The methods of lm-eval's class, read and not imported: its module begins with an import of vllm."""
    (found,) = [
        node
        for node in ast.parse(SOURCE.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "VLLM"
    ]
    return {node.name: node for node in found.body if isinstance(node, ast.FunctionDef)}


def signature(name: str) -> inspect.Signature:
    method = members()[name]
    kinds = inspect.Parameter
    count = len(method.args.args) - len(method.args.defaults)
    plain = [
        kinds(arg.arg, kinds.POSITIONAL_OR_KEYWORD, default=kinds.empty if i < count else None)
        for i, arg in enumerate(method.args.args)
    ]
    rest = [kinds(method.args.kwarg.arg, kinds.VAR_KEYWORD)] if method.args.kwarg else []
    return inspect.Signature([*plain, *rest])


def test_a_model_is_loaded_by_arguments_that_its_class_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval.api import registry
    from lm_eval.api.model import TemplateLM

    asked: dict[str, Any] = {}

    class Named(TemplateLM):  # lm-eval's own way from arguments to a model, up to the constructor
        def __init__(self, **arguments: Any) -> None:
            asked.update(signature("__init__").bind(self, **arguments).arguments)

    Named.__abstractmethods__ = frozenset()
    monkeypatch.setattr(registry, "get_model", lambda name: {"vllm": Named}[name])
    monkeypatch.setitem(BACKENDS, "vllm", BACKENDS["vllm"]._replace(package="lm_eval"))
    more = {"dtype": "bfloat16", "max_model_len": 4096, "tensor_parallel_size": 2}
    settings = EvaluationSettings(
        model="vllm", model_args={**more, "gpu_memory_utilization": 0.8}, batch_size="auto"
    )
    Harness(settings, "./base").load("owner/base@main")
    assert asked.pop("self") is not None
    # What it does not name goes on to vLLM itself: nothing but what the user wrote for that.
    assert asked.pop("kwargs") == {"gpu_memory_utilization": 0.8}
    assert asked == {"pretrained": "owner/base", "revision": "main", "batch_size": "auto", **more}


def test_general_text_is_scored_by_methods_that_it_has() -> None:
    assert {"tok_encode", "loglikelihood", "prefix_token_id", "max_length"} <= members().keys()
    signature("tok_encode").bind(None, "text", add_special_tokens=False)
    signature("loglikelihood").bind(None, [])
    assert all(
        ast.unparse(members()[name].decorator_list[0]) == "property"
        for name in ("prefix_token_id", "max_length")
    )
