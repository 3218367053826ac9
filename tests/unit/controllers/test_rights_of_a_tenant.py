"""A right that was granted a moment ago is waited for in silence; one that is missing for good is told."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from moorage.controllers.leading import Epoch
from moorage.controllers.namespace import WAIT_FOR_RIGHTS_SECONDS, WAIT_FOR_WALLET_SECONDS, NamespaceController
from moorage.kube.failures import Forbidden
from moorage.model.names import Key
from moorage.model.namespace import TenantNamespace
from tests import factories

KEY = Key("Namespace", "", "acme")


class Cluster:
    """Keeps what it lets be written."""

    def __init__(self, may: Callable[["Cluster", str], bool]) -> None:
        self.may = may
        self.kept: list[str] = []
        self.statuses: list[dict[str, Any]] = []

    async def apply(self, manifest: Mapping[str, Any]) -> bool:
        """Write it once, where that is allowed."""
        kind = manifest["kind"]
        if not self.may(self, kind):
            raise Forbidden("no")
        path = f"{kind}/{manifest['metadata']['name']}"
        if path in self.kept:
            return False
        self.kept.append(path)
        return True

    async def apply_status(self, _kind: object, _metadata: object, wanted: dict[str, Any], **_: object) -> bool:
        """Remember what is told."""
        self.statuses.append(wanted)
        return True

    async def set_finalizer(self, *_: object) -> bool:
        """Accepted."""
        return False


class Rows:
    """A tenant and its wallet, as far as they are asked for."""

    async def ensure(self, **_: object) -> bool:
        """It is there."""
        return True

    async def by_uid(self, _: str) -> None:
        """No agents."""

    async def wallet(self, _: str) -> None:
        """No news of money."""


class Objects:
    """One tenant."""

    def get(self, _: Key) -> TenantNamespace:
        """It."""
        return factories.tenant()


def reconciled(cluster: Cluster) -> float | None:
    """One pass over the tenant."""
    epoch, rows = Epoch(), Rows()
    epoch.lead(1)
    fakes: Any = {
        "objects": Objects(),
        "applier": cluster,
        "tenants": rows,
        "ledger": rows,
        "world": None,
        "client": None,
    }
    controller = NamespaceController(**fakes, platform=factories.platform(), epoch=epoch)
    return asyncio.run(controller.reconcile(KEY))


def isolated(cluster: Cluster) -> tuple[str, str]:
    """What was told last of the tenant's isolation."""
    found = {item["type"]: (item["status"], item["reason"]) for item in cluster.statuses[-1]["conditions"]}
    assert found["Ready"][1] == found["Isolated"][1] or found["Isolated"][0] == "True"
    return found["Isolated"]


def test_a_right_that_was_just_granted_is_waited_for_in_silence() -> None:
    cluster = Cluster(lambda _, kind: kind in ("Namespace", "RoleBinding"))
    assert reconciled(cluster) == WAIT_FOR_RIGHTS_SECONDS
    assert cluster.kept == ["Namespace/mn-acme", "RoleBinding/moorage-tenant-work"]
    assert cluster.statuses == []
    cluster.may = lambda *_: True
    assert reconciled(cluster) is None
    assert isolated(cluster) == ("True", "IsolationApplied")


def test_a_right_that_stays_away_is_told_and_asked_for_again() -> None:
    cluster = Cluster(lambda _, kind: kind in ("Namespace", "RoleBinding"))
    reconciled(cluster)
    assert reconciled(cluster) == WAIT_FOR_WALLET_SECONDS
    assert isolated(cluster) == ("False", "RightsMissing")
    cluster.may = lambda *_: True
    assert reconciled(cluster) is None
    assert isolated(cluster) == ("True", "IsolationApplied")


def test_a_right_to_bind_that_is_missing_is_told_at_once() -> None:
    cluster = Cluster(lambda _, kind: kind == "Namespace")
    assert reconciled(cluster) == WAIT_FOR_WALLET_SECONDS
    assert isolated(cluster) == ("False", "RightsMissing")
