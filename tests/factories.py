"""Values for tests: each function gives a plain, valid one; keyword arguments say what is special about it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from moorage.lifecycle.decision import Desired
from moorage.model import agent as agents
from moorage.model import domain_record as domain_records
from moorage.model import namespace as tenants
from moorage.model.agent import Agent
from moorage.model.domain import AgentRef, Domain, DomainSpec
from moorage.model.domain_record import AgentFacts, DomainRecord, DomainState, Paid
from moorage.model.exits import Exit, ExitReason
from moorage.model.ledger import WalletView
from moorage.model.metadata import Metadata
from moorage.model.names import AgentUid, PodUid, SnapshotId, TenantUid, WalletId
from moorage.model.namespace import TenantNamespace
from moorage.model.network import Addresses, Egress
from moorage.model.observation import JobOutcome, JobView, Observation, PodPhase, PodView, VolumeView
from moorage.model.offer import MoverOffer, Platform, SizeClass
from moorage.model.rates import Meter, Stored
from moorage.model.record import (
    AgentRecord,
    AgentState,
    Attempt,
    AttemptKind,
    AttemptState,
    SnapshotFacts,
    SnapshotPurpose,
    WalletFacts,
)
from moorage.model.wallet import Standing, Veto, Wallet

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
AGENT_UID = "a0000000-0000-4000-8000-000000000001"
TENANT_UID = "b0000000-0000-4000-8000-000000000001"
NODE = Addresses(cidr="10.77.0.1/32")
ATTEMPT_ID = "c0000000-0000-4000-8000-000000000001"
SNAPSHOT_ID = "d0000000-0000-4000-8000-000000000001"
DOMAIN_UID = "e0000000-0000-4000-8000-000000000001"
POD_HASH = "0123456789abcdef"


def agent_manifest(**spec: Any) -> dict[str, Any]:
    """An Agent as the API server shows it, of the runtime `chatbot` unless the spec says otherwise."""
    base = {"size": "small"} if "image" in spec else {"runtime": "chatbot", "size": "small"}
    return {
        "apiVersion": "moorage.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": "helper", "namespace": "mn-acme", "uid": AGENT_UID, "generation": 1},
        "spec": base | spec,
    }


def agent(*, status: dict[str, Any] | None = None, deleting: bool = False, **spec: Any) -> Agent:
    """An Agent; keyword arguments are fields of its spec as in a manifest."""
    manifest = agent_manifest(**spec) | {"status": status or {}}
    if deleting:
        manifest["metadata"]["deletionTimestamp"] = "2026-05-01T12:00:00Z"
    return agents.from_manifest(manifest)


def tenant(**quota: Any) -> TenantNamespace:
    """A Namespace of ours; keyword arguments are its quota."""
    spec: dict[str, Any] = {"walletRef": {"name": "acme"}}
    if quota:
        spec["quota"] = quota
    metadata = {"name": "acme", "uid": TENANT_UID, "generation": 1}
    return tenants.from_manifest({"metadata": metadata, "spec": spec})


def wallet(*, status: dict[str, Any] | None = None) -> Wallet:
    """A Wallet."""
    return Wallet(metadata=Metadata(name="acme", generation=1), status=status or {})


def domain(**spec: Any) -> Domain:
    """A Domain; `x=1` sets a field of its spec."""
    asked = DomainSpec(hostname="bot.example.com", agent_ref=AgentRef(name="helper"), **spec)
    return Domain(metadata=Metadata(name="bot", namespace="mn-acme", generation=1), spec=asked)


def domain_record(**changes: Any) -> DomainRecord:
    """A Domain below the platform's zone that is active and paid, and whose agent runs."""
    base: dict[str, Any] = {
        "uid": DOMAIN_UID, "tenant_uid": TenantUid(TENANT_UID), "namespace": "mn-acme", "name": "bot",
        "agent_name": "helper", "hostname": "bot.agents.example", "own": False, "state": DomainState.ACTIVE,
        "state_since": NOW, "fence": 0, "now": NOW, "standing": domain_records.Standing.HELD,
        "challenge": "moorage-proof=1", "proven_at": None, "looked_at": None, "missing_since": None, "record_id": "r1",
        "provider_hostname_id": None, "certificate": None,
        "paid": Paid(until=NOW + timedelta(days=20), unpaid_since=None, release_at=None),
        "agent": AgentFacts(uid=AGENT_UID, state=AgentState.RUNNING),
    }  # fmt: skip
    return DomainRecord(**base | changes)


