"""Reconcile one Wallet: open it in the ledger, and project the ledger's standing onto its status; never back."""

from dataclasses import dataclass

from moorage.controllers.leading import Epoch
from moorage.controllers.objects import Objects
from moorage.kube import kinds
from moorage.kube.apply import Applier
from moorage.lifecycle import conditions
from moorage.model import money
from moorage.model.names import FINALIZER, Key
from moorage.model.reasons import Reason
from moorage.model.wallet import Wallet
from moorage.store.ledger import Ledger
from moorage.store.tenants import Tenants

WAIT_FOR_TENANTS_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletController:
    """Keeps a Wallet's row open and its status true."""

    objects: Objects
    applier: Applier
    ledger: Ledger
    tenants: Tenants
    epoch: Epoch

    async def reconcile(self, key: Key) -> float | None:
        """One pass; returns the seconds after which to look again without news, None when settled."""
        wallet: Wallet | None = self.objects.get(key)
        if wallet is None:
            return None
        problem: Reason | None = None
        if wallet.metadata.deleting:
            # The credit outlives the object: a Wallet of the same name finds it again.
            if await self.tenants.of_wallet(wallet.metadata.name) == 0:
                await self.applier.clear_finalizer(kinds.WALLET, wallet.metadata)
                return None
            problem = Reason.WALLET_IN_USE
        elif FINALIZER not in wallet.metadata.finalizers:
            await self.applier.set_finalizer(kinds.WALLET, wallet.metadata)
        low, limit = wallet.spec.low_balance, wallet.spec.spend_limit
        await self.ledger.ensure_wallet(
            epoch=self.epoch.current,
            name=wallet.metadata.name,
            cr_uid=wallet.metadata.uid,
            low_micros=money.parse_credits(low.credits) if low else 0,
            limit_picos_per_day=limit.picos_per_day if limit else None,
        )
        view = await self.ledger.wallet(wallet.metadata.name)
        status = conditions.wallet_status(wallet, view, problem=problem)
        await self.applier.apply_status(kinds.WALLET, wallet.metadata, status, seen=wallet.status)
        return WAIT_FOR_TENANTS_SECONDS if problem else None
