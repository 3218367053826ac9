"""A world that does at once what the lifecycle asks of it, one effect at a time: for whole lives in pure code.

The volume and every snapshot hold a number, the last thing the agent wrote: whoever resumes must find it.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from moorage.lifecycle import effects as do
from moorage.lifecycle.agent import transition
from moorage.lifecycle.decision import Desired
from moorage.model import names
from moorage.model.names import PodUid, SnapshotId
from moorage.model.observation import JobOutcome, JobView, Observation, PodView, VolumeView
from moorage.model.record import AgentRecord, AgentState, AttemptKind, AttemptState, SnapshotFacts
from moorage.model.wallet import Standing, Veto
from tests import factories
from tests.factories import NOW

STEPS_MAX = 200


@dataclass
class Puppet:
    """One agent with everything around it; `look` is one reconcile."""

    record: AgentRecord = field(
        default_factory=lambda: factories.agent_record(
            pod_uid=None, volume_uid=None, has_storage=False, stored=(), wallet=factories.wallet_facts(zero_at=None)
        )
    )
    desired: Desired = field(default_factory=factories.desired)
    now: datetime = NOW
    pods: dict[str, PodView] = field(default_factory=dict)
    volumes: dict[str, VolumeView] = field(default_factory=dict)
    jobs: dict[str, JobView] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)  # what volumes and snapshots hold
    written: int = 0
    finished: bool = False
    path: list[AgentState] = field(default_factory=list)
    _made: int = 0

    def live(self, until: AgentState | None = None) -> "Puppet":
        """Look until nothing moves any more, or until a state is reached."""
        for _ in range(STEPS_MAX):
            if self.record.state is until or not self.look():
                return self
        raise AssertionError(f"no rest after {STEPS_MAX} steps: {self.path}")

    def look(self) -> bool:
        """One reconcile; False when it changed nothing and waits for nobody."""
        if self.finished:
            return False
        before = (self.record, dict(self.pods), dict(self.volumes), dict(self.jobs))
        self.record = replace(self.record, now=self.now)
        seen = Observation(
            pods=tuple(self.pods.values()),
            volumes=tuple(self.volumes.values()),
            jobs=tuple(self.jobs.values()),
            ended=(),
        )
        decision = transition(self.record, self.desired, seen)
        self.record = decision.record
        if not self.path or self.path[-1] is not self.record.state:
            self.path.append(self.record.state)
        for effect in decision.effects:
            self._do(effect)
        moved = before != (replace(self.record, now=before[0].now), self.pods, self.volumes, self.jobs)
        if not moved and self.record.retry_at is not None and self.record.retry_at > self.now:
            self.now = self.record.retry_at
            return True
        return moved or decision.again

    def write(self) -> None:
        """The agent changes its data."""
        assert self.record.state is AgentState.RUNNING
        assert len(self.pods) == 1
        self.written += 1
        self.held[names.agent_volume(self.record.name, self.record.volume_generation)] = self.written

    def money(self, *, empty: bool) -> None:
        """The wallet is empty, or has been topped up."""
        veto = Veto.ZERO_BALANCE if empty else None
        standing = Standing.EXHAUSTED if empty else Standing.FUNDED
        self.record = replace(self.record, wallet=replace(self.record.wallet, standing=standing, veto=veto))

    @property
    def data(self) -> int | None:
        """What the agent finds on its volume."""
        return self.held.get(names.agent_volume(self.record.name, self.record.volume_generation))

    @property
    def copies(self) -> int:
        """How many volumes and verified snapshots hold the last thing that was written."""
        kept = [self.held.get(one.id) for one in self.record.kept]
        there = [self.held.get(name) for name in self.volumes]
        return sum(1 for one in (*kept, *there) if one == self.written)

    def _new(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}-{self._made}"

    def _do(self, effect: do.Effect) -> None:
        match effect:
            case do.ApplyChildren(with_pod):
                self._claim()
                if with_pod:
                    self._start()
            case do.ApplyVolume():
                self._claim()
            case do.DeletePod(name):
                self.pods.pop(name, None)
            case do.OpenRun() | do.CloseRun():
                self.record = replace(self.record, pod_uid=effect.pod.uid if isinstance(effect, do.OpenRun) else None)
            case do.DropMover(name):
                self.jobs.pop(name, None)
            case do.FreeVolume(name):
                assert self.copies > (self.held.get(name) == self.written), "the last copy"
                self.volumes.pop(name)
            case do.Archive():
                assert self.record.snapshot is not None
                self.record = replace(
                    self.record, state=AgentState.ARCHIVED, volume_uid=None, archive_at=None,
                    volume_generation=self.record.volume_generation + 1,
                )  # fmt: skip
            case do.OpenStorage() | do.CloseStorage():
                self._meter(effect)
            case do.Finish():
                self.finished = True
            case do.KeepNewest(count):
                self.record = replace(self.record, kept=self.record.kept[:count])
            case _:
                self._attempt(effect)

    def _meter(self, effect: do.OpenStorage | do.CloseStorage) -> None:
        others = tuple(one for one in self.record.stored if one.object_id != effect.stored.object_id)
        opened = (effect.stored,) if isinstance(effect, do.OpenStorage) else ()
        self.record = replace(self.record, stored=(*others, *opened))

    def _claim(self) -> None:
        name = names.agent_volume(self.record.name, self.record.volume_generation)
        if name not in self.volumes:
            self.volumes[name] = factories.volume_view(name=name, uid=self._new("volume"))

    def _start(self) -> None:
        name = names.agent_pod(self.record.name, self.record.incarnation)
        if name not in self.pods:
            assert not self.pods, "two pods"
            assert not self.jobs, "a pod beside a mover"
            self.pods[name] = factories.pod_view(name=name, uid=PodUid(self._new("pod")))

    def _attempt(self, effect: do.Effect) -> None:
        attempt = self.record.attempt
        match effect:
            case do.BeginAttempt(kind, purpose=purpose):
                wanted = self.record.restore or self.record.snapshot
                assert kind is AttemptKind.SNAPSHOT or wanted is not None
                snapshot = (
                    SnapshotId(self._new("snapshot")) if wanted is None or kind is AttemptKind.SNAPSHOT else wanted.id
                )
                purpose = None if kind is AttemptKind.RESTORE else purpose
                new = factories.attempt(
                    id=self._new("attempt"), snapshot_id=snapshot, kind=kind, state=AttemptState.CREATED,
                    created_at=self.now, granted_at=self.now, purpose=purpose,
                )  # fmt: skip
                self.record = replace(self.record, attempt=new)
            case do.StartAttempt():
                self._move(AttemptState.STARTED)
            case do.RunMover(attempt_id, kind, volume_name):
                assert attempt is not None
                assert not self.pods, "a mover beside a pod"
                name = names.mover_job(attempt_id)
                self.jobs[name] = JobView(
                    name=name, uid=name, attempt_id=attempt_id, outcome=JobOutcome.SUCCEEDED, deleting=False
                )
                if kind is AttemptKind.SNAPSHOT:
                    self.held[attempt.snapshot_id] = self.held.get(volume_name, 0)
                else:
                    self.held[volume_name] = self.held[attempt.snapshot_id]
                self._move(AttemptState.UPLOADED)
            case do.CommitAttempt():
                self._move(AttemptState.COMMITTED)
            case do.VerifyAttempt():
                self._verified()
            case do.FailAttempt():
                self._move(AttemptState.FAILED)
            case _:
                raise AssertionError(f"nobody does {effect}")

    def _move(self, state: AttemptState) -> None:
        assert self.record.attempt is not None
        self.record = replace(self.record, attempt=replace(self.record.attempt, state=state))

    def _verified(self) -> None:
        attempt = self.record.attempt
        assert attempt is not None
        self._move(AttemptState.VERIFIED)
        if attempt.kind is AttemptKind.SNAPSHOT:
            facts = SnapshotFacts(id=attempt.snapshot_id, taken_at=self.now, bytes=1, files=1, disk_bytes=1)
            self.record = replace(self.record, snapshot=facts, kept=(facts, *self.record.kept))
