"""World: everything the cluster shows of our objects' children, from watches alone; no call per look."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from moorage.kube import kinds, nodes, routes, views, wire
from moorage.kube.kinds import Kind
from moorage.kube.manifests import manifest_of
from moorage.kube.nodes import Lease, Node
from moorage.kube.objects import Job, Live, Pod
from moorage.kube.reflector import Item, ObjectKey, Reflector, Restarted, Source, View
from moorage.kube.remembered import Children, Endings, Heartbeats
from moorage.model.domain_seen import Thing
from moorage.model.metadata import Metadata
from moorage.model.names import DEFAULT_DENY, WAITING_SERVICE, AgentUid, Key, PodUid
from moorage.model.observation import UNKNOWN, Observation, VolumeView

NODE_LEASE_NAMESPACE = "kube-node-lease"

Ring = Callable[[Key, bool], None]


class World:
    """The reflectors of all child kinds, and what can be read from them together."""

    def __init__(
        self,
        client: Source,
        ring: Ring,
        *,
        more: Collection[Kind] = (),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random | None = None,
        restarted: Restarted = lambda *_: None,
    ) -> None:
        self._ring_bell = ring
        self._held: dict[tuple[Kind, ObjectKey], list[tuple[Key, bool, int]]] = {}
        self._answered: dict[tuple[Kind, ObjectKey], int] = {}
        self._pod_children: Children[Pod] = Children()
        self._claim_children: Children[Live] = Children()
        self._job_children: Children[Job] = Children()
        self._endings = Endings()
        self._first_start: dict[str, datetime] = {}
        self._heartbeats = Heartbeats(clock=clock, now=now)
        self._clock = clock

        def reflect(view: View[Any], changed: Callable[[ObjectKey, Any, Any], None]) -> Reflector[Any]:
            return Reflector(client, view, changed, clock=clock, rng=rng, restarted=restarted)

        def ours(kind: Kind, type_: type[Item]) -> View[Any]:
            return View(kind=kind, type=type_, label_selector=routes.selector(kind))

        self._pods: Reflector[Pod] = reflect(ours(kinds.POD, Pod), self._pod_changed)
        self._jobs: Reflector[Job] = reflect(ours(kinds.JOB, Job), self._job_changed)
        self._nodes: Reflector[Node] = reflect(View(kind=kinds.NODE, type=Node), self._node_changed)
        self._leases: Reflector[Lease] = reflect(
            View(kind=kinds.LEASE, type=Lease, namespace=NODE_LEASE_NAMESPACE), self._heartbeats.changed
        )
        self._live: dict[Kind, Reflector[Live]] = {
            kind: reflect(ours(kind, Live), self._live_changed_of(kind)) for kind in (*kinds.LIVE, *more)
        }
        self._kept: dict[Kind, Reflector[Any]] = {kinds.POD: self._pods, kinds.JOB: self._jobs, **self._live}

    @property
    def reflectors(self) -> tuple[Reflector[Any], ...]:
        """All of them; for readiness and metrics (`kind`, `listed`, `last_seen`)."""
        return (*self._kept.values(), self._nodes, self._leases)

    async def run(self) -> None:
        """Keep everything up to date, for ever."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.reflectors:
                group.create_task(reflector.run(), name=f"reflector {reflector.kind}")

    async def listed(self) -> None:
        """Wait until every kind has been listed once."""
        for reflector in self.reflectors:
            await reflector.listed.wait()

    async def refresh(self) -> None:
        """Bring what absence is concluded from up to this moment: who waited to lead may have a watch that lags."""
        claims = self._live[kinds.PERSISTENT_VOLUME_CLAIM]
        await asyncio.gather(*(reflector.refresh() for reflector in (self._pods, self._jobs, claims)))

    def silent_seconds(self) -> dict[str, float]:
        """Per kind, how long its watch has shown no sign of life."""
        return {str(reflector.kind): self._clock() - reflector.last_seen for reflector in self.reflectors}

    def agent(self, namespace: str, name: str, uid: AgentUid) -> Observation:  # noqa: ARG002  # the name is for readers
        """One agent's world; children belong to it by the uid of their controller, whatever their names say."""
        claims = self._live[kinds.PERSISTENT_VOLUME_CLAIM]
        return Observation(
            pods=tuple(self._pod_view(pod) for pod in self._pod_children.of(namespace, uid))
            if self._pods.listed.is_set()
            else UNKNOWN,
            volumes=tuple(self._volume_view(claim) for claim in self._claim_children.of(namespace, uid))
            if claims.listed.is_set()
            else UNKNOWN,
            jobs=tuple(views.job_view(job) for job in self._job_children.of(namespace, uid))
            if self._jobs.listed.is_set()
            else UNKNOWN,
            ended=self._endings.of(uid),
        )

    def sheltered(self, namespace: str, tenant_uid: str) -> bool:
        """Whether pods may start in a core namespace: it is this tenant's, and closed."""
        core = self._live[kinds.CORE_NAMESPACE].store.get(ObjectKey("", namespace))
        denial = self._live[kinds.NETWORK_POLICY].store.get(ObjectKey(namespace, DEFAULT_DENY))
        return views.shelters(core, denial, tenant_uid)

    def has_pods(self, uid: str) -> bool:
        """Whether a pod of this agent is there, or may be there because the pods are not known yet."""
        return not self._pods.listed.is_set() or self._pod_children.any_of(uid)

    def ends_of(self, uid: str) -> tuple[tuple[PodUid, datetime], ...]:
        """When the pods of this agent that have vanished had ended, as far as the kubelet said."""
        return self._endings.of(uid)

    def route_seen(self, domain: Metadata, wanted: Mapping[str, Any] | None) -> Thing:
        """How the route of a Domain stands to the one that is wanted; None: none is."""
        kind = next(kind for kind in routes.ROUTES.values() if kind in self._live)
        found = self._live[kind].store.get(_key_of(routes.place(kind, domain)))
        return routes.seen(self._live[kind].listed.is_set(), found, domain, wanted)

    def waiting_address(self, namespace: str) -> str | None:
        """The address of the waiting page's own Service, in the platform's namespace."""
        service = self._live[kinds.SERVICE].store.get(ObjectKey(namespace, WAITING_SERVICE))
        return None if service is None else (service.spec or {}).get("clusterIP")

    def node_proofs(self) -> dict[str, int]:
        """For each Ready node the second up to which it has proven to be alive."""
        leases = {key.name: lease for key, lease in self._leases.store.items()}
        return nodes.proofs({key.name: node for key, node in self._nodes.store.items()}, leases)

    def node_reachable(self, node: str | None) -> bool:
        """Whether the node is Ready and spoke lately."""
        found = self._nodes.store.get(ObjectKey("", node)) if node else None
        return node is not None and found is not None and found.ready and self._heartbeats.fresh(node)

    def node_lost(self, node: str | None) -> bool:
        """Whether the control plane itself says that a node is silent or gone; that we hear nothing is no such word."""
        if node is None or not self._nodes.listed.is_set():
            return False
        found = self._nodes.store.get(ObjectKey("", node))
        return found is None or found.silent

    def live(self, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
        """The object a manifest describes as it is now; of pods and jobs only their identity."""
        found = self._kept[kinds.of(manifest)].store.get(_key_of(manifest))
        return None if found is None else manifest_of(found)

    def store(self, kind: Kind, raw: bytes) -> None:
        """Keep an answer of the server, so that what we wrote does not look absent until the watch shows it."""
        reflector = self._kept[kind]
        item = wire.decoded(Live if kind in self._live else Pod if kind == kinds.POD else Job, raw)
        key = ObjectKey(item.metadata.namespace, item.metadata.name)
        if (kind, key) in self._held:
            self._answered[kind, key] = item.metadata.version
        if item.metadata.managed:  # without the label no watch would ever tell that it is gone
            reflector.put(item)

    @contextlib.contextmanager
    def writing(self, manifest: Mapping[str, Any]) -> Iterator[None]:
        """While a write of ours is under way: its own echo rings nothing, a later or foreign change rings after it."""
        place = (kinds.of(manifest), _key_of(manifest))
        self._held[place] = []
        try:
            yield
        finally:
            answered = self._answered.pop(place, 0)
            for key, urgent, version in self._held.pop(place, ()):
                if version == 0 or version > answered:
                    self._ring_bell(key, urgent)

    def _pod_view(self, pod: Pod) -> Any:
        started = self._first_start.get(pod.metadata.uid) or views.start_of(pod)
        reachable, lost = self.node_reachable(pod.spec.node_name), self.node_lost(pod.spec.node_name)
        return views.pod_view(pod, started_at=started, node_ready=reachable, node_lost=lost)

    def _volume_view(self, claim: Live) -> VolumeView:
        return views.volume_view(claim, node_lost=self.node_lost(views.node_of(claim)))

    def _pod_changed(self, key: ObjectKey, old: Pod | None, new: Pod | None) -> None:
        self._pod_children.changed(key, old, new)
        if new is None:
            if old is not None:
                self._remember_end(old)
        elif views.agent_container(new).restart_count:
            # From the second restart on, the first start is no longer in the pod's status.
            start = views.start_of(old if old is not None else new)
            if start is not None:
                self._first_start.setdefault(new.metadata.uid, start)
        if old is None or new is None or views.matters(old) != views.matters(new):
            self._ring(kinds.POD, key, old, new)

    def _remember_end(self, pod: Pod) -> None:
        self._first_start.pop(pod.metadata.uid, None)
        owner, ended_at = pod.metadata.controller, views.end_of(pod)
        if owner is not None and ended_at is not None:
            self._endings.add(owner.uid, PodUid(pod.metadata.uid), ended_at)

    def _job_changed(self, key: ObjectKey, old: Job | None, new: Job | None) -> None:
        self._job_children.changed(key, old, new)
        if old is None or new is None or views.job_matters(old) != views.job_matters(new):
            self._ring(kinds.JOB, key, old, new)

    def _live_changed_of(self, kind: Kind) -> Callable[[ObjectKey, Live | None, Live | None], None]:
        claims = kind == kinds.PERSISTENT_VOLUME_CLAIM
        content = views.volume_matters if claims else Live.content

        def changed(key: ObjectKey, old: Live | None, new: Live | None) -> None:
            if claims:
                self._claim_children.changed(key, old, new)
            if old is None or new is None or content(old) != content(new):
                self._ring(kind, key, old, new)

        return changed

    def _node_changed(self, key: ObjectKey, old: Node | None, new: Node | None) -> None:
        if nodes.says(old) == nodes.says(new):
            return
        for pod_key, pod in self._pods.store.items():  # rare: a node came or went
            if pod.spec.node_name == key.name:
                self._ring(kinds.POD, pod_key, pod, pod)

    def _ring(self, kind: Kind, key: ObjectKey, old: Item | None, new: Item | None) -> None:
        item = new if new is not None else old
        if item is None:
            return
        target = views.owner_key(item.metadata.controller, key.namespace, key.name)
        if target is None:
            if kind == kinds.SERVICE and key.name == WAITING_SERVICE:  # the platform's: all tenants' lead to it
                for core_key, core in self._live[kinds.CORE_NAMESPACE].store.items():
                    self._ring(kinds.CORE_NAMESPACE, core_key, core, core)
            return
        urgent = new is None
        if (held := self._held.get((kind, key))) is not None:
            held.append((target, urgent, 0 if new is None else new.metadata.version))
        else:
            self._ring_bell(target, urgent)


def _key_of(manifest: Mapping[str, Any]) -> ObjectKey:
    return ObjectKey(manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
