"""TenantNamespace (kind `Namespace`): a tenant, the core namespace it owns and the wallet that pays for it."""

from enum import StrEnum
from typing import Any

import msgspec

from moorage.model.metadata import Metadata


class WalletRef(msgspec.Struct, frozen=True, rename="camel"):
    """The wallet that pays, by name."""

    name: str


class EgressClass(StrEnum):
    """Where the agents of a tenant may connect to; names are resolved for all of them."""

    PUBLIC_HTTPS = "PublicHttps"
    GATEWAY_ONLY = "GatewayOnly"
    NONE = "None"


class Isolation(StrEnum):
    """What stands between the pods of a tenant and their node: the kernel alone, or the platform's sandbox too."""

    STANDARD = "Standard"
    SANDBOXED = "Sandboxed"


class Quota(msgspec.Struct, frozen=True, rename="camel"):
    """Bounds of one tenant; CPU, memory and storage are Kubernetes quantities."""

    agents: int = 20
    cpu: str = "8"
    memory: str = "16Gi"
    storage: str = "100Gi"


class TenantNamespaceSpec(msgspec.Struct, frozen=True, rename="camel"):
    """spec of a Namespace."""

    wallet_ref: WalletRef
    quota: Quota = Quota()
    isolation: Isolation = Isolation.STANDARD
    egress: EgressClass = EgressClass.NONE

    @property
    def sandboxed(self) -> bool:
        """Whether its pods may only run in the platform's sandbox."""
        return self.isolation is Isolation.SANDBOXED


class TenantNamespace(msgspec.Struct, frozen=True, rename="camel"):
    """A Namespace of ours as the API server shows it."""

    metadata: Metadata
    spec: TenantNamespaceSpec
    status: dict[str, Any] = {}


def from_manifest(manifest: Any) -> TenantNamespace:
    """Parse a Namespace of ours; raises msgspec.ValidationError when the manifest does not fit."""
    return msgspec.convert(manifest, TenantNamespace)
