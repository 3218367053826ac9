"""The operator's life: stand by, lead, reconcile, and stop in the order that loses nothing."""

import asyncio
import contextlib
import gc
import logging
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping

import kopf

from moorage import clockwork
from moorage.clockwork import Operation, Task
from moorage.controllers import handlers, startup
from moorage.controllers.agent_bell import AgentBell
from moorage.kube import crds
from moorage.model.errors import HistoryInDoubt, LostLeadership, MoorageError, Unavailable
from moorage.model.names import Key
from moorage.observability import Metrics

log = logging.getLogger(__name__)

Reconcile = Callable[[Key], Awaitable[float | None]]

IDENTITY = "moorage"
STANDBY_SECONDS = 1.0
BEAT_SECONDS = 1.0
DATABASE_LOOK_SECONDS = 5.0
DRAIN_SECONDS = 20.0
# Every settled key is looked at again after a random time in this span, as a net below missed news.
RESYNC_SECONDS = (600.0, 1200.0)


def measured(controllers: Mapping[str, Reconcile], metrics: Metrics, rng: random.Random) -> Reconcile:
    """One entry for the queue: the kind's reconcile, counted, and looked at again after a while. The queue logs."""

    async def reconcile(key: Key) -> float | None:
        started = time.perf_counter()
        result = "ok"
        try:
            wait_seconds = await controllers[key.kind](key)
        except LostLeadership:
            result = "retry"
            metrics.fencing_rejections.labels("epoch").inc()
            raise
        except MoorageError:
            result = "retry"
            raise
        except Exception:
            result = "bug"
            raise
        finally:
            metrics.reconciles.labels(key.kind, result).inc()
            metrics.reconcile_seconds.labels(key.kind).observe(time.perf_counter() - started)
        return rng.uniform(*RESYNC_SECONDS) if wait_seconds is None else wait_seconds

    return reconcile


def restarts(metrics: Metrics) -> Callable[[str, str], None]:
    """What reflectors tell of watches that broke off."""
    return lambda kind, reason: metrics.watch_restarts.labels(kind, reason).inc()


async def run(op: Operation) -> None:
    """Run until SIGTERM; raises when the lead is lost or a part of the process ends by itself."""
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    op.health.waiting_for = "the custom resource definitions"
    await crds.wait_established(op.client)
    stop = asyncio.create_task(stopping.wait(), name="stop")
    parts = [
        asyncio.create_task(op.world.run(), name="reflectors"),
        asyncio.create_task(_beat(op), name="beat"),
    ]
    try:
        op.health.waiting_for = "the caches"
        await _until(asyncio.create_task(op.world.listed(), name="caches"), stop, parts)
        _spare_the_collector()
        parts.append(asyncio.create_task(_watch_database(op), name="database watch"))
        epoch = await _take_lead(op, stop)
        if epoch is not None:
            await _lead(op, epoch, stopping, stop, parts)
    finally:
        await _cancel([*parts, stop])


def _spare_the_collector() -> None:
    """The caches are listed and stay: walking them again and again would only cost pauses."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _stop_on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)


async def _beat(op: Operation) -> None:
    while True:
        rested_at = time.monotonic()
        op.health.beat()
        op.metrics.queue_depth.set(op.queue.depth)
        for kind, age_seconds in op.world.silent_seconds().items():
            op.metrics.watch_age_seconds.labels(kind).set(age_seconds)
        await asyncio.sleep(BEAT_SECONDS)
        op.metrics.loop_lag_seconds.observe(max(0.0, time.monotonic() - rested_at - BEAT_SECONDS))


async def _watch_database(op: Operation) -> None:
    """Ready, as leader or standby, exactly while the database answers; restarting would not cure it, so no more."""
    while True:
        try:
            await op.database.value("SELECT 1")
            op.health.ready()
        except MoorageError:
            op.health.waiting_for = "the database"
        await asyncio.sleep(DATABASE_LOOK_SECONDS)


async def _take_lead(op: Operation, stop: Task) -> int | None:
    """Stand by with warm caches until the lease is free; None when told to stop before."""
    doubted = False
    while not stop.done():
        try:
            epoch = await op.leadership.take()
            op.metrics.history_in_doubt.set(0)
            if epoch is not None:
                return epoch
        except HistoryInDoubt as error:
            op.metrics.history_in_doubt.set(1)
            if not doubted:  # once: a person has to come, and that takes its time
                log.warning("nobody leads a restored database", extra={"why": str(error)})
            doubted = True
        except Unavailable:
            pass  # a standby has nothing to do about it
        await asyncio.wait([stop], timeout=STANDBY_SECONDS)
    return None


async def _lead(op: Operation, epoch: int, stopping: asyncio.Event, stop: Task, parts: list[Task]) -> None:
    """Lead until told to stop; what must end the process is raised from here."""
    op.epoch.lead(epoch)
    op.metrics.leader.set(1)
    op.metrics.leader_epoch.set(epoch)
    log.info("leading", extra={"epoch": epoch})
    # Tasks that exist before kopf starts are not taken for its own and cancelled with it.
    jobs = await clockwork.start(op)
    jobs.append(
        asyncio.create_task(
            AgentBell(op.client, op.objects, op.ring, restarted=restarts(op.metrics)).run(), name="agents"
        )
    )
    jobs.append(asyncio.create_task(op.herald.run(), name="herald"))
    kopf_stop, kopf_ready = asyncio.Event(), asyncio.Event()
    bells = asyncio.create_task(_ring_bells(op, kopf_stop, kopf_ready), name="doorbell")
    try:
        await _until(asyncio.create_task(kopf_ready.wait(), name="doorbell ready"), stop, [bells, *jobs, *parts])
        # kopf has put its own handler for SIGTERM in place, which would stop it before our queue is drained.
        _stop_on_signals(stopping)
        await _until(stop, stop, [bells, *jobs, *parts])
    finally:
        await op.queue.drain(DRAIN_SECONDS)
        kopf_stop.set()
        await _cancel(jobs)
        await asyncio.wait([bells], timeout=DRAIN_SECONDS)
        op.epoch.stop()
        op.metrics.leader.set(0)
        op.metrics.leader_epoch.set(0)
        with contextlib.suppress(MoorageError):
            await op.leadership.release(epoch)
        log.info("stopped leading", extra={"epoch": epoch})


async def _ring_bells(op: Operation, stop: asyncio.Event, ready: asyncio.Event) -> None:
    registry = kopf.OperatorRegistry()
    startup.register_login(registry, op.credentials)
    handlers.register(registry, op.objects, op.ring)
    await kopf.operator(
        registry=registry,
        settings=startup.settings(),
        # Else kopf asks for the user's name, which a container's user has not. The type is kopf's own secret.
        identity=IDENTITY,  # type: ignore[arg-type]
        memories=None,
        clusterwide=True,
        standalone=True,
        stop_flag=stop,
        ready_flag=ready,
    )


async def _until(wanted: Task, stop: Task, parts: list[Task]) -> None:
    """Wait for `wanted` or `stop`; the end of any part is the end of the process."""
    await asyncio.wait([wanted, stop, *parts], return_when=asyncio.FIRST_COMPLETED)
    for part in (wanted, *parts):
        if part.done() and not part.cancelled() and part.exception() is not None:
            part.result()
    for part in parts:
        if part.done() and not stop.done():
            raise Unavailable(f"{part.get_name()} has ended")
    if not wanted.done():
        await _cancel([wanted])


async def _cancel(tasks: list[Task]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
