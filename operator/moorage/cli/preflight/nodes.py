"""What the nodes can do, and whether everybody's clocks agree."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from moorage.cli.preflight.cluster import Place
from moorage.cli.preflight.report import Finding, fail, ok, warn
from moorage.kube import kinds
from moorage.kube.client import Client
from moorage.model import clock

Manifest = dict[str, Any]  # JSON of any kind, of which a check reads a field or two

# User namespaces for pods: idmapped mounts of tmpfs came with this kernel, the runtime's part with this containerd.
KERNEL_MIN = (6, 3)
CONTAINERD_MIN = (2, 0)
SKEW_WARN_SECONDS = 2.0
SKEW_FAIL_SECONDS = 30.0
ADVICE_CLOCK = "Let a time service (chrony, systemd-timesyncd) keep it: money is counted by seconds."
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


async def nodes(client: Client, _: Place) -> list[Finding]:
    """Nodes that are ready, with what user namespaces need; each reason names its nodes."""
    found, _version = await client.list(kinds.collection_path(kinds.NODE), Manifest)
    if not found:
        return [fail("nodes", "none", "Add a node: agents run there.")]
    silent = [_name(item) for item in found if not _is_ready(item)]
    plain = [f"{_name(item)}: {why}" for item in found if (why := _lacks(item["status"]["nodeInfo"]))]
    findings = []
    if silent:
        findings.append(warn("nodes", f"not ready: {', '.join(silent)}", "Bring them back, or remove them."))
    if plain:
        advice = "Agents' pods share the node's user ids there; a newer kernel and containerd 2 would keep them apart."
        findings.append(warn("user namespaces", "; ".join(plain), advice))
    # The API does not tell the version of runc, which must be 1.2 for that.
    return findings or [ok("nodes", f"{len(found)} ready, with user namespaces if runc has them, too")]


async def server_clock(client: Client) -> datetime:
    """The API server's time, to the second below."""
    review: Manifest = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await client.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    return clock.parse(msgspec.json.decode(answer)["metadata"]["creationTimestamp"])


async def clocks(client: Client, _: Place) -> list[Finding]:
    """This machine's and the nodes' clocks, beside the API server's."""
    before = datetime.now(UTC)
    server = await server_clock(client)
    findings = [skew("clock of this machine", beside(server, before, datetime.now(UTC)))]
    leases, _version = await client.list(LEASES, Manifest)
    worst, where = 0.0, ""
    for lease in leases:
        # Both times are of the same write: what the node's clock said, and when the API server received it.
        received = max((each["time"] for each in lease["metadata"].get("managedFields", ())), default=None)
        said = lease["spec"].get("renewTime")
        if received and said:
            off = beside(clock.parse(received), clock.parse(said), clock.parse(said))
            if off > worst:
                worst, where = off, lease["metadata"]["name"]
    if leases:
        findings.append(skew(f"clock of node {where}" if where else "clocks of the nodes", worst))
    return findings


def skew(check: str, seconds: float) -> Finding:
    """How far a clock is off, as a finding."""
    told = f"{seconds:.1f} s beside the API server" if seconds else "agrees with the API server"
    if seconds >= SKEW_FAIL_SECONDS:
        return fail(check, told, ADVICE_CLOCK)
    return warn(check, told, ADVICE_CLOCK) if seconds >= SKEW_WARN_SECONDS else ok(check, told)


def beside(server: datetime, before: datetime, after: datetime) -> float:
    """How many seconds another clock is off for certain, which said `before` and `after` while the server's was read.

    The server names the second only; and what it took to answer says nothing about anybody's clock.
    """
    early, late = (server - after).total_seconds(), (before - server).total_seconds() - 1.0
    return max(0.0, early, late)


def _lacks(info: Manifest) -> str:
    kernel = _numbers(info["kernelVersion"])
    runtime = str(info["containerRuntimeVersion"])
    lacks = [f"kernel {info['kernelVersion']}"] if kernel < KERNEL_MIN else []
    if runtime.startswith("containerd://") and _numbers(runtime.removeprefix("containerd://")) < CONTAINERD_MIN:
        lacks.append(runtime.replace("://", " "))
    return ", ".join(lacks)


def _numbers(version: str) -> tuple[int, int]:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _name(item: Manifest) -> str:
    return str(item["metadata"]["name"])


def _is_ready(item: Manifest) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in item["status"].get("conditions", ()))
