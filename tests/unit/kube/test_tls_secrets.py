"""Secrets with certificates: written when they change or when it was long ago, and never asked for."""

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


def secret(text: str = "one") -> dict[str, Any]:
    """A Secret."""
    metadata = {"name": "tls-shop", "namespace": "mn-acme"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"tls.key": text}}


def test_a_secret_is_written_when_it_changed_and_when_it_was_long_ago() -> None:
    async def play() -> None:
        server, now = Server(), [0.0]
        secrets = TlsSecrets(server, clock=lambda: now[0])  # type: ignore[arg-type]  # as much of a client as it takes
        written = [await secrets.write(secret()), await secrets.write(secret()), await secrets.write(secret("two"))]
        now[0] = AGAIN_SECONDS
        written.append(await secrets.write(secret("two")))
        assert written == [True, False, True, True]
        assert await secrets.remove("mn-acme", "tls-shop")
        assert await secrets.write(secret("two")), "what was removed is written anew"
        assert server.calls == [("apply", PATH)] * 3 + [("delete", PATH), ("apply", PATH)]

    virtual_time.run(play())


@pytest.mark.parametrize(("status", "reason"), [(403, Reason.NAME_TAKEN), (422, Reason.SPEC_INVALID)])
def test_a_secret_of_the_tenants_is_left_alone_and_said_to_be_in_the_way(status: int, reason: Reason) -> None:
    async def play() -> None:
        server = Server()
        server.refusal = failures.Refused(Reason.SPEC_INVALID, "", status=status)
        secrets = TlsSecrets(server)  # type: ignore[arg-type]  # as above
        for _ in range(2):
            with pytest.raises(Permanent) as refused:
                await secrets.write(secret())
            assert refused.value.reason is reason
        assert len(server.calls) == 2, "a refusal is not remembered as a success"

    virtual_time.run(play())
