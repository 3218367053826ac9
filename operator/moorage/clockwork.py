"""What a leading operator runs on, and the jobs that the clock drives for it."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from moorage.controllers.herald import Herald
from moorage.controllers.leading import Epoch
from moorage.controllers.objects import Objects
from moorage.controllers.workqueue import KeyedQueue
from moorage.jobs import runner
from moorage.jobs.apply_payments import ApplyPayments
from moorage.jobs.change_prices import ChangePrices
from moorage.jobs.check_policies import CheckPolicies
from moorage.jobs.count_agents import CountAgents
from moorage.jobs.deliver_wakeups import DeliverWakeups
from moorage.jobs.expire_reservations import ExpireReservations
from moorage.jobs.keep_credit import KeepCredit
from moorage.jobs.keep_lease import KeepLease
from moorage.jobs.move_queue import MoveQueue
from moorage.jobs.prove_books import ProveBooks
from moorage.jobs.prove_nodes import ProveNodes
from moorage.jobs.prove_snapshots import ProveSnapshots
from moorage.jobs.purge_data import PurgeData
from moorage.jobs.settle_wallets import SettleWallets
from moorage.jobs.sweep_copies import SweepCopies
from moorage.jobs.sweep_orphans import SweepOrphans
from moorage.jobs.sweep_uploads import SweepUploads
from moorage.jobs.write_statements import WriteStatements
from moorage.kube import crds
from moorage.kube.client import Client
from moorage.kube.login import Credentials
from moorage.kube.observe import World
from moorage.kube.policies import Policies
from moorage.model.names import Key
from moorage.model.observation import Unknown
from moorage.model.offer import Platform
from moorage.observability import Metrics
from moorage.probes import Health
from moorage.services.deposits import Deposits
from moorage.services.frozen_copies import FrozenCopies
from moorage.services.purges import Purges
from moorage.services.snapshots import Snapshots
from moorage.services.witness import Witness
from moorage.settings import Settings
from moorage.store.agents import Agents
from moorage.store.database import Database
from moorage.store.leader import Leadership
from moorage.store.leases import Reservations
from moorage.store.ledger import Ledger, LedgerRefusal
from moorage.store.meters import Meters
from moorage.store.movers import Movers
from moorage.store.outbox import Outbox
from moorage.store.overview import Overviews
from moorage.store.payments import Payments
from moorage.store.wallets import Wallets

log = logging.getLogger(__name__)

Task = asyncio.Task[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Everything a leading operator runs on."""

    settings: Settings
    platform: Platform
    client: Client
    credentials: Credentials
    database: Database
    agents: Agents
    ledger: Ledger
    meters: Meters
    leadership: Leadership
    outbox: Outbox
    snapshots: Snapshots
    prove_snapshots: ProveSnapshots
    purges: Purges
    copies: FrozenCopies
    policies: Policies
    """None: this installation has no zone for host names."""
    witness: Witness
    proof: Database
    """Acts as moorage_verify."""
    herald: Herald
    naming: Mapping[str, Callable[[], Awaitable[float]]]
    """What the clock drives for host names."""
    world: World
    objects: Objects
    queue: KeyedQueue[Key]
    ring: Callable[[Key, bool], None]
    epoch: Epoch
    metrics: Metrics
    health: Health


