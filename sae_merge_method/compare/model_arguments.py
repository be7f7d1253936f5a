"""Arguments of backends (model_args) and of generation: what another value does to a score; defaults.

A row an argument; ``conditions`` takes them into its table. Names and defaults are those of ``hf``, ``vllm``,
``sglang`` and the API models of lm-eval 0.4.2 to 0.4.13; what the backends pass on to transformers and vLLM
is listed where it is common, and so are those of inspect_ai.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple


class Argument(NamedTuple):
    """One argument of a backend."""

    name: str
    effect: str
    """``refuse``, ``mark`` or ``ignore``: see ``conditions.Effect``."""
    default: Any = None
    """What leaving it out means."""


_DEFAULTS: dict[str, Any] = {
    "dtype": "auto",
    "max_gen_toks": 256,
    "backend": "default",
    "truncation_side": "left",
    "tokenizer_mode": "auto",
    "tokenizer_backend": "huggingface",
    "kv_cache_dtype": "auto",
    "load_format": "auto",
    "tokenized_requests": True,
    "use_fast_tokenizer": True,
    "batch_size": 1,
    "max_batch_size": 64,
    "seed": 1234,
    **dict.fromkeys(
        [
            "truncation",
            "truncate",
            "load_in_4bit",
            "load_in_8bit",
            "autogptq",
            "gptqmodel",
            "enforce_eager",
            "bnb_4bit_use_double_quant",
        ],
        False,
    ),
}
_EFFECTS = {
    # Precision and quantisation; what the model is asked and how long it may answer; how tokens are chosen.
    "refuse": (
        "dtype torch_dtype tokenizer_call_args softmax_dtype mixed_precision_dtype load_in_4bit "
        "load_in_8bit bnb_4bit_compute_dtype "
        "bnb_4bit_quant_type bnb_4bit_use_double_quant llm_int8_threshold quantization quantization_config "
        "autogptq gptqmodel kv_cache_dtype max_gen_toks max_length max_model_len context_length truncation "
        "truncate truncation_side add_bos_token prefix_token_id custom_prefix_token_id eos_string "
        "enable_thinking think_end_token chat_template chat_template_args reasoning_parser "
        "tokenized_requests backend generation_config temperature top_p top_k min_p do_sample "
        "repetition_penalty rope_scaling rope_theta sliding_window hf_overrides speculative_config"
    ),
    # Another kernel, another padding, another copy of what should be the same tokenizer.
    "mark": (
        "batch_size max_batch_size attn_implementation use_flash_attention_2 enforce_eager max_num_seqs "
        "max_num_batched_tokens enable_prefix_caching enable_chunked_prefill attention_backend seed "
        "tokenizer tokenizer_path chunked_prefill_size "
        "tokenizer_backend tokenizer_mode tokenizer_revision use_fast_tokenizer base_url gguf_file "
        "load_format torch_compile"
    ),
    # The model itself; where it runs and how it is spread; credentials and patience.
    "ignore": (
        "pretrained model model_path peft lora_local_path delta engine path revision subfolder code_revision "
        "parallelize device device_map device_map_option max_memory_per_gpu max_cpu_memory "
        "offload_folder tp_plan gpus "
        "tensor_parallel_size data_parallel_size pipeline_parallel_size tp_size dp_size pp_size "
        "distributed_executor_backend worker_use_ray gpu_memory_utilization mem_fraction_static swap_space "
        "cpu_offload_gb enable_lora max_lora_rank trust_remote_code low_cpu_mem_usage "
        "use_safetensors hidden_states api_key "
        "local_files_only cache_dir download_dir token auth_token header verify_certificate "
        "ca_cert_path num_concurrent max_retries timeout logits_cache disable_log_stats max_images"
    ),
}

ARGUMENTS: dict[str, Argument] = {
    name: Argument(name, effect, _DEFAULTS.get(name))
    for effect, names in _EFFECTS.items()
    for name in names.split()
}

_GENERATION = {
    "refuse": (
        "max_tokens system_message temperature top_p top_k best_of frequency_penalty presence_penalty "
        "logit_bias stop_seqs num_choices reasoning_effort reasoning_tokens reasoning_history "
        "response_schema extra_body effort verbosity modalities max_tool_output internal_tools "
        "parallel_tool_calls"
    ),
    "mark": "seed cache_prompt logprobs top_logprobs prompt_logprobs batch",
    "ignore": (
        "max_retries timeout attempt_timeout max_connections adaptive_connections reasoning_summary cache "
        "extra_headers"
    ),
}
"""Settings of inspect_ai's generation (its ``GenerateConfig``)."""

GENERATION: dict[str, Argument] = {
    name: Argument(name, effect) for effect, names in _GENERATION.items() for name in names.split()
}

_TYPES = {"half": "float16", "fp16": "float16", "bf16": "bfloat16", "float": "float32", "fp32": "float32"}


def plain_value(value: Any) -> Any:
    """A value as it compares: lm-eval's versions write numbers, booleans and types as text or as such."""
    if isinstance(value, Mapping):
        return {str(key): plain_value(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain_value(one) for one in value]
    if not isinstance(value, str):
        return value
    text = value.removeprefix("torch.")
    if text in ("True", "true", "False", "false"):
        return text in ("True", "true")
    if text in ("None", "null"):
        return None
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(r"-?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?", text):
        return float(text)
    return _TYPES.get(text, text)