def platform(**changes: Any) -> Platform:
    """A platform with one size, one runtime and one allowed registry."""
    base: dict[str, Any] = {
        "sizes": {"small": SizeClass(cpu="250m", memory="256Mi", rate_picos=10_000_000)},
        "runtimes": {"chatbot": "localhost/moorage-agent:dev"},
        "allowed_images": ("registry.example.com/",),
        "mover": mover_offer(),
    }
    return Platform(**base | changes)


def mover_offer(**changes: Any) -> MoverOffer:
    """How movers are made: two destinations, the object store and the platform's API."""
    base: dict[str, Any] = {
        "image": "localhost/moorage:dev",
        "api_url": "https://10.77.0.1:8443",
        "api_ca_pem": "-----BEGIN CERTIFICATE-----\nZm9y\n-----END CERTIFICATE-----\n",
        "egress": (Egress(to=NODE, port=9000), Egress(to=NODE, port=8443)),
    }
    return MoverOffer(**base | changes)


def agent_record(**changes: Any) -> AgentRecord:
    """The record of an agent with storage that runs its first incarnation."""
    base: dict[str, Any] = {
        "uid": AgentUid(AGENT_UID),
        "tenant_uid": TenantUid(TENANT_UID),
        "namespace": "mn-acme",
        "name": "helper",
        "state": AgentState.RUNNING,
        "state_since": NOW - timedelta(minutes=5),
        "fence": 1,
        "veto": None,
        "budget_picos": None,
        "user_paused": False,
        "incarnation": 1,
        "pod_uid": PodUid("pod-1"),
        "endings": 0,
        "start_at": None,
        "last_exit": None,
        "silent_since": None,
        "fenced_incarnation": 0,
        "left_generation": 0,
        "left_until": None,
        "stop_recorded": False,
        "has_storage": True,
        "volume_generation": 1,
        "volume_floor_mib": 0,
        "volume_uid": "volume-1",
        "failures": 0,
        "retry_at": None,
        "archive_at": None,
        "attempt": None,
        "snapshot": None,
        "kept": (changes["snapshot"],) if changes.get("snapshot") else (),
        "restore": None,
        "wish": None,
        "request_seen": None,
        "schedule": None,
        "next_snapshot_at": None,
        "stored": (Stored(Meter.VOLUME, "volume-1", 1024),),
        "wallet": wallet_facts(),
        "now": NOW,
    }
    return AgentRecord(**base | changes)


def desired(**changes: Any) -> Desired:
    """An agent with storage that is to run, and whose spec can be used."""
    base: dict[str, Any] = {
        "state": None,
        "deleting": False,
        "problem": None,
        "pod_hash": POD_HASH,
        "storage": True,
        "warm_window": timedelta(hours=24),
        "request": None,
        "schedule": None,
        "keep": 3,
        "freezable": frozenset(),
    }
    return Desired(**base | changes)


def wallet_facts(**changes: Any) -> WalletFacts:
    """A funded wallet that ends in an hour; its veto follows its standing unless one is given."""
    vetoes = {Standing.EXHAUSTED: Veto.ZERO_BALANCE, Standing.ON_HOLD: Veto.BILLING_ON_HOLD}
    base: dict[str, Any] = {
        "id": WalletId(1),
        "name": "acme",
        "standing": Standing.FUNDED,
        "low_by_runway": False,
        "zero_at": NOW + timedelta(hours=1),
        "missing_micros": 0,
        "veto": vetoes.get(changes.get("standing", Standing.FUNDED)),
    }
    return WalletFacts(**base | changes)


