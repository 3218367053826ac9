"""Runs the effects of a decision; every one is safe to repeat until it is seen to have happened."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from moorage.controllers.leading import Epoch
from moorage.desired import agent as desired_agent
from moorage.desired import mover as desired_mover
from moorage.kube import kinds
from moorage.kube.apply import Applier
from moorage.kube.client import Client
from moorage.kube.kinds import Kind
from moorage.lifecycle import effects as do
from moorage.model import clock, names
from moorage.model.agent import Agent
from moorage.model.errors import MoorageError, Unavailable
from moorage.model.names import Key
from moorage.model.offer import Platform
from moorage.model.record import AgentRecord, AgentState, AttemptKind, AttemptState
from moorage.model.snapshots import Failure
from moorage.observability import Metrics
from moorage.services.frozen_copies import FrozenCopies
from moorage.services.purges import Purges
from moorage.services.snapshots import Snapshots
from moorage.store.agents import Agents
from moorage.store.ledger import Ledger
from moorage.store.meters import Meters

log = logging.getLogger(__name__)

OWNERS_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Actuator:
    """Everything an Agent's effects touch: the cluster, the ledger, the snapshots."""

    client: Client
    applier: Applier
    agents: Agents
    ledger: Ledger
    meters: Meters
    snapshots: Snapshots
    purges: Purges
    copies: FrozenCopies
    platform: Platform
    epoch: Epoch
    snapshot_grace: timedelta
    ring: Callable[[Key, bool], None]
    metrics: Metrics
    _verifying: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _owners: set[Key] = field(default_factory=set)

    async def act(self, effect: do.Effect, agent: Agent, record: AgentRecord) -> None:
        """Run one effect. Raises Permanent when the cluster refuses a wish for good."""
        match effect:
            case do.ApplyChildren(with_pod):
                await self._apply_children(agent, record, with_pod=with_pod)
            case do.ApplyVolume():
                await self._apply_children(agent, record, with_pod=False)
            case do.RunMover():
                await self._run_mover(agent, record, effect)
            case do.FreezeVolume() | do.GiveUpCopy():
                await self._freeze(agent, record, effect)
            case do.DeletePod(name, uid):
                await self._delete(kinds.POD, record.namespace, name, uid)
            case do.DropMover(name, uid):
                await self._delete(kinds.JOB, record.namespace, name, uid)
            case do.FreeVolume(name, uid):
                await self._free_volume(name, uid, record)
            case do.OpenRun() | do.CloseRun():
                await self._meter(effect, agent, record)
            case do.OpenStorage(stored):
                await self.meters.open_storage(epoch=self.epoch.current, agent_uid=record.uid, stored=stored)
            case do.CloseStorage(stored):
                await self.meters.close_storage(epoch=self.epoch.current, stored=stored)
            case do.Finish():
                await self._finish(agent, record)
            case _:
                await self._attempt(effect, record)

    def look_at_owners(self, record: AgentRecord) -> None:
        """Wallet and Namespace show sums over agents: one look a second is enough, however many of them moved."""
        tenant = names.tenant_of(record.namespace)
        for key in (Key("Wallet", "", record.wallet.name), Key("Namespace", "", tenant)):
            if key not in self._owners:
                self._owners.add(key)
                asyncio.get_running_loop().call_later(OWNERS_SECONDS, self._ring_owner, key)

    def _ring_owner(self, key: Key) -> None:
        self._owners.discard(key)
        self.ring(key, False)

    async def _apply_children(self, agent: Agent, record: AgentRecord, *, with_pod: bool) -> None:
        children = desired_agent.children(
            agent,
            volume_generation=record.volume_generation,
            volume_floor_mib=record.volume_floor_mib,
            incarnation=record.incarnation,
            platform=self.platform.to_tenant(sandboxed=record.sandboxed),
            with_pod=with_pod,
        )
        for manifest in children:
            await self.applier.apply(manifest)

    async def _run_mover(self, agent: Agent, record: AgentRecord, run: do.RunMover) -> None:
        build = desired_mover.capture_job if run.kind is AttemptKind.SNAPSHOT else desired_mover.restore_job
        job = build(
            agent,
            attempt_id=run.attempt_id,
            volume_name=run.volume_name,
            limit_seconds=run.limit_seconds,
            platform=self.platform.to_tenant(sandboxed=record.sandboxed),
        )
        await self.applier.apply(job)

    async def _freeze(self, agent: Agent, record: AgentRecord, effect: do.FreezeVolume | do.GiveUpCopy) -> None:
        epoch, attempt_id = self.epoch.current, effect.attempt_id
        if isinstance(effect, do.GiveUpCopy):
            await self.copies.give_up(epoch=epoch, attempt_id=attempt_id)
        elif await self.copies.freeze(epoch=epoch, agent=agent, attempt_id=attempt_id, volume=effect.volume):
            self.ring(Key("Agent", record.namespace, record.name), True)

    async def _delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        path = kinds.object_path(kind, namespace, name)
        # Foreground: the Job stays visible until its pod is gone, so nothing else starts on its volume before.
        await self.client.delete(path, uid=uid, propagation="Foreground" if kind == kinds.JOB else None)

    async def _free_volume(self, name: str, uid: str, record: AgentRecord) -> None:
        await self._delete(kinds.PERSISTENT_VOLUME_CLAIM, record.namespace, name, uid)
        if record.state is AgentState.PURGED:
            await self.purges.note_volume(epoch=self.epoch.current, agent_uid=record.uid, volume_uid=uid)

    async def _meter(self, effect: do.OpenRun | do.CloseRun, agent: Agent, record: AgentRecord) -> None:
        if isinstance(effect, do.CloseRun):
            ended_s = None if effect.ended_at is None else clock.floor_seconds(effect.ended_at)
            await self.ledger.close_run(
                epoch=self.epoch.current, pod_uid=effect.pod_uid, ended_s=ended_s, reason="PodGone"
            )
            self.look_at_owners(record)
            return
        pod = effect.pod
        assert pod.started_at is not None
        assert pod.container_id is not None
        assert pod.node is not None
        await self.ledger.open_run(
            epoch=self.epoch.current,
            agent_uid=record.uid,
            pod_uid=pod.uid,
            container_id=pod.container_id,
            node=pod.node,
            size=agent.spec.size,
            started_s=clock.ceil_seconds(pod.started_at),
        )
        self.look_at_owners(record)

    async def _attempt(self, effect: do.Effect, record: AgentRecord) -> None:
        epoch = self.epoch.current
        match effect:
            case do.BeginAttempt(kind, node, purpose):
                volume = names.agent_volume(record.name, record.volume_generation)
                await self.snapshots.begin(
                    epoch=epoch, record=record, kind=kind, purpose=purpose, volume_name=volume, node=node
                )
            case do.StartAttempt(attempt_id):
                await self._start(attempt_id, record)
            case do.CommitAttempt(attempt_id):
                await self.snapshots.commit(epoch=epoch, attempt_id=attempt_id)
            case do.FailAttempt(attempt_id, code):
                await self._fail(attempt_id, code, record)
            case do.VerifyAttempt(attempt_id):
                self._verify_beside(attempt_id, record)
            case do.KeepNewest(count):
                await self.agents.keep_newest(epoch=epoch, uid=record.uid, count=count)
            case do.Archive():
                await self._archive(record)
            case do.StartPurge():
                await self.purges.start(epoch=epoch, record=record)
            case _:
                raise AssertionError(f"no actuator for {effect}")

    async def _start(self, attempt_id: str, record: AgentRecord) -> None:
        try:
            await self.snapshots.start(epoch=self.epoch.current, attempt_id=attempt_id)
        except Unavailable as error:
            # Nothing of it exists yet. Given up, it is tried again in the lifecycle's own time, and until then the
            # condition says what is wrong; an error from here would leave a status that no longer moves.
            log.warning("a snapshot could not be started", extra={"attempt": attempt_id, "why": str(error)})
            await self._fail(attempt_id, Failure.STORE_UNREACHABLE, record)

    async def _fail(self, attempt_id: str, code: str, record: AgentRecord) -> None:
        await self.snapshots.fail(epoch=self.epoch.current, attempt_id=attempt_id, code=code)
        self.metrics.snapshots.labels(_kind(record), AttemptState.FAILED.value).inc()

    async def _archive(self, record: AgentRecord) -> None:
        if record.snapshot is None or not await self.snapshots.exists(record.snapshot.id):
            # The last copy is on the volume: keep it and write a new snapshot.
            log.error("verified snapshot is missing in the object store", extra={"agent": record.uid})
            await self.agents.resnapshot(epoch=self.epoch.current, before=record)
            return
        await self.agents.archive(epoch=self.epoch.current, before=record)

    def _verify_beside(self, attempt_id: str, record: AgentRecord) -> None:
        """Reading gigabytes back outlasts a reconcile: it runs beside the queue and rings when it is done."""
        if attempt_id in self._verifying:
            return

        begun = time.perf_counter()

        async def verify() -> None:
            try:
                await self.snapshots.verify(epoch=self.epoch.current, attempt_id=attempt_id)
                attempt = await self.snapshots.attempt(attempt_id)
                if attempt is not None:
                    self.metrics.snapshots.labels(attempt.kind.value, attempt.state.value).inc()
                if attempt is not None and attempt.state is AttemptState.VERIFIED and record.attempt is not None:
                    before_seconds = (record.now - record.attempt.created_at).total_seconds()
                    seconds = before_seconds + time.perf_counter() - begun
                    self.metrics.snapshot_seconds.labels(attempt.kind.value).observe(seconds)
            except MoorageError as error:
                log.warning("verification did not finish", extra={"attempt": attempt_id, "why": str(error)})
            finally:
                del self._verifying[attempt_id]
                self.ring(Key("Agent", record.namespace, record.name), True)

        self._verifying[attempt_id] = asyncio.create_task(verify(), name=f"verify-{attempt_id}")

    async def _finish(self, agent: Agent, record: AgentRecord) -> None:
        await self.agents.keep_snapshots(epoch=self.epoch.current, uid=record.uid, grace=self.snapshot_grace)
        await self.applier.clear_finalizer(kinds.AGENT, agent.metadata)
        self.ring(Key("Namespace", "", names.tenant_of(record.namespace)), False)


def _kind(record: AgentRecord) -> str:
    return record.attempt.kind.value if record.attempt is not None else AttemptKind.SNAPSHOT.value