async def start(op: Operation) -> list[Task]:
    """Bring the ledger's view of prices and pods up to date, then start everything the clock drives."""
    await op.witness.look()
    await _publish_sizes(op)
    await _publish_policy(op)
    await op.world.refresh()  # after the lead was taken: what the last leader made is in it
    await _close_vanished(op)
    await op.policies.look()
    rng = random.Random()  # noqa: S311  # spreads load, hides nothing
    wakeups = DeliverWakeups(op.outbox, op.ring)
    settle = SettleWallets(op.ledger, lambda: op.epoch.current, op.metrics)
    # No payment provider is configured yet.
    payments = ApplyPayments(Deposits(Payments(op.database), tills={}), op.metrics)
    credit = KeepCredit(Wallets(op.database))
    books = ProveBooks(op.proof, op.witness, op.metrics, lambda: op.epoch.current)
    work = {
        "keep_lease": KeepLease(op.leadership, lambda: op.epoch.current).renew,
        "prove_nodes": ProveNodes(op.ledger, op.world.node_proofs, lambda: op.epoch.current).prove,
        "settle_due": settle.due,
        "expire_reservations": ExpireReservations(Reservations(op.database), lambda: op.epoch.current).expire,
        "change_prices": ChangePrices(op.meters, lambda: op.epoch.current).change,
        "write_statements": WriteStatements(op.meters, lambda: op.epoch.current, op.metrics, now=time.time).write,
        "deliver_wakeups": wakeups.deliver,
        "apply_payments": payments.apply,
        "look_back_at_payments": payments.look_back,
        "expire_credit": credit.expire,
        "record_consumption": credit.consume,
        "tell_witness": books.tell,
        "seal_books": books.seal,
        "check_books": books.check,
        "check_policies": CheckPolicies(op.policies, op.metrics).check,
        "move_queue": MoveQueue(Movers(op.database), lambda: op.epoch.current, op.metrics).look,
        "count_agents": CountAgents(Overviews(op.database), op.metrics).look,
        **_of_data(op),
        **op.naming,
    }
    jobs = [
        asyncio.create_task(runner.repeat(name, do, rng=rng, metrics=op.metrics), name=name)
        for name, do in work.items()
    ]
    lost: Task = asyncio.create_task(_wait_for(op.queue), name="queue")
    return [*jobs, lost]


def _of_data(op: Operation) -> dict[str, Callable[[], Awaitable[float]]]:
    """What looks after data: whose agent vanished, what was left half way, what is over."""
    sweep = SweepOrphans(
        op.agents,
        op.ledger,
        op.meters,
        exists=lambda uid, namespace, name: crds.agent_exists(op.client, uid, namespace, name),
        has_pods=op.world.has_pods,
        ends=op.world.ends_of,
        epoch=lambda: op.epoch.current,
        grace=timedelta(days=op.settings.snapshot_grace_days),
    )
    purge = PurgeData(op.purges, lambda: op.epoch.current)
    return {
        "sweep_orphans": sweep.sweep,
        "sweep_uploads": SweepUploads(op.snapshots, lambda: op.epoch.current).sweep,
        "sweep_copies": SweepCopies(op.copies, lambda: op.epoch.current).sweep,
        "test_restores": op.prove_snapshots.restore,
        "count_snapshots": op.prove_snapshots.count,
        "tell_of_purges": purge.tell,
        "purge_data": purge.remove,
    }


async def _publish_sizes(op: Operation) -> None:
    """What the settings ask for the sizes; a price that one person may not set leaves the old one in force."""
    for size, offer in op.platform.sizes.items():
        try:
            await op.ledger.publish_rate(size=size, rate_picos=offer.rate_picos)
        except LedgerRefusal as refusal:
            log.error("a price of the settings is not used", extra={"size": size, "why": str(refusal)})  # noqa: TRY400  # a decision, not a crash


async def _publish_policy(op: Operation) -> None:
    wanted = op.settings
    await op.ledger.set_policy(resume_minimum_seconds=wanted.resume_minimum_seconds)
    await Movers(op.database).set_limits(
        epoch=op.epoch.current, movers_max=wanted.movers_max, per_node_max=wanted.movers_per_node_max
    )


async def _wait_for(queue: KeyedQueue[Key]) -> None:
    """Ends with the error that no reconcile may survive."""
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    queue.fatal = lambda error: None if lost.done() else lost.set_exception(error)
    await lost


async def _close_vanished(op: Operation) -> None:
    """End the runs of pods that vanished while nobody looked, before a new proof could cover them."""
    for run in await op.ledger.open_runs():
        seen = op.world.agent(run.namespace, run.name, run.agent_uid)
        if not isinstance(seen.pods, Unknown) and all(pod.uid != run.pod_uid for pod in seen.pods):
            await op.ledger.close_run(epoch=op.epoch.current, pod_uid=run.pod_uid, ended_s=None, reason="PodVanished")
