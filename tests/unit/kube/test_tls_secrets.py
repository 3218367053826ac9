"""Secrets with certificates: right until their certificate changes or it was long ago, and never asked for."""

from typing import Any

import pytest

from moorage.kube import failures
from moorage.kube.tls_secrets import AGAIN_SECONDS, TlsSecrets
from moorage.model.errors import Permanent
from moorage.model.reasons import Reason
from tests.simulation import virtual_time

PATH = "/api/v1/namespaces/mn-acme/secrets/tls-shop"


class Server:
    """Notes what was called; refuses to write when told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.refusal: failures.Refused | None = None

    async def apply(self, path: str, _manifest: Any) -> bytes:
        self.calls.append(("apply", path))
        if self.refusal is not None:
            raise self.refusal
        return b"{}"

    async def delete(self, path: str, *, uid: str | None) -> bool:
        assert uid is None, "nobody of ours knows the uid of a Secret"
        self.calls.append(("delete", path))
        return True


def secret() -> dict[str, Any]:
    """A Secret."""
    metadata = {"name": "tls-shop", "namespace": "mn-acme"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"tls.key": "one"}}


def test_a_secret_is_right_until_its_certificate_changes_or_it_was_written_long_ago() -> None:
    async def play() -> None:
        server, now = Server(), [0.0]
        secrets = TlsSecrets(server, clock=lambda: now[0])  # type: ignore[arg-type]  # as much of a client as it takes

        def right() -> list[bool]:
            return [secrets.is_written("mn-acme", "tls-shop", fingerprint=one) for one in ("first", "second")]

        assert right() == [False, False]
        await secrets.write(secret(), fingerprint="first")
        assert right() == [True, False]
        await secrets.write(secret(), fingerprint="second")
        now[0] = AGAIN_SECONDS - 1
        assert right() == [False, True]
        now[0] = AGAIN_SECONDS
        assert right() == [False, False]
        await secrets.write(secret(), fingerprint="second")
        assert await secrets.remove("mn-acme", "tls-shop")
        assert right() == [False, False], "what was removed is not there"
        assert server.calls == [("apply", PATH)] * 3 + [("delete", PATH)]

    virtual_time.run(play())


@pytest.mark.parametrize(("status", "reason"), [(403, Reason.NAME_TAKEN), (422, Reason.SPEC_INVALID)])
def test_a_secret_of_the_tenants_is_left_alone_and_said_to_be_in_the_way(status: int, reason: Reason) -> None:
    async def play() -> None:
        server = Server()
        server.refusal = failures.Refused(Reason.SPEC_INVALID, "", status=status)
        secrets = TlsSecrets(server)  # type: ignore[arg-type]  # as above
        for _ in range(2):
            with pytest.raises(Permanent) as refused:
                await secrets.write(secret(), fingerprint="first")
            assert refused.value.reason is reason
        assert not secrets.is_written("mn-acme", "tls-shop", fingerprint="first")

    virtual_time.run(play())
