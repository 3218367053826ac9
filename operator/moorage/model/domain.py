"""Domain: one host name that leads to an agent."""

from typing import Any

import msgspec

from moorage.model.metadata import Metadata


class AgentRef(msgspec.Struct, frozen=True, rename="camel"):
    """The agent a host name leads to, in the same namespace."""

    name: str


class DomainSpec(msgspec.Struct, frozen=True, rename="camel"):
    """spec of a Domain."""

    hostname: str
    agent_ref: AgentRef


class Domain(msgspec.Struct, frozen=True, rename="camel"):
    """A Domain as the API server shows it."""

    metadata: Metadata
    spec: DomainSpec
    status: dict[str, Any] = {}


def from_manifest(manifest: Any) -> Domain:
    """Parse a Domain; raises msgspec.ValidationError when the manifest does not fit."""
    return msgspec.convert(manifest, Domain)
