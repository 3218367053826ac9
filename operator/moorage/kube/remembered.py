"""What the cluster forgets and we must not: who owns what, how pods ended, when nodes last spoke."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Generic, TypeVar

from moorage.kube.nodes import Lease
from moorage.kube.reflector import Item, ObjectKey
from moorage.model.names import PodUid

T = TypeVar("T", bound=Item)
K = TypeVar("K")
V = TypeVar("V")

ENDINGS_MAX = 10_000
NODE_SILENCE_SECONDS = 40.0  # kubelets renew their lease every 10 s


class Children(Generic[T]):
    """Objects of one kind by the uid of their controller: uids, because names and labels come back."""

    def __init__(self) -> None:
        self._by_owner: dict[str, dict[ObjectKey, T]] = {}

    def of(self, namespace: str, owner_uid: str) -> Iterable[T]:
        """The children of an owner in its namespace; elsewhere anybody could claim to belong to it."""
        return [item for key, item in self._by_owner.get(owner_uid, {}).items() if key.namespace == namespace]

    def any_of(self, owner_uid: str) -> bool:
        """Whether an owner has children, wherever."""
        return owner_uid in self._by_owner

    def changed(self, key: ObjectKey, old: T | None, new: T | None) -> None:
        """Follow a change of the store."""
        before = old.metadata.controller if old is not None else None
        after = new.metadata.controller if new is not None else None
        if before is not None and (after is None or after.uid != before.uid):
            siblings = self._by_owner.get(before.uid)
            if siblings is not None:
                siblings.pop(key, None)
                if not siblings:
                    del self._by_owner[before.uid]
        if after is not None and new is not None:
            self._by_owner.setdefault(after.uid, {})[key] = new


class Endings:
    """When the container of a vanished pod had ended, as the kubelet reported it; the oldest are forgotten first."""

    def __init__(self, limit: int = ENDINGS_MAX) -> None:
        self._limit = limit
        self._owner_of: OrderedDict[PodUid, str] = OrderedDict()
        self._by_owner: dict[str, dict[PodUid, datetime]] = {}

    def add(self, owner_uid: str, pod_uid: PodUid, ended_at: datetime) -> None:
        """Remember one pod."""
        self._owner_of[pod_uid] = owner_uid
        self._by_owner.setdefault(owner_uid, {})[pod_uid] = ended_at
        if len(self._owner_of) > self._limit:
            oldest, owner = self._owner_of.popitem(last=False)
            of_owner = self._by_owner[owner]
            del of_owner[oldest]
            if not of_owner:
                del self._by_owner[owner]

    def of(self, owner_uid: str) -> tuple[tuple[PodUid, datetime], ...]:
        """The pods of an owner that ended and vanished."""
        return tuple(self._by_owner.get(owner_uid, {}).items())


class Heartbeats:
    """When each node last renewed its lease, on our own clock: the clocks of nodes may be wrong."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._now = now
        self._heard_at: dict[str, float] = {}

    def changed(self, key: ObjectKey, old: Lease | None, new: Lease | None) -> None:
        """Follow a lease."""
        if new is None:
            self._heard_at.pop(key.name, None)
            return
        renewed = new.spec.renew_time
        if renewed is None or (old is not None and old.spec.renew_time == renewed):
            return
        # At first sight only the node's own time says how old the lease is; a renewal that we see happens now.
        age = 0.0 if old is not None else max(0.0, (self._now() - renewed).total_seconds())
        self._heard_at[key.name] = self._clock() - age

    def fresh(self, node: str) -> bool:
        """Whether the node spoke lately."""
        heard_at = self._heard_at.get(node)
        return heard_at is not None and self._clock() - heard_at < NODE_SILENCE_SECONDS


class Recent(Generic[K, V]):
    """A map with a bound: what was put longest ago is forgotten first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, if it is still remembered."""
        return self._items.get(key)

    def put(self, key: K, value: V) -> None:
        """Remember a value."""
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._limit:
            self._items.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget a value."""
        self._items.pop(key, None)
