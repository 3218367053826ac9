"""The objects of our four kinds as the doorbell last reported them."""

from collections.abc import Callable
from typing import Any

from moorage.model import agent, domain, namespace, wallet
from moorage.model.metadata import Metadata
from moorage.model.names import ANNOTATION_SNAPSHOT_REQUESTED, FINALIZER, Key

PARSERS: dict[str, Callable[[Any], Any]] = {
    "Agent": agent.from_manifest,
    "Wallet": wallet.from_manifest,
    "Namespace": namespace.from_manifest,
    "Domain": domain.from_manifest,
}


class Objects:
    """A cache by key; it says whether a change is news, so that echoes of our own status writes ring nothing."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Any] = {}
        self._domains: dict[str, set[Key]] = {}  # by namespace

    def get(self, key: Key) -> Any | None:  # Any: the kind's type, see PARSERS
        """The object, or None when it is not there."""
        return self._by_key.get(key)

    def agent(self, key: Key) -> agent.Agent | None:
        """An Agent."""
        found: agent.Agent | None = self._by_key.get(key)
        return found

    def domain(self, key: Key) -> domain.Domain | None:
        """A Domain."""
        found: domain.Domain | None = self._by_key.get(key)
        return found

    def domains_of(self, namespace: str, agent_name: str) -> list[Key]:
        """The Domains that lead to an agent."""
        return [
            key
            for key in self._domains.get(namespace, ())
            if (found := self.domain(key)) is not None and found.spec.agent_ref.name == agent_name
        ]

    def keys(self, kind: str) -> list[Key]:
        """All keys of a kind."""
        return [key for key in self._by_key if key.kind == kind]

    def put(self, manifest: dict[str, Any]) -> tuple[Key, bool]:
        """Keep an object; True when something changed that a reconcile cares about."""
        kind = manifest["kind"]
        new = PARSERS[kind](manifest)
        key = Key(kind, new.metadata.namespace, new.metadata.name)
        return key, self.keep(key, new)

    def keep(self, key: Key, new: Any) -> bool:  # Any: the kind's type, see PARSERS
        """Keep a parsed object; True when something changed that a reconcile cares about."""
        old = self._by_key.get(key)
        self._by_key[key] = new
        if key.kind == "Domain":
            self._domains.setdefault(key.namespace, set()).add(key)
        return old is None or _is_news(old.metadata, new.metadata)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._by_key.pop(key, None)
        self._domains.get(key.namespace, set()).discard(key)

    def drop(self, manifest: dict[str, Any]) -> Key:
        """Forget an object that was deleted."""
        metadata = manifest["metadata"]
        key = Key(manifest["kind"], metadata.get("namespace", ""), metadata["name"])
        self.forget(key)
        return key


def _is_news(old: Metadata, new: Metadata) -> bool:
    """A wish, a request, a deletion, or our finalizer taken away; that it appeared is the echo of our own write."""
    wishes = (old.uid, old.generation, old.deletion_timestamp) != (new.uid, new.generation, new.deletion_timestamp)
    asked = old.annotations.get(ANNOTATION_SNAPSHOT_REQUESTED) != new.annotations.get(ANNOTATION_SNAPSHOT_REQUESTED)
    return wishes or asked or (FINALIZER in old.finalizers and FINALIZER not in new.finalizers)
