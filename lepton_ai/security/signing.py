"""Signatures: Ed25519 (RFC 8032) in DSSE envelopes, about in-toto statements.

Sources: DSSE v1.0.2 (github.com/secure-systems-lab/dsse) and the in-toto attestation
framework v1 (github.com/in-toto/attestation). Any tool that knows these formats can check a
bundle with the public key alone.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from lepton_ai.core.errors import Corrupt
from lepton_ai.storage import Workspace

__all__ = ["IN_TOTO", "public_key", "sign", "statement", "verify"]

IN_TOTO = "application/vnd.in-toto+json"
_SECRET = "signing"  # noqa: S105 (the name of the secret, not the secret)


class _Signature(Struct):
    keyid: str
    sig: str


class _Envelope(Struct, rename="camel"):
    payload: str
    payload_type: str
    signatures: list[_Signature]


def sign(workspace: Workspace, payload: bytes, payload_type: str = IN_TOTO) -> bytes:
    """Sign bytes with the workspace's key and return the DSSE envelope, as JSON.

    Args:
        payload_type: a media type; it is signed too.
    """
    key = _private_key(workspace)
    signature = key.sign(_encoding(payload, payload_type))
    keyid = _key_id(key.public_key())
    return msgspec.json.encode(
        _Envelope(
            base64.b64encode(payload).decode(),
            payload_type,
            [_Signature(keyid, base64.b64encode(signature).decode())],
        )
    )


def verify(workspace: Workspace, envelope: bytes, payload_type: str = IN_TOTO) -> bytes:
    """Return the payload of an envelope that this workspace signed.

    Raises:
        Corrupt: the envelope is malformed, of another type, altered, or signed by another key.
    """
    try:
        parsed = msgspec.json.decode(envelope, type=_Envelope)
        payload = base64.b64decode(parsed.payload, validate=True)
        signatures = [base64.b64decode(one.sig, validate=True) for one in parsed.signatures]
    except ValueError as error:
        raise Corrupt(f"the signature envelope is malformed: {error}") from error
    if parsed.payload_type != payload_type:
        raise Corrupt(
            f"the signed payload is of type {parsed.payload_type!r}, not {payload_type!r}"
        )
    key = _private_key(workspace).public_key()
    signed = _encoding(payload, payload_type)
    if not any(_holds(key, signature, signed) for signature in signatures):
        raise Corrupt(
            f"no signature of the envelope is valid under this workspace's key {_key_id(key)}: "
            "its content was altered, or another workspace signed it"
        )
    return payload


def public_key(workspace: Workspace) -> str:
    """Return the workspace's public key in PEM, for anyone who wants to check its bundles."""
    key = _private_key(workspace).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def statement(
    subjects: Mapping[str, str], predicate_type: str, predicate: Mapping[str, Any]
) -> bytes:
    """Return an in-toto statement (v1) as JSON: what is said about files with these digests.

    Args:
        subjects: file name -> SHA-256 in hexadecimal.
        predicate_type: a URI that tells how to read the predicate.
        predicate: what is said.
    """
    return msgspec.json.encode(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {"name": name, "digest": {"sha256": digest}}
                for name, digest in sorted(subjects.items())
            ],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def _private_key(workspace: Workspace) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(workspace.keys.secret(_SECRET))


def _key_id(key: Ed25519PublicKey) -> str:
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()


def _holds(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _encoding(payload: bytes, payload_type: str) -> bytes:
    """DSSE's pre-authentication encoding, which makes type and payload unambiguous."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
