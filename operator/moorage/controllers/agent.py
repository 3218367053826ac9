"""Reconcile one Agent: observe, decide, act, report."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from moorage.controllers.actuator import Actuator
from moorage.controllers.journeys import Journeys
from moorage.controllers.leading import Epoch
from moorage.controllers.objects import Objects
from moorage.desired import agent as desired_agent
from moorage.desired.metadata import digest
from moorage.kube import kinds
from moorage.kube.apply import Applier
from moorage.kube.observe import World
from moorage.lifecycle import agent as lifecycle
from moorage.lifecycle import conditions, health, wishes
from moorage.lifecycle.decision import Desired
from moorage.model import names
from moorage.model.agent import Agent, Snapshots
from moorage.model.errors import Permanent
from moorage.model.names import FINALIZER, AgentUid, Key
from moorage.model.observation import Observation
from moorage.model.offer import Platform
from moorage.model.reasons import Reason
from moorage.model.record import AgentRecord, AgentState
from moorage.model.sealing import KeysUnavailable
from moorage.store.agents import Agents, NewAgent
from moorage.store.ledger import Ledger

log = logging.getLogger(__name__)

# A normal start is Ready sooner than this; its interim status would be a write that nobody sees.
PATIENCE_SECONDS = 5.0
# Once told that it starts, a reader gains little from each of its steps; what takes longer than this is told again.
LONG_START_SECONDS = 60.0
# What the cluster refused may fit later (a quota that frees up); nobody rings when it does.
REFUSED_SECONDS = 30.0
# Nobody rings the agents of a new tenant when its core namespace is closed.
SHELTER_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentController:
    """Brings one Agent one step nearer to what it should be, as often as somebody rings."""

    objects: Objects
    world: World
    applier: Applier
    agents: Agents
    ledger: Ledger
    actuator: Actuator
    journeys: Journeys
    platform: Platform
    epoch: Epoch
    freezable: Callable[[], frozenset[str]]  # storage classes whose volumes can be frozen now
    guarded: Callable[[], bool]  # whether the admission policies are in force
    warm_window: timedelta
    node_lost_after: timedelta = timedelta(minutes=5)
    grace: timedelta = timedelta(days=30)

    async def reconcile(self, key: Key) -> float | None:
        """One pass; returns the seconds after which to look again without news, None when settled."""
        agent = self.objects.agent(key)
        if agent is None:
            return None
        await self.applier.make_sure(agent.metadata.uid)
        # Observed before the record is read: what a mover reported is then never older than its Job's end.
        seen = self.world.agent(key.namespace, key.name, AgentUid(agent.metadata.uid))
        record = await self._record(agent)
        if record is None:
            return await self._no_record(agent, seen)
        budget = agent.spec.budget.picos_per_day if agent.spec.budget else None
        if record.budget_picos != budget:
            # It counts from the first second, and what follows from it is in the record that is read next.
            await self.ledger.set_budget(epoch=self.epoch.current, agent_uid=record.uid, picos_per_day=budget)
            return 0.0
        problem = self._objection(agent, record, seen)
        if problem is None and _edited(agent):
            await self.agents.resize(epoch=self.epoch.current, uid=record.uid, size=agent.spec.size)
        decision = lifecycle.transition(record, self._desired(agent, record, problem), seen)
        if decision.record != record and not await self.agents.save(
            epoch=self.epoch.current, before=record, after=decision.record
        ):
            self.actuator.metrics.fencing_rejections.labels("fence").inc()
            return 0.0
        if decision.record.state is not record.state:
            self.actuator.look_at_owners(record)
            self.journeys.moved(record, decision.record)
        try:
            for effect in decision.effects:
                await self.actuator.act(effect, agent, decision.record)
        except Permanent as refusal:
            reported = await self._report(agent, decision.record, seen, refusal.reason)
            return _sooner(REFUSED_SECONDS, reported)
        except KeysUnavailable as error:
            # Nothing of the snapshot exists yet. An error from here would leave a status that no longer moves.
            log.warning("a snapshot waits for the root key", extra={"agent": record.uid, "why": str(error)})
            reported = await self._report(agent, decision.record, seen, Reason.KEYS_UNAVAILABLE)
            return _sooner(REFUSED_SECONDS, reported)
        if decision.again:
            return 0.0
        reported = await self._report(agent, decision.record, seen, problem)
        if problem in (Reason.ISOLATION_PENDING, Reason.POLICY_MISSING):
            # Most often for milliseconds, while the tenant is new; when it lasts, somebody else has to act.
            age_seconds = (record.now - record.state_since).total_seconds()
            return _sooner(min(max(age_seconds, SHELTER_SECONDS), REFUSED_SECONDS), reported)
        return _sooner(decision.wait_seconds, reported)

    async def _record(self, agent: Agent) -> AgentRecord | None:
        """The agent's record; None when its namespace is not a tenant's.

        An agent without a status is new, and there is no use in asking for its record before it is made.
        """
        metadata = agent.metadata
        record = await self.agents.load(metadata.uid) if agent.status or metadata.deleting else None
        if metadata.deleting:
            return record
        if record is None:
            source = agent.spec.restore_from
            await self.agents.ensure(
                epoch=self.epoch.current,
                new=NewAgent(
                    uid=metadata.uid,
                    namespace=metadata.namespace,
                    name=metadata.name,
                    size=agent.spec.size,
                    request_seen=_request(agent),
                    restore_from=names.snapshot_id(source.snapshot) if source else None,
                ),
            )
            record = await self.agents.load(metadata.uid)
            if record is not None:
                self.actuator.look_at_owners(record)
                self.journeys.born(record)
        # Where admission adds the finalizer at birth, this write is saved.
        if record is not None and FINALIZER not in metadata.finalizers:
            await self.applier.set_finalizer(kinds.AGENT, metadata)
        return record

    async def _no_record(self, agent: Agent, seen: Observation) -> float | None:
        if agent.metadata.deleting:
            await self.applier.clear_finalizer(kinds.AGENT, agent.metadata)
            return None
        tenant = await self.agents.is_tenant(agent.metadata.namespace)
        problem = Reason.SNAPSHOT_NOT_FOUND if tenant and agent.spec.restore_from else Reason.NOT_A_TENANT
        status = conditions.agent_status(agent, None, seen, problem=problem, rate_picos=None)
        await self.applier.apply_status(kinds.AGENT, agent.metadata, status, seen=agent.status)
        return 30.0

    def _objection(self, agent: Agent, record: AgentRecord, seen: Observation) -> Reason | None:
        """What keeps the agent from starting here; what runs is left alone by all of it."""
        problem = desired_agent.check(agent, self._offer(record)) or wishes.objection(record, agent.spec)
        if problem is None and not seen.pods and not self.guarded():
            return Reason.POLICY_MISSING
        if problem is None and not seen.pods and not self.world.sheltered(record.namespace, record.tenant_uid):
            return Reason.ISOLATION_PENDING
        return problem

    def _offer(self, record: AgentRecord) -> Platform:
        return self.platform.to_tenant(sandboxed=record.sandboxed)

    def _desired(self, agent: Agent, record: AgentRecord, problem: Reason | None) -> Desired:
        snapshots = agent.spec.snapshots or Snapshots()
        return Desired(
            state=agent.spec.desired_state,
            deleting=agent.metadata.deleting,
            problem=problem,
            # A pod that is out of date is better than none.
            pod_hash=None if problem or not self.guarded() else desired_agent.pod_hash(agent, self._offer(record)),
            storage=agent.spec.storage is not None,
            warm_window=self.warm_window,
            recovery=agent.spec.recovery,
            node_lost_after=self.node_lost_after,
            request=_request(agent),
            schedule=snapshots.schedule,
            keep=snapshots.keep,
            grace=self.grace,
            freezable=self.freezable(),
        )

    async def _report(
        self, agent: Agent, record: AgentRecord, seen: Observation, problem: Reason | None
    ) -> float | None:
        for key in self.objects.domains_of(record.namespace, record.name):
            self.actuator.ring(key, False)
        if record.state is AgentState.DELETED:
            return None
        size = self.platform.sizes.get(agent.spec.size)
        status = conditions.agent_status(
            agent, record, seen, problem=problem, rate_picos=size.rate_picos if size else None
        )
        self.journeys.told(record, status)
        if conditions.is_starting(status):
            patience = LONG_START_SECONDS if conditions.is_starting(agent.status) else PATIENCE_SECONDS
            age_seconds = (record.now - record.state_since).total_seconds()
            if age_seconds < patience:
                return patience - age_seconds
        await self.applier.apply_status(kinds.AGENT, agent.metadata, status, seen=agent.status)
        return health.changes_in_seconds(record, seen)


def _request(agent: Agent) -> str | None:
    """What stands for the last request for a snapshot: a digest, for the annotation itself is foreign text."""
    asked = agent.metadata.annotations.get(names.ANNOTATION_SNAPSHOT_REQUESTED)
    return None if asked is None else digest(asked)


def _edited(agent: Agent) -> bool:
    """Whether the spec has changed since it was last reported on; what a resume costs may have changed with it."""
    reported: int | None = agent.status.get("observedGeneration")
    return reported is not None and reported != agent.metadata.generation


def _sooner(one: float | None, other: float | None) -> float | None:
    waits = [wait for wait in (one, other) if wait is not None]
    return min(waits, default=None)
