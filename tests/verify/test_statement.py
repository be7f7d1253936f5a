"""A statement says what was proved of which weight files; it can be signed with a key, and a change is noticed."""

import base64
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.edit_report import read_edit_report
from sae_merge_method.artifacts.statement import PREDICATE_TYPE, read_statement
from sae_merge_method.cli.verify import command
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.recipes import recipe_text, run_recipe
from tests.verify.conftest import Q_PROJ, flip_one_bit, rewrite

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(
    OPENSSL is None, reason="openssl, which signs with a local key, is not here"
)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def stated(out: Path) -> dict[str, Any]:
    result = CliRunner().invoke(command, [str(out), "--statement", str(out / "out.intoto.json")])
    assert result.exit_code == 0, result.output
    assert result.output.endswith(f"{out / 'out.intoto.json'}\n")
    value: dict[str, Any] = json.loads((out / "out.intoto.json").read_text())
    return value


def test_a_statement_is_in_totos_and_its_subject_is_every_weight_file_by_sha256(tmp_path):
    base, donor = (tiny.gemma3_text(tmp_path / name, seed, shards=3) for seed, name in enumerate("bd"))
    run_recipe(recipe_text(base, donor), tmp_path / "out")
    statement = stated(tmp_path / "out")
    assert list(statement) == ["_type", "subject", "predicateType", "predicate"]
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == PREDICATE_TYPE
    shards = sorted((tmp_path / "out").glob("*.safetensors"))
    assert len(shards) == 3
    assert statement["subject"] == [{"name": one.name, "digest": {"sha256": sha256(one)}} for one in shards]


def test_the_predicate_says_recipe_models_and_what_was_proved_and_names_no_folder_of_ours(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    (out / "notes.txt").touch()
    predicate = stated(out)["predicate"]
    report = verify(out)
    assert predicate["recipe"] == {
        "name": "mergekit_config.yml",
        "digest": {"sha256": sha256(out / "mergekit_config.yml")},
    }
    assert (predicate["layers"], predicate["n_layers"]) == ([1, 3], 4)
    assert predicate["result_sha256"] == read_edit_report(out).result_sha256 == report.result_sha256
    assert [one["role"] for one in predicate["against"]] == ["base", "donor"]
    assert predicate["against"][0]["tensors_sha256"] == report.against[0].tensors_sha256
    assert tuple(predicate["proved"]) == report.proved
    assert predicate["not_proved"] == ["what else lies in the folder: notes.txt"]
    assert {"name": "config.json", "sha256": sha256(out / "config.json")} in predicate["beside"]
    assert str(out) not in json.dumps(predicate)


def test_the_same_audit_writes_the_same_bytes_and_is_read_back(tmp_path, merged):
    first, second = tmp_path / "a.intoto.json", tmp_path / "b.intoto.json"
    for file in (first, second):
        verify(merged.out, statement=file)
    assert first.read_bytes() == second.read_bytes()
    assert read_statement(first).predicate.merge_method == "sae_stethoscope"


def test_nothing_is_stated_of_what_is_violated(tmp_path, merged):
    out = rewrite(merged.copy(tmp_path / "out"), flip_one_bit(Q_PROJ))
    file = tmp_path / "out.intoto.json"
    result = CliRunner().invoke(command, [str(out), "--statement", str(file)])
    assert result.exit_code == 1
    assert result.output.endswith(f"{file} was not written\n")
    assert not file.exists()


def openssl(*words: str | Path) -> int:
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *map(str, words)], capture_output=True, check=False).returncode


@pytest.fixture
def key(tmp_path: Path) -> Path:
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    assert openssl("genpkey", "-algorithm", "ed25519", "-out", private) == 0
    assert openssl("pkey", "-in", private, "-pubout", "-out", public) == 0
    return private


def is_signed(text: Path, signature: Path, key: Path) -> bool:
    words = ("-pubin", "-inkey", key.with_suffix(".pub"), "-rawin", "-in", text, "-sigfile", signature)
    return openssl("pkeyutl", "-verify", *words) == 0


@needs_openssl
def test_a_statement_is_signed_with_a_local_key_as_the_readme_shows_and_a_changed_one_is_noticed(
    tmp_path, merged, key
):
    file = tmp_path / "out.intoto.json"
    verify(merged.out, statement=file)
    signature = tmp_path / "out.intoto.json.sig"
    assert openssl("pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", file, "-out", signature) == 0
    assert is_signed(file, signature, key)
    file.write_text(file.read_text().replace("26 edited", "27 edited"))
    assert not is_signed(file, signature, key)


@needs_openssl
def test_a_statement_goes_into_a_dsse_envelope_as_other_tools_of_in_toto_expect_it(tmp_path, merged, key):
    """The envelope's signature is over DSSE's pre-authentication encoding of type and payload."""
    file = tmp_path / "out.intoto.json"
    verify(merged.out, statement=file)
    kind, payload = b"application/vnd.in-toto+json", file.read_bytes()
    encoded, signature = tmp_path / "pae", tmp_path / "sig"
    encoded.write_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
    assert openssl("pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", encoded, "-out", signature) == 0
    envelope = {
        "payloadType": kind.decode(),
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"sig": base64.b64encode(signature.read_bytes()).decode()}],
    }
    opened = json.loads(base64.b64decode(json.loads(json.dumps(envelope))["payload"]))
    assert is_signed(encoded, signature, key)
    (weights,) = opened["subject"]
    assert weights["digest"]["sha256"] == sha256(merged.out / weights["name"])
