"""The last words of a pod, fetched when a person asks; they are the tenant's, and are kept nowhere."""

from urllib.parse import urlencode

from moorage.kube import failures, kinds
from moorage.kube.client import Client
from moorage.kube.views import AGENT_CONTAINER

LOG_BYTES_MAX = 64 << 10


async def tail(client: Client, namespace: str, pod: str, *, lines: int, previous: bool) -> list[str]:
    """The last lines of the agent's container, or of the one before its last restart; empty where there are none."""
    query = {"container": AGENT_CONTAINER, "tailLines": lines, "limitBytes": LOG_BYTES_MAX, "timestamps": "false"}
    path = f"{kinds.object_path(kinds.POD, namespace, pod)}/log"
    try:
        text = await client.read(path, urlencode({**query, "previous": str(previous).lower()}))
    except failures.Refused as refusal:
        if refusal.status == 400:  # it has not started, or was never started again
            return []
        raise
    return (text or b"").decode(errors="replace").splitlines()
