"""A root key that never leaves a key management service with the API of AWS KMS."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import aiobotocore.session
import botocore.exceptions
from aiobotocore.config import AioConfig

from moorage.model.sealing import KeysRefused, KeysUnavailable, KeyUnreadable

CONFIG: dict[str, Any] = {  # Any: the SDK's own mix of types
    "connect_timeout": 3,
    "read_timeout": 5,
    "retries": {"total_max_attempts": 3, "mode": "standard"},
}
UNREADABLE = {"InvalidCiphertextException", "IncorrectKeyException"}
TRY_AGAIN = {
    "DependencyTimeoutException", "KMSInternalException", "KeyUnavailableException", "LimitExceededException",
    "RequestLimitExceeded", "RequestTimeout", "ServiceUnavailable", "ServiceUnavailableException", "SlowDown",
    "Throttling", "ThrottlingException", "TooManyRequestsException",
}  # fmt: skip
OURS_TO_BLAME = (
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
    botocore.exceptions.CredentialRetrievalError,
    botocore.exceptions.ParamValidationError,
)
SERVER_ERROR = 500


class KmsRootKey:
    """One key of the service, named by its ARN: an alias could be pointed to another key behind our back."""

    def __init__(self, client: Any, arn: str) -> None:  # Any: the SDK makes its clients at run time
        self._client = client
        self._arn = arn
        self.id = f"aws-kms:{arn}"

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, arns: Sequence[str], *, endpoint: str) -> AsyncIterator[list["KmsRootKey"]]:
        """The keys, each through a client of its region; credentials come from the SDK's usual places."""
        async with contextlib.AsyncExitStack() as stack:
            clients: dict[str, Any] = {}
            for region in dict.fromkeys(_region(arn) for arn in arns):
                client = aiobotocore.session.get_session().create_client(
                    "kms", region_name=region, endpoint_url=endpoint or None, config=AioConfig(**CONFIG)
                )
                clients[region] = await stack.enter_async_context(client)
            yield [cls(clients[_region(arn)], arn) for arn in arns]

    async def wrap(self, plain: bytes, context: Mapping[str, str]) -> bytes:
        """Let the service encrypt; raises KeysUnavailable and KeysRefused."""
        with translated_errors():
            answer = await self._client.encrypt(KeyId=self._arn, Plaintext=plain, EncryptionContext=dict(context))
        wrapped: bytes = answer["CiphertextBlob"]
        return wrapped

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """Let the service decrypt, with this key and no other; raises KeyUnreadable too."""
        with translated_errors():
            answer = await self._client.decrypt(
                KeyId=self._arn, CiphertextBlob=wrapped, EncryptionContext=dict(context)
            )
        plain: bytes = answer["Plaintext"]
        return plain


def _region(arn: str) -> str:
    return arn.split(":")[3]


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the SDK's errors into the house's families, without a word of the service's own."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in UNREADABLE:
            raise KeyUnreadable("a wrapped key does not open") from error
        if code in TRY_AGAIN or status >= SERVER_ERROR:
            raise KeysUnavailable("the key management service asked to try again") from error
        raise KeysRefused("the key management service refuses; look at the key's state, its policy and ours") from error
    except OURS_TO_BLAME as error:
        raise KeysRefused("the key management service was not asked: credentials or key ARN cannot be used") from error
    except (botocore.exceptions.BotoCoreError, OSError, TimeoutError) as error:
        raise KeysUnavailable("the key management service cannot be reached") from error
