"""Whose token is this: TokenReview with an audience, answered by the API server."""

import msgspec

from moorage.kube import kinds
from moorage.kube.client import Client
from moorage.kube.objects import Pod
from moorage.kube.wire import decoded
from moorage.model.identity import Identity

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"


class _User(msgspec.Struct, frozen=True):
    username: str = ""
    extra: dict[str, list[str]] = {}


class _Status(msgspec.Struct, frozen=True):
    authenticated: bool = False
    audiences: list[str] = []
    user: _User = _User()


class _Review(msgspec.Struct, frozen=True):
    status: _Status = _Status()


class KubernetesTokenReviewer:
    """Asks the API server; only a service account token bound to a pod and to our audience is somebody."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def review(self, token: str, audience: str) -> Identity | None:
        """Who presents the token, or None when it is not valid for the audience or not bound to a pod."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        status = decoded(_Review, await self._client.create(PATH, body)).status
        name = status.user.username.removeprefix(SERVICE_ACCOUNT_PREFIX)
        pod_name = status.user.extra.get("authentication.kubernetes.io/pod-name", [])
        pod_uid = status.user.extra.get("authentication.kubernetes.io/pod-uid", [])
        if not status.authenticated or audience not in status.audiences or name == status.user.username:
            return None
        if len(pod_name) != 1 or len(pod_uid) != 1:
            return None
        namespace, _, account = name.partition(":")
        identity = Identity(namespace=namespace, pod_name=pod_name[0], pod_uid=pod_uid[0], service_account=account)
        return identity if await self._is_mover(identity) else None

    async def _is_mover(self, identity: Identity) -> bool:
        """Whether the token's pod lives, is the very one, and was made by the Job that its name says."""
        path = kinds.object_path(kinds.POD, identity.namespace, identity.pod_name)
        pod = await self._client.get(path, Pod)
        if pod is None or pod.metadata.uid != identity.pod_uid or not pod.metadata.managed:
            return False
        owner = pod.metadata.controller
        return owner is not None and owner.kind == "Job" and identity.pod_name.startswith(f"{owner.name}-")
