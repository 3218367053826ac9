"""Domain: one host name that leads to an agent."""

from enum import StrEnum
from typing import Any

import msgspec

from moorage.model.metadata import Metadata


class AgentRef(msgspec.Struct, frozen=True, rename="camel"):
    """The agent a host name leads to, in the same namespace."""

    name: str


class Issuer(StrEnum):
    """Who signs the certificate of a host name."""

    CLOUDFLARE = "Cloudflare"
    ACME = "Acme"


class DomainSpec(msgspec.Struct, frozen=True, rename="camel"):
    """spec of a Domain."""

    hostname: str
    agent_ref: AgentRef
    proxied: bool | None = None  # absent: as the platform says
    certificate: Issuer | None = None  # absent: as the platform says


class Domain(msgspec.Struct, frozen=True, rename="camel"):
    """A Domain as the API server shows it."""

    metadata: Metadata
    spec: DomainSpec
    status: dict[str, Any] = {}


def from_manifest(manifest: Any) -> Domain:
    """Parse a Domain; raises msgspec.ValidationError when the manifest does not fit."""
    return msgspec.convert(manifest, Domain)
