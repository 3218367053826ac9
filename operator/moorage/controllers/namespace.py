"""Reconcile one Namespace of ours: the tenant's row, its core namespace and everything that isolates it."""

from dataclasses import dataclass

from moorage.controllers.leading import Epoch
from moorage.controllers.objects import Objects
from moorage.desired import namespace as desired_namespace
from moorage.kube import failures, kinds
from moorage.kube.apply import Applier
from moorage.kube.client import Client
from moorage.kube.observe import World
from moorage.lifecycle import conditions
from moorage.model import names
from moorage.model.errors import Permanent
from moorage.model.names import FINALIZER, Key
from moorage.model.namespace import TenantNamespace
from moorage.model.offer import Platform
from moorage.model.reasons import Reason
from moorage.store.ledger import Ledger
from moorage.store.tenants import Tenant, Tenants

WAIT_FOR_WALLET_SECONDS = 10.0
WAIT_FOR_DELETION_SECONDS = 2.0
# A right that was granted is known to the whole API server within milliseconds, most often.
WAIT_FOR_RIGHTS_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceController:
    """Makes a tenant's core namespace exist as desired, and lets it go only when it is empty."""

    objects: Objects
    world: World
    client: Client
    applier: Applier
    tenants: Tenants
    ledger: Ledger
    platform: Platform
    epoch: Epoch

    async def reconcile(self, key: Key) -> float | None:
        """One pass; returns the seconds after which to look again without news, None when settled."""
        tenant: TenantNamespace | None = self.objects.get(key)
        if tenant is None:
            return None
        if tenant.metadata.deleting:
            return await self._let_go(tenant)
        if FINALIZER not in tenant.metadata.finalizers:
            await self.applier.set_finalizer(kinds.TENANT_NAMESPACE, tenant.metadata)
        problem = await self._ensure(tenant)
        if problem is None:
            try:
                if not await self._apply(tenant):
                    return WAIT_FOR_RIGHTS_SECONDS
            except failures.Forbidden:
                problem = Reason.RIGHTS_MISSING
            except Permanent as refusal:
                taken = refusal.reason is Reason.NAME_TAKEN
                problem = Reason.CORE_NAMESPACE_TAKEN if taken else refusal.reason
        if problem is None and tenant.spec.sandboxed and self.platform.sandbox_runtime_class is None:
            problem = Reason.SANDBOX_UNAVAILABLE
        await self._report(tenant, problem)
        return None if problem is None else WAIT_FOR_WALLET_SECONDS

    async def _apply(self, tenant: TenantNamespace) -> bool:
        """Apply all that belongs to a tenant; False while the right to do so was granted only now.

        Raises Forbidden when the right is missing though it should be there.
        """
        granted = False
        try:
            for manifest in desired_namespace.children(tenant, self.platform, waiting_address=self._waiting_address()):
                written = await self.applier.apply(manifest)
                granted |= written and kinds.of(manifest) == kinds.ROLE_BINDING
        except failures.Forbidden:
            if not granted:
                raise
            return False
        return True

    def _waiting_address(self) -> str | None:
        if self.platform.domains is None:
            return None
        return self.world.waiting_address(self.platform.network.platform_namespace)

    async def _ensure(self, tenant: TenantNamespace) -> Reason | None:
        metadata = tenant.metadata
        made = await self.tenants.ensure(
            epoch=self.epoch.current,
            uid=metadata.uid,
            name=metadata.name,
            core_namespace=names.core_namespace(metadata.name),
            wallet_name=tenant.spec.wallet_ref.name,
            sandboxed=tenant.spec.sandboxed,
        )
        return None if made else Reason.WALLET_NOT_FOUND

    async def _let_go(self, tenant: TenantNamespace) -> float | None:
        row = await self.tenants.by_uid(tenant.metadata.uid)
        if row is not None and row.agents_total > 0:
            # A foreground deletion collects what isolates the agents while they still run: keep it in place.
            await self._apply(tenant)
            await self._report(tenant, Reason.AGENTS_REMAIN)
            return WAIT_FOR_DELETION_SECONDS
        core = names.core_namespace(tenant.metadata.name)
        live = self.world.live({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": core}})
        if live is not None and live["metadata"].get("labels", {}).get(names.LABEL_TENANT_UID) == tenant.metadata.uid:
            await self.client.delete(kinds.object_path(kinds.CORE_NAMESPACE, "", core), uid=live["metadata"]["uid"])
            return WAIT_FOR_DELETION_SECONDS
        await self.tenants.remove(epoch=self.epoch.current, uid=tenant.metadata.uid)
        await self.applier.clear_finalizer(kinds.TENANT_NAMESPACE, tenant.metadata)
        return None

    async def _report(self, tenant: TenantNamespace, problem: Reason | None) -> None:
        row: Tenant | None = await self.tenants.by_uid(tenant.metadata.uid)
        wallet = await self.ledger.wallet(tenant.spec.wallet_ref.name)
        status = conditions.tenant_status(
            tenant,
            problem=problem,
            wallet=wallet,
            agents=(0, 0, 0) if row is None else (row.agents_total, row.agents_running, row.agents_suspended),
        )
        await self.applier.apply_status(kinds.TENANT_NAMESPACE, tenant.metadata, status, seen=tenant.status)
