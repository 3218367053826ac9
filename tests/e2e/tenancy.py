"""One tenant of its own for one test: a wallet, a namespace and agents, made and removed as users do it."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.cluster import Manifest, is_true, says
from tests.e2e.house import DEMO_MICROS_PER_SECOND, House

API_VERSION = "moorage.dev/v1alpha1"
READY_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 150.0
AGENT_PODS = "moorage.dev/component=agent"
# Enough for every resume: ten minutes of two demo agents.
PLENTY_MICROS = 10_000_000
# Of credit that ends soon: a slow machine too has seen the agent Ready by then, and spoken to it.
SOON_OVER_SECONDS = 15
QUIET_SECONDS = 3
QUIET_TRIES_MAX = 10
# Of pods, volumes, jobs and quotas the cluster itself writes the status, whenever it comes round to it.
OURS = ("agents", "domains", "services", "configmaps", "serviceaccounts", "networkpolicies")


@dataclass(slots=True)
class Tenant:
    """A tenant whose names nobody else has."""

    house: House
    name: str = field(default_factory=lambda: f"e2e-{uuid.uuid4().hex[:8]}")

    @property
    def namespace(self) -> str:
        """The core namespace."""
        return f"mn-{self.name}"

    def open(self, micros: int = 0, **quota: Any) -> "Tenant":
        """Make wallet and namespace and wait until both are ready; with a first grant if there is one."""
        cluster = self.house.cluster
        cluster.apply("wallets", {"apiVersion": API_VERSION, "kind": "Wallet", "metadata": {"name": self.name}})
        cluster.until_one("wallets", "", self.name, is_true("Ready"), "the wallet's opening")
        if micros:
            self.house.grant(self.name, micros)
        spec: Manifest = {"walletRef": {"name": self.name}}
        if quota:
            spec["quota"] = quota
        cluster.apply(
            "tenantnamespaces",
            {"apiVersion": API_VERSION, "kind": "Namespace", "metadata": {"name": self.name}, "spec": spec},
        )
        cluster.until_one("tenantnamespaces", "", self.name, is_true("Ready"), "the core namespace's readiness")
        return self

    def close(self) -> None:
        """Ask for the deletion of everything, as a user would: agents, namespace, wallet; nobody waits for it here."""
        cluster = self.house.cluster
        for agent in cluster.find_all("agents", self.namespace):
            cluster.delete("agents", self.namespace, agent["metadata"]["name"])
        cluster.delete("tenantnamespaces", "", self.name)
        cluster.delete("wallets", "", self.name)

    def until_closed(self) -> None:
        """Wait until nothing is left of the tenant in the cluster."""
        cluster = self.house.cluster
        cluster.until_gone("tenantnamespaces", "", name=self.name, seconds=STOP_SECONDS_MAX)
        cluster.until_gone("namespaces", "", name=self.namespace, seconds=STOP_SECONDS_MAX)
        cluster.until_gone("wallets", "", name=self.name, seconds=STOP_SECONDS_MAX)

    def versions(self) -> dict[tuple[str, str], str]:
        """The version of every object of the tenant that nobody but us writes."""
        places = [(plural, self.namespace, {}) for plural in OURS]
        places += [
            ("wallets", "", {"fields": f"metadata.name={self.name}"}),
            ("tenantnamespaces", "", {"fields": f"metadata.name={self.name}"}),
            ("namespaces", "", {"fields": f"metadata.name={self.namespace}"}),
        ]
        found = {}
        for plural, namespace, selectors in places:
            for item in self.house.cluster.find_all(plural, namespace, **selectors):
                found[plural, item["metadata"]["name"]] = item["metadata"]["resourceVersion"]
        return found

    def until_quiet(self) -> None:
        """Wait until nothing has been written for a while: what follows a start or a stop has been told."""
        for _ in range(QUIET_TRIES_MAX):
            before = self.versions()
            self.house.cluster.changes("agents", self.namespace, seconds=QUIET_SECONDS)
            if self.versions() == before:
                return
        raise AssertionError(f"something of {self.name} is written again and again")

    def agent_named(self, name: str) -> "Helper":
        """An agent that may not exist yet."""
        return Helper(self, name)

    def agent(self, name: str = "helper", **spec: Any) -> "Helper":
        """Apply the chatbot with a memory on a volume; `x=1` sets a field of its spec, `x=None` leaves one out."""
        helper = Helper(self, name)
        helper.apply(**spec)
        return helper


@dataclass(frozen=True, slots=True)
class Helper:
    """One agent of a tenant."""

    tenant: Tenant
    name: str

    def manifest(self, **spec: Any) -> Manifest:
        """The agent as it is applied."""
        usual: Manifest = {
            "runtime": "chatbot",
            "size": "small",
            "env": [{"name": "CHATBOT_MEMORY_RETENTION", "value": "Days"}],
            "storage": {"size": "1Gi"},
            "http": {"port": 8080},
        }
        wanted = {field: value for field, value in {**usual, **spec}.items() if value is not None}
        metadata = {"name": self.name, "namespace": self.tenant.namespace}
        return {"apiVersion": API_VERSION, "kind": "Agent", "metadata": metadata, "spec": wanted}

    def apply(self, **spec: Any) -> Manifest:
        """Apply it with these fields."""
        return self.tenant.house.cluster.apply("agents", self.manifest(**spec))

    def read(self) -> Manifest:
        """The object as it is."""
        return self.tenant.house.cluster.get("agents", self.tenant.namespace, self.name)

    def patch(self, **spec: Any) -> None:
        """Edit single fields of its spec."""
        self.tenant.house.cluster.patch("agents", self.tenant.namespace, self.name, {"spec": spec})

    def until_ready(self, *, seconds: float = READY_SECONDS_MAX) -> Manifest:
        """Wait until it is Ready."""
        return self._until(is_true("Ready"), "Ready", seconds)

    def until_suspended(self, *, seconds: float = STOP_SECONDS_MAX) -> Manifest:
        """Wait until it is Suspended."""
        return self._until(is_true("Suspended"), "Suspended", seconds)

    def until_says(self, condition: str, reason: str, *, seconds: float = STOP_SECONDS_MAX) -> Manifest:
        """Wait until a condition has this reason."""
        return self._until(says(condition, reason), f"{condition} with the reason {reason}", seconds)

    def until_gone(self, *, seconds: float = STOP_SECONDS_MAX) -> None:
        """Wait until the object is gone."""
        self.tenant.house.cluster.until_gone("agents", self.tenant.namespace, name=self.name, seconds=seconds)

    def pods(self) -> list[Manifest]:
        """Its pods."""
        labels = f"{AGENT_PODS},moorage.dev/agent={self.name}"
        return self.tenant.house.cluster.find_all("pods", self.tenant.namespace, labels=labels)

    def pod(self) -> Manifest:
        """Its one pod."""
        pods = self.pods()
        assert len(pods) == 1, [pod["metadata"]["name"] for pod in pods]
        return pods[0]

    def volumes(self) -> list[str]:
        """The names of its volume claims."""
        claims = self.tenant.house.cluster.find_all("persistentvolumeclaims", self.tenant.namespace)
        return [claim["metadata"]["name"] for claim in claims]

    def record(self) -> dict[str, Any]:
        """Its row in the database: the last one of its name."""
        return self.tenant.house.rows(
            "SELECT a.*, a.uid::text AS uid_text, t.state AS attempt_state, t.kind AS attempt_kind,"
            " t.failure AS attempt_failure FROM moorage.agent a LEFT JOIN moorage.attempt t ON t.id = a.attempt_id"
            " WHERE a.namespace = $1 AND a.name = $2 ORDER BY a.created_at DESC LIMIT 1",
            *(self.tenant.namespace, self.name),
        )[0]

    def snapshots(self) -> list[dict[str, Any]]:
        """Its verified snapshots, oldest first."""
        return self.tenant.house.rows(
            "SELECT s.* FROM moorage.snapshot s JOIN moorage.agent a ON a.uid = s.agent_uid"
            " WHERE a.namespace = $1 AND a.name = $2 ORDER BY s.taken_at",
            *(self.tenant.namespace, self.name),
        )

    def chat(self, text: str) -> str:
        """Say something to it through its service."""
        self.until_served()
        path = f"/api/v1/namespaces/{self.tenant.namespace}/services/agent-{self.name}:8080/proxy/chat"
        status, answer = self.tenant.house.cluster.post(path, {"text": text})
        assert status == 200, answer
        return str(answer["answer"])

    def until_served(self) -> None:
        """Wait until its service leads to it: Ready comes a moment before the service knows the new pod's address."""
        self.tenant.house.cluster.until(
            "endpointslices",
            self.tenant.namespace,
            lambda slices: any(_serves(item) for item in slices.values()),
            "the service's address",
            labels=f"kubernetes.io/service-name=agent-{self.name}",
        )

    def _until(self, reached: Any, what: str, seconds: float) -> Manifest:
        return self.tenant.house.cluster.until_one(
            "agents", self.tenant.namespace, self.name, reached, what, seconds=seconds
        )


def seconds_of_demo(seconds: int, rest_micros: int = 0) -> int:
    """The micro-credits for so many seconds of one demo agent."""
    return seconds * DEMO_MICROS_PER_SECOND + rest_micros


def _serves(endpoints: Manifest) -> bool:
    return any(each.get("conditions", {}).get("ready") for each in endpoints.get("endpoints") or [])