def wallet_view(**changes: Any) -> WalletView:
    """A funded wallet as the ledger shows it."""
    base: dict[str, Any] = {
        "id": WalletId(1),
        "name": "acme",
        "standing": Standing.FUNDED,
        "balance_micros": 12_345_678,
        "live_balance_micros": 12_345_600,
        "held_micros": 0,
        "burn_picos": 10_000_000,
        "zero_at": NOW + timedelta(hours=1),
        "runway_seconds": 3600,
        "missing_micros": 0,
        "low_by_runway": False,
        "limit_reached": False,
        "now": NOW,
    }
    return WalletView(**base | changes)


def snapshot_facts(**changes: Any) -> SnapshotFacts:
    """A verified snapshot, an hour old."""
    base: dict[str, Any] = {
        "id": SnapshotId(SNAPSHOT_ID),
        "taken_at": NOW - timedelta(hours=1),
        "bytes": 1_048_576,
        "files": 3,
        "disk_bytes": 2_097_152,
    }
    return SnapshotFacts(**base | changes)


def attempt(**changes: Any) -> Attempt:
    """A snapshot attempt whose mover may run."""
    base: dict[str, Any] = {
        "id": ATTEMPT_ID,
        "snapshot_id": SnapshotId(SNAPSHOT_ID),
        "kind": AttemptKind.SNAPSHOT,
        "state": AttemptState.STARTED,
        "created_at": NOW - timedelta(seconds=6),
        "granted_at": NOW - timedelta(seconds=5),
        "copy": None,
        "copy_asked_at": None,
        "purpose": None if changes.get("kind") is AttemptKind.RESTORE else SnapshotPurpose.SUSPENSION,
    }
    return Attempt(**base | changes)


def pod_view(**changes: Any) -> PodView:
    """A ready pod of the first incarnation."""
    base: dict[str, Any] = {
        "name": "helper-1",
        "uid": PodUid("pod-1"),
        "phase": PodPhase.RUNNING,
        "ready": True,
        "deleting": False,
        "node": "node",
        "node_ready": True,
        "node_lost": False,
        "spec_hash": POD_HASH,
        "container_id": "containerd://1",
        "started_at": NOW - timedelta(minutes=4),
        "ended_at": None,
        "waiting_reason": None,
        "unschedulable": False,
        "restarts": 0,
        "last_exit": None,
        "image_id": "localhost/moorage-agent@sha256:1",
    }
    return PodView(**base | changes)


def exit_of(reason: ExitReason = ExitReason.ERROR, **changes: Any) -> Exit:
    """A container that ended a minute ago, after a few seconds."""
    base: dict[str, Any] = {"reason": reason, "code": 1, "at": NOW - timedelta(minutes=1), "ran_seconds": 5}
    return Exit(**base | changes)


def volume_view(**changes: Any) -> VolumeView:
    """The bound claim of the first volume generation."""
    base: dict[str, Any] = {
        "name": "data-helper-1",
        "uid": "volume-1",
        "bound": True,
        "deleting": False,
        "mib": 1024,
        "node": "node",
        "node_lost": False,
        "storage_class": "local-path",
    }
    return VolumeView(**base | changes)


def job_view(**changes: Any) -> JobView:
    """A mover at work."""
    base: dict[str, Any] = {
        "name": f"mover-{ATTEMPT_ID}",
        "uid": "job-1",
        "attempt_id": ATTEMPT_ID,
        "outcome": JobOutcome.ACTIVE,
        "deleting": False,
    }
    return JobView(**base | changes)


def observation(**changes: Any) -> Observation:
    """A world in order: one ready pod, one bound claim, no mover."""
    base: dict[str, Any] = {"pods": (pod_view(),), "volumes": (volume_view(),), "jobs": (), "ended": ()}
    return Observation(**base | changes)
