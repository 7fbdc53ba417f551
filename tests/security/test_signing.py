import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from lepton_ai.core.errors import Corrupt
from lepton_ai.security import public_key, sign, statement, verify
from lepton_ai.security.signing import _encoding
from lepton_ai.storage import Workspace

PAYLOAD = statement({"model.onnx": "ab" * 32}, "https://lepton.ai/bundle/v1", {"model": "m:1"})


def test_a_signed_payload_comes_back(workspace: Workspace) -> None:
    assert verify(workspace, sign(workspace, PAYLOAD)) == PAYLOAD


def test_the_encoding_is_that_of_the_dsse_specification() -> None:
    # The test vector of the protocol's own document.
    assert (
        _encoding(b"hello world", "http://example.com/HelloWorld")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_anyone_can_check_with_the_public_key_alone(workspace: Workspace) -> None:
    envelope = json.loads(sign(workspace, PAYLOAD))
    assert set(envelope) == {"payload", "payloadType", "signatures"}
    key = load_pem_public_key(public_key(workspace).encode())
    assert isinstance(key, Ed25519PublicKey)
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    assert kind == "application/vnd.in-toto+json"
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    assert json.loads(payload)["subject"] == [
        {"name": "model.onnx", "digest": {"sha256": "ab" * 32}}
    ]


def test_a_signature_holds_after_key_rotation_and_restart(workspace: Workspace) -> None:
    envelope = sign(workspace, PAYLOAD)
    workspace.keys.rotate()
    workspace.close()
    again = Workspace.open(workspace.home)
    assert verify(again, envelope) == PAYLOAD
    again.close()


@pytest.mark.parametrize("position", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_an_altered_envelope_is_refused(workspace: Workspace, position: float) -> None:
    envelope = bytearray(sign(workspace, PAYLOAD))
    envelope[int(len(envelope) * position)] ^= 1
    with pytest.raises(Corrupt):
        verify(workspace, bytes(envelope))


def test_an_exchanged_payload_or_signature_is_refused(workspace: Workspace) -> None:
    one = json.loads(sign(workspace, PAYLOAD))
    other = json.loads(sign(workspace, b"other"))
    for field in ("payload", "signatures"):
        mixed = one | {field: other[field]}
        with pytest.raises(Corrupt, match="no signature"):
            verify(workspace, json.dumps(mixed).encode())
    with pytest.raises(Corrupt, match="no signature"):
        verify(workspace, json.dumps(one | {"signatures": []}).encode())


def test_another_workspaces_signature_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    other = Workspace.open(tmp_path / "other")
    envelope = sign(other, PAYLOAD)
    other.close()
    with pytest.raises(Corrupt, match="another workspace signed it"):
        verify(workspace, envelope)


def test_another_type_of_payload_is_refused(workspace: Workspace) -> None:
    envelope = sign(workspace, PAYLOAD, "text/plain")
    assert verify(workspace, envelope, "text/plain") == PAYLOAD
    with pytest.raises(Corrupt, match="of type 'text/plain'"):
        verify(workspace, envelope)


@pytest.mark.parametrize(
    "envelope",
    [b"", b"{}", b"[]", b'{"payload": "*", "payloadType": "x", "signatures": []}', b"\xff"],
)
def test_a_malformed_envelope_is_refused(workspace: Workspace, envelope: bytes) -> None:
    with pytest.raises(Corrupt, match="malformed"):
        verify(workspace, envelope)
