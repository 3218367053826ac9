"""Agent: one workload with data, as its tenant wishes it."""

from enum import StrEnum
from typing import Any

import msgspec

from moorage.model.budget import Budget
from moorage.model.metadata import Metadata


class DesiredState(StrEnum):
    """What the tenant asks for; absent means: as the record says."""

    RUNNING = "Running"
    SUSPENDED = "Suspended"


class SecretKeyRef(msgspec.Struct, frozen=True, rename="camel"):
    """One key of a Secret in the agent's namespace."""

    name: str
    key: str


class EnvVar(msgspec.Struct, frozen=True, rename="camel"):
    """One environment variable: a literal value or a reference to a Secret's key."""

    name: str
    value: str | None = None
    secret_key_ref: SecretKeyRef | None = None


class Storage(msgspec.Struct, frozen=True, rename="camel"):
    """A volume at /data that survives everything but purge; `size` is a Kubernetes quantity."""

    size: str


class Http(msgspec.Struct, frozen=True, rename="camel"):
    """The HTTP port the agent serves, and the path that answers 200 when it is ready."""

    port: int
    health_path: str = "/healthz"


class Snapshots(msgspec.Struct, frozen=True, rename="camel"):
    """When snapshots are taken beside those of every stop (`schedule`: a cron line in UTC), and how many are kept."""

    schedule: str | None = None
    keep: int = 3


class Quiesce(msgspec.Struct, frozen=True, rename="camel"):
    """A path on the agent's port that is asked before the agent is stopped, and the time a stop may take for it."""

    http_path: str
    timeout_seconds: int = 10


class Recovery(StrEnum):
    """What to do when the volume is lost with its node."""

    MANUAL = "Manual"
    FROM_SNAPSHOT = "FromSnapshot"


class RestoreFrom(msgspec.Struct, frozen=True, rename="camel"):
    """The snapshot a new agent's volume is filled from, by its name."""

    snapshot: str


class AgentSpec(msgspec.Struct, frozen=True, rename="camel"):
    """spec of an Agent; exactly one of `image` and `runtime` is set (CEL refuses the rest)."""

    size: str
    image: str | None = None
    runtime: str | None = None
    command: list[str] = []
    args: list[str] = []
    desired_state: DesiredState | None = None
    env: list[EnvVar] = []
    files: dict[str, str] = {}
    storage: Storage | None = None
    http: Http | None = None
    budget: Budget | None = None
    snapshots: Snapshots | None = None
    quiesce: Quiesce | None = None
    recovery: Recovery = Recovery.MANUAL
    restore_from: RestoreFrom | None = None


class Agent(msgspec.Struct, frozen=True, rename="camel"):
    """An Agent as the API server shows it; `status` is kept as it was last seen, to write only differences."""

    metadata: Metadata
    spec: AgentSpec
    status: dict[str, Any] = {}


def from_manifest(manifest: Any) -> Agent:
    """Parse an Agent; raises msgspec.ValidationError when the manifest does not fit."""
    return msgspec.convert(manifest, Agent)
