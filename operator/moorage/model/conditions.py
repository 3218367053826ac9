"""The closed vocabulary of conditions: types, reasons, and the one fixed message of each reason."""

from enum import StrEnum
from typing import Any

import msgspec

from moorage.model.messages import MESSAGES
from moorage.model.reasons import Reason


class Status(StrEnum):
    """Three-valued, as in the Kubernetes API: a failed read is Unknown, never False."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(StrEnum):
    """Condition types of all four kinds."""

    READY = "Ready"
    FUNDED = "Funded"
    SUSPENDED = "Suspended"
    SNAPSHOT_READY = "SnapshotReady"
    VOLUME_READY = "VolumeReady"
    HEALTHY = "Healthy"
    ISOLATED = "Isolated"
    CLAIMED = "Claimed"
    PROVEN = "Proven"
    RECORD_READY = "RecordReady"
    CERTIFICATE_READY = "CertificateReady"
    ROUTE_READY = "RouteReady"


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """One condition as it stands in a status; times are RFC 3339 in UTC."""

    type: ConditionType
    status: Status
    reason: Reason
    message: str
    observed_generation: int
    last_transition_time: str = ""


def condition(kind: ConditionType, status: Status, reason: Reason, *, generation: int) -> Condition:
    """Build a condition with the reason's fixed message; the transition time is filled in when it is written."""
    return Condition(kind, status, reason, MESSAGES[reason], generation)


def as_manifest(item: Condition, transition_time: str) -> dict[str, Any]:
    """The condition as the JSON object that goes into a status."""
    return {
        "type": item.type.value,
        "status": item.status.value,
        "reason": item.reason.value,
        "message": item.message,
        "observedGeneration": item.observed_generation,
        "lastTransitionTime": transition_time,
    }
