"""Agents as the API server sends them, decoded without a detour through dictionaries."""

import msgspec

from moorage.kube.objects import Identity
from moorage.model.agent import Agent, AgentSpec
from moorage.model.metadata import Metadata
from moorage.model.names import ANNOTATION_SNAPSHOT_REQUESTED

EMPTY = msgspec.Raw(b"{}")

_SPEC = msgspec.json.Decoder(AgentSpec)


class Requests(msgspec.Struct, frozen=True):
    """The annotations of an Agent that ask for something."""

    snapshot: str | None = msgspec.field(name=ANNOTATION_SNAPSHOT_REQUESTED, default=None)

    @property
    def by_name(self) -> dict[str, str]:
        """Those that are set."""
        return {} if self.snapshot is None else {ANNOTATION_SNAPSHOT_REQUESTED: self.snapshot}


class AgentMetadata(Identity, frozen=True, rename="camel"):
    """metadata of an Agent."""

    generation: int = 0
    annotations: Requests = Requests()
    finalizers: tuple[str, ...] = ()


class AgentObject(msgspec.Struct, frozen=True):
    """An Agent whose spec is not parsed yet: one that does not fit must not spoil the list it comes in."""

    metadata: AgentMetadata
    spec: msgspec.Raw = EMPTY
    status: msgspec.Raw = EMPTY


def parse(item: AgentObject) -> Agent:
    """The Agent; raises msgspec.ValidationError when its spec does not fit."""
    seen = item.metadata
    return Agent(
        metadata=Metadata(
            name=seen.name,
            namespace=seen.namespace,
            uid=seen.uid,
            resource_version=seen.resource_version,
            generation=seen.generation,
            deletion_timestamp=seen.deletion_timestamp,
            finalizers=list(seen.finalizers),
            annotations=seen.annotations.by_name,
        ),
        spec=_SPEC.decode(item.spec),
        status=msgspec.json.decode(item.status),
    )
