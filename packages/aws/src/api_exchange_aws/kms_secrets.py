"""Secrets that a key of KMS has encrypted, and that are deployed as ciphertext."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from typing_extensions import override

from api_exchange_aws.errors import DENIED, code_of, translated
from api_exchange_core.ports.secret_source import SecretSource

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_MEND: Final[Mapping[str, str]] = {  # Decrypt, "Errors"
    "DisabledException": "its key is disabled: enable it",
    "IncorrectKeyException": "another key than this one has encrypted it",
    "InvalidCiphertextException": "it was changed, or encrypted for something else: encrypt it anew with exactly this "
    "context",
    "InvalidKeyUsageException": "its key is not one to encrypt with",
    "KMSInvalidStateException": "its key cannot be used as it is, perhaps since it is to be deleted",
    "NotFoundException": "its key is not there, or not any more",
}


def encryption_context(name: str) -> dict[str, str]:
    """What a secret is bound to: KMS decrypts it under the same name alone, and writes that down."""
    return {"secret": name}


@dataclass(frozen=True, slots=True)
class KmsSecrets(SecretSource):
    """Decrypts each secret once, when it is first asked for, and again if its ciphertext is another by then.

    It takes the right ``kms:Decrypt`` on the key, which may be limited to the encryption context. KMS encrypts 4 KiB at
    most, some 70 keys of a keyring.

    Args:
        client: of KMS.
        encrypted: what ``kms:Encrypt`` gave, in base64, by the name of the secret.
    """

    client: KMSClient
    encrypted: Mapping[str, str]
    _decrypted: dict[str, tuple[str, bytes]] = field(default_factory=dict, repr=False, compare=False)

    @override
    def secret(self, name: str) -> bytes:
        encrypted = self.encrypted.get(name)
        if encrypted is None:
            raise LookupError(f"no secret {name!r} was deployed as ciphertext")
        known = self._decrypted.get(name)
        if known is None or known[0] != encrypted:
            known = self._decrypted[name] = (encrypted, self._decrypt(name, encrypted))
        return known[1]

    def _decrypt(self, name: str, encrypted: str) -> bytes:
        what = f"the ciphertext of secret {name!r}"
        context = encryption_context(name)
        try:
            blob = b64decode("".join(encrypted.split()), validate=True)
        except binascii.Error:
            raise LookupError(f"{what} is no base64: deploy what `aws kms encrypt` printed") from None
        with translated("kms:Decrypt", what):
            try:
                return self.client.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"]
            except ClientError as error:
                code = code_of(error)
                if code in DENIED:
                    raise LookupError(
                        f"this role may not decrypt {what} with the context {context}: allow kms:Decrypt in it and in "
                        f"the key's policy ({code})"
                    ) from error
                if code in _MEND:
                    raise LookupError(
                        f"KMS does not decrypt {what} with the context {context}: {_MEND[code]} ({code})"
                    ) from error
                raise
