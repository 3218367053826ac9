"""The connectivity matrix: what an agent's pod must and must not reach, and what the answers of two pods mean.

A connection that nobody can make proves nothing. So each is tried twice: from a pod under the tenants' policies, and
from one beside it that is under none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from moorage.cli.preflight.report import Finding, fail, ok, warn
from moorage.model.namespace import EgressClass

PORT = 8080
CONNECT_SECONDS = 2
# Policy engines learn of a new pod a moment after it has started.
SETTLE_SECONDS = 15
NEIGHBOUR = "another agent of the tenant"

# Both pods run this. Answers are taken again until they are as wanted, or the time is over, and then printed.
SCRIPT = (
    """
import json, os, socket, threading, time

def serve():
    listener = socket.create_server(("", PORT))
    while True:
        listener.accept()[0].close()

def reached(target):
    host = os.environ.get(target["host"][1:], "") if target["host"].startswith("$") else target["host"]
    try:
        if target["port"] == 53:
            return bool(socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM))
        socket.create_connection((host, target["port"]), timeout=SECONDS).close()
        return True
    except OSError:
        return False

threading.Thread(target=serve, daemon=True).start()
targets = json.loads(os.environ["TARGETS"])
wanted = {name: target["wanted"] for name, target in targets.items()}
deadline = time.monotonic() + SETTLE
while targets:
    found = {name: reached(target) for name, target in targets.items()}
    if found == wanted or time.monotonic() > deadline:
        print(json.dumps(found), flush=True)
        break
    time.sleep(0.5)
else:
    time.sleep(600)
""".replace("PORT", str(PORT))
    .replace("SECONDS", str(CONNECT_SECONDS))
    .replace("SETTLE", str(SETTLE_SECONDS))
)


@dataclass(frozen=True, slots=True)
class Target:
    """One destination; a host `$NAME` is a variable of the pod."""

    host: str
    port: int
    open: bool
    """Whether an agent must reach it; port 53 means that its name must resolve."""


def targets(*, neighbour: str, outsider: str, name_service: str, public: bool) -> dict[str, Target]:
    """What is tried from an agent's place; addresses of a pod beside it, of one outside, and of a DNS pod."""
    inside = {
        "the name service": Target("kubernetes.default.svc", 53, open=True),
        "the API server": Target("$KUBERNETES_SERVICE_HOST", 443, open=False),
        "the node's kubelet": Target("$NODE", 10250, open=False),
        "cloud metadata": Target("169.254.169.254", 80, open=False),
        NEIGHBOUR: Target(neighbour, PORT, open=False),
        "a pod of another namespace": Target(outsider, PORT, open=False),
        "the name service's other ports": Target(name_service, 8080, open=False),
    }
    return {**inside, "the public Internet": Target("1.1.1.1", 443, open=True)} if public else inside


def of_the_free(wanted: Mapping[str, Target]) -> dict[str, Target]:
    """What the pod without policies is to reach: everything but agents, whose own policies let nobody in."""
    return {name: Target(target.host, target.port, open=name != NEIGHBOUR) for name, target in wanted.items()}


def judged(
    egress: EgressClass, wanted: Mapping[str, Target], agent: Mapping[str, bool], free: Mapping[str, bool]
) -> list[Finding]:
    """What the answers of the agent's pod and of the free one say, for each destination."""
    findings = []
    for name, target in wanted.items():
        # The neighbour was seen to listen; the free pod must not reach it.
        proven = name == NEIGHBOUR or free[name]
        findings.append(
            _judged(f"agent ({egress.value}) → {name}", must=target.open, is_open=agent[name], proven=proven)
        )
    inward = f"outside → agent ({egress.value})"
    return [*findings, _judged(inward, must=False, is_open=free[NEIGHBOUR], proven=True)]


def _judged(check: str, *, must: bool, is_open: bool, proven: bool) -> Finding:
    if is_open == must and (is_open or proven):
        return ok(check, "open, as it must be" if must else "blocked, as it must be")
    if is_open:
        advice = "Install an engine for NetworkPolicies, or repair it: tenants are not kept apart."
        return fail(check, "open", advice)
    if proven:
        return fail(check, "blocked", "Look for policies of your own, and at the engine's log.")
    return warn(check, "nobody answers there, so this proves nothing", "Fine where the cluster has no such thing.")
