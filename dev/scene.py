"""What the story looks at: the quickstart's wallet, agent and pods, as the cluster shows them at one moment."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any  # statuses are free-form documents

from kubernetes import client, config

from dev.layout import Layout

GROUP, VERSION = "moorage.dev", "v1alpha1"
WALLET = "quickstart"
NAMESPACE = "mn-quickstart"
AGENT = "helper"
AGENT_PODS = "moorage.dev/component=agent"
ANSWER_SECONDS_MAX = 10
NOT_FOUND = 404


@dataclass(frozen=True)
class Scene:
    """One moment."""

    wallet: Mapping[str, Any] | None
    """The wallet's status; None without a wallet."""
    tenant: Mapping[str, Any] | None
    """The tenant's status; None without a tenant."""
    agent: Mapping[str, Any] | None
    """The agent's status; None without an agent."""
    pods: tuple[str, ...]
    """The agent's pods, also those that are still ending."""
    now: datetime.datetime

    @property
    def balance(self) -> Decimal:
        """Credits left, as of the last settlement."""
        return Decimal((self.wallet or {}).get("balance") or "0")

    @property
    def exhausted(self) -> bool:
        """Whether the wallet cannot pay the next second."""
        return (self.wallet or {}).get("standing") == "Exhausted"

    @property
    def seconds_to_zero(self) -> float | None:
        """How long the credit lasts at the present burn; None while nothing burns."""
        zero_at = (self.wallet or {}).get("zeroAt")
        if not zero_at:
            return None
        return (datetime.datetime.fromisoformat(zero_at) - self.now).total_seconds()

    @property
    def snapshot(self) -> Mapping[str, Any]:
        """The agent's last snapshot; empty without one."""
        return (self.agent or {}).get("lastSnapshot") or {}

    def condition(self, kind: str) -> str:
        """The status of one of the agent's conditions: True, False, Unknown, or nothing yet."""
        return status_of(self.agent, kind)

    def reason(self, kind: str) -> str:
        """Why one of the agent's conditions is as it is: its reason and its sentence."""
        for each in (self.agent or {}).get("conditions", []):
            if each["type"] == kind:
                return f"{each['reason']}: {each['message']}"
        return "the operator has not looked at it yet"


class Theatre:
    """Looks at the cluster."""

    def __init__(self, layout: Layout) -> None:
        connection = config.new_client_from_config(str(layout.kubeconfig))  # type: ignore[no-untyped-call] # it has no types
        self._objects = client.CustomObjectsApi(connection)
        self._core = client.CoreV1Api(connection)

    def look(self) -> Scene:
        """The present moment."""
        pods = self._core.list_namespaced_pod(NAMESPACE, label_selector=AGENT_PODS, _request_timeout=ANSWER_SECONDS_MAX)
        return Scene(
            wallet=self._status("wallets", WALLET),
            tenant=self._status("tenantnamespaces", WALLET),
            agent=self._status("agents", AGENT, NAMESPACE),
            pods=tuple(str(pod.metadata.name) for pod in pods.items if pod.metadata),
            now=datetime.datetime.now(datetime.UTC),
        )

    def _status(self, plural: str, name: str, namespace: str | None = None) -> Mapping[str, Any] | None:
        try:
            if namespace:
                found = self._objects.get_namespaced_custom_object(
                    GROUP, VERSION, namespace, plural, name, _request_timeout=ANSWER_SECONDS_MAX
                )
            else:
                found = self._objects.get_cluster_custom_object(
                    GROUP, VERSION, plural, name, _request_timeout=ANSWER_SECONDS_MAX
                )
        except client.ApiException as error:
            if error.status == NOT_FOUND:
                return None
            raise
        return dict(_document(found).get("status") or {})


def _document(answer: Any) -> Mapping[str, Any]:
    # The official client declares `object` for what it parsed from JSON.
    assert isinstance(answer, Mapping)
    return answer


def status_of(status: Mapping[str, Any] | None, kind: str) -> str:
    """The value of a condition in a status; empty while it is not there."""
    conditions = (status or {}).get("conditions", [])
    return next((str(each["status"]) for each in conditions if each["type"] == kind), "")
