"""Movers and the controller of their Jobs: they copy data, and sometimes die, hang, repeat themselves or lie."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from moorage.desired.mover import KEPT_SECONDS
from moorage.kube import kinds
from moorage.model import names
from moorage.model.errors import MoorageError
from moorage.model.identity import Identity
from moorage.model.record import AttemptKind
from moorage.model.snapshots import Failure, Part, Report, Totals
from tests.simulation import virtual_time
from tests.simulation.bucket import ETAG, Bucket, totals_of
from tests.simulation.cluster import ADDED, Cluster, Manifest, Place, claim_of, is_over
from tests.simulation.disks import EMPTY, PARTIAL, Disks, Volume
from tests.simulation.judge import Judge
from tests.simulation.kubelets import Kubelets
from tests.simulation.stage import Stage

TRIES = 5
HANGS_SECONDS = 10 * 3600.0  # longer than any Job may run
SHA256_OF_ANOTHER = "0" * 64


@dataclass
class Mover:
    """One mover's pod."""

    place: Place
    job_uid: str
    attempt_id: str
    agent_uid: str
    volume: Volume
    task: "asyncio.Task[None] | None" = None
    alive: bool = True
    reported: bool = False


class Movers:
    """The Job controller, and the pods it makes."""

    def __init__(
        self, stage: Stage, cluster: Cluster, disks: Disks, judge: Judge, kubelets: Kubelets, bucket: Bucket, *,
        sessions: Any,
    ) -> None:  # fmt: skip
        self._stage = stage
        self._cluster = cluster
        self._disks = disks
        self._judge = judge
        self._kubelets = kubelets
        self._bucket = bucket
        self._sessions = sessions
        self._rng = stage.chance("movers")
        self.mishaps = 0.0  # the share of movers to which something happens
        self.movers: dict[str, Mover] = {}  # by the Job's uid
        cluster.hooks.append(self._changed)

    def alive(self) -> list[Mover]:
        """All movers that really run."""
        return [mover for mover in self.movers.values() if mover.alive]

    def _changed(self, type_: str, place: Place, old: Manifest | None, new: Manifest | None) -> None:
        if place[0] != kinds.JOB.plural or new is None:
            return
        uid = new["metadata"]["uid"]
        if type_ == ADDED:
            self._stage.later(0.3 + 1.5 * self._rng.random(), self._start, place, uid)
            self._stage.later(new["spec"]["activeDeadlineSeconds"], self._too_late, place, uid)
        elif new["metadata"].get("deletionTimestamp") and not (old or new)["metadata"].get("deletionTimestamp"):
            self._stage.later(0.1 + 2.0 * self._rng.random() ** 3, self._remove, place, uid)

    def _job(self, place: Place, uid: str) -> Manifest | None:
        found = self._cluster.objects.get(place)
        return found if found is not None and found["metadata"]["uid"] == uid else None

    def _start(self, place: Place, uid: str) -> None:
        job = self._job(place, uid)
        if job is None or job["metadata"].get("deletionTimestamp") or is_over(job):
            return
        claim = claim_of(job)
        assert claim is not None
        node = self._kubelets.some_node()
        volume = self._disks.bind(place[1], claim, node.name)
        node = (
            next(one for one in self._kubelets.nodes if volume is not None and one.name == volume.node)
            if volume
            else node
        )
        if volume is None or node.silent:
            self._stage.later(3.0, self._start, place, uid)
            return
        attempt_id = place[2].removeprefix("mover-")
        mover = Mover(place, uid, attempt_id, job["metadata"]["ownerReferences"][0]["uid"], volume)
        self.movers[uid] = mover
        self._stage.tell("mover", "starts", attempt_id)
        self._judge.moves(mover)
        mover.task = self._stage.loop.create_task(self._work(mover))

    async def _work(self, mover: Mover) -> None:
        mishap = self._rng.random() if self._rng.random() < self.mishaps else 1.0
        try:
            await virtual_time.passed(3.0 * self._rng.random() ** 2)
            await self._move(mover, mishap)
            succeeded = True
        except _Gone as why:
            self._stage.tell("mover", str(why), mover.attempt_id)
            succeeded = False
        if mishap < 0.6 and mover.reported and self._rng.random() < 0.3:
            await virtual_time.passed(60.0 * self._rng.random())  # its word is given, but it does not end
        mover.alive = False
        await virtual_time.passed(self._rng.random())
        self._ended(mover.place, mover.job_uid, succeeded=succeeded)

    async def _move(self, mover: Mover, mishap: float) -> None:
        if mishap < 0.15:
            raise _Gone("out of memory")
        identity = Identity("mn-acme", names.MOVER_SERVICE_ACCOUNT, f"{mover.place[2]}-x7k2p", f"pod-{mover.job_uid}")
        assignment = await self._tried(lambda: self._sessions.session(identity, mover.attempt_id))
        if mishap < 0.25:
            await virtual_time.passed(HANGS_SECONDS)  # hangs; the Job's limit ends it
        try:
            if assignment.kind == AttemptKind.SNAPSHOT:
                report = await self._capture(mover, assignment)
            else:
                report = await self._restore(mover, assignment)
        except MoorageError:
            report = Report(attempt=mover.attempt_id, failure=Failure.STORE_UNREACHABLE)
        if mishap < 0.35:
            raise _Gone("ends without its last word")
        if mishap < 0.45 and report.failure is None:
            report = _wrong(report, self._rng)
            self._stage.tell("mover", "lies", mover.attempt_id)
        await self._tried(lambda: self._sessions.report(identity, report))
        mover.reported = True
        self._stage.tell("mover", "has reported", mover.attempt_id, report.failure or "success")
        if mishap < 0.55:
            await self._tried(lambda: self._sessions.report(identity, report))
        if report.failure is not None:
            raise _Gone("has failed")

    async def _capture(self, mover: Mover, assignment: Any) -> Report:
        content = mover.volume.content
        await virtual_time.passed(2.0 * self._rng.random())
        if mover.volume.content != content:
            return Report(attempt=mover.attempt_id, failure=Failure.VOLUME_CHANGED)
        self._bucket.put_part(assignment.part_urls[0], content)
        return _report(mover, totals_of(content), parts=[Part(1, ETAG, totals_of(content).sha256)])

    async def _restore(self, mover: Mover, assignment: Any) -> Report:
        if mover.volume.content != EMPTY:
            return Report(attempt=mover.attempt_id, failure=Failure.VOLUME_NOT_EMPTY)
        mover.volume.content = PARTIAL
        await virtual_time.passed(2.0 * self._rng.random())
        content = self._bucket.get(assignment.download_url)
        if totals_of(content) != assignment.expected:
            return Report(attempt=mover.attempt_id, failure=Failure.OBJECT_DAMAGED)
        mover.volume.content = content
        return _report(mover, totals_of(content), parts=[])

    async def _tried(self, call: Callable[[], Awaitable[Any]]) -> Any:
        for _ in range(TRIES):
            try:
                return await call()
            except MoorageError as error:
                last = error
                await virtual_time.passed(2.0 * self._rng.random())
        raise _Gone(f"gives up: {last!r}")

    def _ended(self, place: Place, uid: str, *, succeeded: bool) -> None:
        job = self._job(place, uid)
        if job is None or is_over(job):
            return
        condition = {"type": "Complete" if succeeded else "Failed", "status": "True"}
        self._cluster.edit(place, status={"conditions": [condition]})
        self._stage.later(KEPT_SECONDS, self._collect, place, uid)

    def _too_late(self, place: Place, uid: str) -> None:
        job = self._job(place, uid)
        if job is not None and not is_over(job):
            self._kill(uid)
            self._ended(place, uid, succeeded=False)

    def _remove(self, place: Place, uid: str) -> None:
        """The foreground deletion: the Job stays until its pod is gone."""
        mover = self.movers.get(uid)
        if mover is not None and mover.alive:
            self._kill(uid)
        if self._job(place, uid) is not None:
            self._cluster.remove(place)

    def _collect(self, place: Place, uid: str) -> None:
        if self._job(place, uid) is not None:
            self._cluster.remove(place)

    def _kill(self, uid: str) -> None:
        mover = self.movers.get(uid)
        if mover is not None and mover.alive:
            mover.alive = False
            self._stage.tell("mover", "is killed", mover.attempt_id)
            if mover.task is not None:
                mover.task.cancel()


class _Gone(Exception):
    """The mover's program has ended without success."""


def _report(mover: Mover, totals: Totals, *, parts: list[Part]) -> Report:
    return Report(
        attempt=mover.attempt_id, parts=parts, sha256=totals.sha256, object_bytes=totals.object_bytes,
        plain_bytes=totals.plain_bytes, file_count=totals.file_count,
    )  # fmt: skip


def _wrong(report: Report, rng: random.Random) -> Report:
    """The same report with something in it that is not so."""
    parts, sha256, files = report.parts, report.sha256, report.file_count
    lie = rng.choice(("hash", "files", "parts"))
    return Report(
        attempt=report.attempt,
        parts=[Part(1, "another", part.sha256) for part in parts] if lie == "parts" else parts,
        sha256=SHA256_OF_ANOTHER if lie != "files" else sha256,
        object_bytes=report.object_bytes,
        plain_bytes=report.plain_bytes,
        file_count=files + (lie == "files"),
    )
