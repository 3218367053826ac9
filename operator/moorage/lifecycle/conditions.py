"""Status of all four kinds: the projection of record, ledger and observation that people see.

Conditions come without `lastTransitionTime`: whoever writes the status adds it. Nothing here changes from second to
second, so that an agent at work costs no writes.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from moorage.lifecycle import decision, domain_conditions, health, verdicts
from moorage.lifecycle.verdicts import UNREADABLE, Verdict
from moorage.model import clock, conditions, money, names
from moorage.model.agent import Agent
from moorage.model.conditions import ConditionType, Status
from moorage.model.domain import Domain
from moorage.model.domain_record import DomainRecord
from moorage.model.domain_seen import DomainSeen
from moorage.model.exits import Exit
from moorage.model.ledger import WalletView
from moorage.model.metadata import Metadata
from moorage.model.namespace import TenantNamespace
from moorage.model.observation import Observation, Unknown
from moorage.model.offer import DomainOffer
from moorage.model.reasons import Reason
from moorage.model.record import AgentRecord, AgentState
from moorage.model.wallet import Wallet

StatusManifest = dict[str, Any]  # a status leaves for the API server as JSON

# A predicted zero that moves by less than this share of the time left is not worth a write.
ZERO_AT_TOLERANCE = 0.1
# What usage moves from second to second in a wallet's status. The predicted zero says it better, and without a write.
USAGE = ("asOf", "balance", "held")
USAGE_AGE_MAX = timedelta(hours=6)
OF_POD = ("podName", "restarts", "imageDigest", "lastExit")
SAID = ("status", "reason", "observedGeneration")
STARTING = frozenset({Reason.ISOLATION_PENDING, Reason.POD_STARTING, Reason.POD_NOT_READY})


def agent_status(
    agent: Agent, record: AgentRecord | None, seen: Observation, *, problem: Reason | None, rate_picos: int | None
) -> StatusManifest:
    """The whole status of an Agent; without a record only `Ready` is known, with the problem as its reason."""
    if record is None:
        verdict = UNREADABLE if problem is None else (Status.FALSE, problem)
        return _status(agent.metadata, {ConditionType.READY: verdict})
    said = {
        ConditionType.READY: verdicts.ready(agent, record, seen, problem),
        ConditionType.FUNDED: verdicts.funded(record),
        ConditionType.SUSPENDED: verdicts.suspended(agent, record, seen, problem),
        ConditionType.HEALTHY: health.healthy(record, seen),
        ConditionType.VOLUME_READY: (Status.FALSE, Reason.NO_STORAGE),
    }
    if record.has_storage or agent.spec.storage is not None:
        said[ConditionType.VOLUME_READY] = verdicts.volume_ready(record, seen)
        said[ConditionType.SNAPSHOT_READY] = verdicts.snapshot_ready(record, problem)
    status = _status(agent.metadata, said) | _of_pod(agent, record, seen)
    if agent.spec.http is not None:
        service, namespace = names.agent_service(record.name), record.namespace
        status["url"] = f"http://{service}.{namespace}.svc:{agent.spec.http.port}"
    if rate_picos is not None:
        status["pricePerHour"] = money.format_price_per_hour(rate_picos)
    if record.state is AgentState.RUNNING and record.wallet.zero_at is not None:
        status["zeroAt"] = _zero_at(record.wallet.zero_at, agent.status.get("zeroAt"), record.now)
    if (purge_at := verdicts.purge_at(record)) is not None:
        status["purgeAt"] = clock.rfc3339(purge_at)
    if record.grace.purged_at is not None:
        status["purgedAt"] = clock.rfc3339(record.grace.purged_at)
    if record.snapshot is not None:
        status["lastSnapshot"] = {
            "id": names.snapshot_name(record.snapshot.id),
            "takenAt": clock.rfc3339(record.snapshot.taken_at),
            "bytes": record.snapshot.bytes,
            "verified": True,
        }
    return status


def is_starting(status: Mapping[str, Any]) -> bool:  # Any: a status, ours or as it was watched
    """Whether an agent's status says only that its pod is on the way to being ready."""
    ready = [item for item in status.get("conditions", ()) if item["type"] == ConditionType.READY]
    return bool(ready) and ready[0]["status"] == Status.FALSE and ready[0]["reason"] in STARTING


def wallet_status(wallet: Wallet, view: WalletView | None, *, problem: Reason | None) -> StatusManifest:
    """The whole status of a Wallet; `view` is None when the ledger does not know it (yet)."""
    if view is None:
        return _status(wallet.metadata, {ConditionType.READY: UNREADABLE, ConditionType.FUNDED: UNREADABLE})
    ready: Verdict = (Status.TRUE, Reason.LEDGER_READY) if problem is None else (Status.FALSE, problem)
    funded = _wallet_funded(view)
    status = _status(wallet.metadata, {ConditionType.READY: ready, ConditionType.FUNDED: funded}) | {
        "asOf": clock.rfc3339(view.now),
        "balance": money.format_micros(view.balance_micros),
        "held": money.format_micros(view.held_micros),
        "burnPerHour": money.format_price_per_hour(view.burn_picos),
        "standing": view.standing.value,
    }
    if view.zero_at is not None:
        status["zeroAt"] = _zero_at(view.zero_at, wallet.status.get("zeroAt"), view.now)
    if view.missing_micros > 0:
        status["missing"] = money.format_micros(view.missing_micros)
    return _steady(status, wallet.status, view)


def tenant_status(
    tenant: TenantNamespace, *, problem: Reason | None, wallet: WalletView | None, agents: tuple[int, int, int]
) -> StatusManifest:
    """The whole status of a Namespace; `agents` counts all, running and suspended ones."""
    ready: Verdict = (Status.TRUE, Reason.CORE_NAMESPACE_READY) if problem is None else (Status.FALSE, problem)
    # Agents that hold up a deletion stay isolated; any other problem keeps the policies from being applied.
    isolated = ready if problem not in (None, Reason.AGENTS_REMAIN) else (Status.TRUE, Reason.ISOLATION_APPLIED)
    funded = (Status.FALSE, Reason.WALLET_NOT_FOUND)
    if wallet is not None:
        funded = _wallet_funded(wallet)
    said = {ConditionType.READY: ready, ConditionType.ISOLATED: isolated, ConditionType.FUNDED: funded}
    total, running, suspended = agents
    return _status(tenant.metadata, said) | {
        "coreNamespace": names.core_namespace(tenant.metadata.name),
        "agents": {"total": total, "running": running, "suspended": suspended},
    }


def domain_status(
    domain: Domain,
    record: DomainRecord | None,
    seen: DomainSeen,
    *,
    problem: Reason | None,
    offer: DomainOffer | None,
) -> StatusManifest:
    """The whole status of a Domain; without a record only `Ready` is known, with the problem as its reason."""
    if record is None:
        verdict = UNREADABLE if problem is None else (Status.FALSE, problem)
        return _status(domain.metadata, {ConditionType.READY: verdict})
    said = domain_conditions.verdicts(record, seen, problem=problem, deleting=domain.metadata.deleting)
    ready = said[ConditionType.READY][0] is Status.TRUE
    facts = domain_conditions.facts(record, offer, ready=ready, asked=domain.spec.certificate)
    return _status(domain.metadata, said) | facts


def _wallet_funded(view: WalletView) -> Verdict:
    return verdicts.wallet_funded(view.standing, low_by_runway=view.low_by_runway, limit_reached=view.limit_reached)


def _status(metadata: Metadata, said: dict[ConditionType, Verdict]) -> StatusManifest:
    return {
        "observedGeneration": metadata.generation,
        "conditions": [
            _condition(kind, *verdict, generation=metadata.generation) for kind, verdict in sorted(said.items())
        ],
    }


def _condition(kind: ConditionType, status: Status, reason: Reason, *, generation: int) -> StatusManifest:
    manifest = conditions.as_manifest(conditions.condition(kind, status, reason, generation=generation), "")
    del manifest["lastTransitionTime"]
    return manifest


def _of_pod(agent: Agent, record: AgentRecord, seen: Observation) -> StatusManifest:
    if isinstance(seen.pods, Unknown):  # a failed read is no absence: what was last seen stays
        return {name: agent.status[name] for name in OF_POD if name in agent.status}
    pod = decision.current_pod(record, seen.pods)
    found: StatusManifest = {}
    if pod is not None:
        found = {"podName": pod.name, "restarts": pod.restarts}
        if pod.image_id is not None:
            found["imageDigest"] = pod.image_id
    last = health.last_exit(record, pod)
    if last is not None:
        found["lastExit"] = _last_exit(last)
    return found


def _last_exit(last: Exit) -> StatusManifest:
    told: StatusManifest = {"reason": last.reason.value}
    if last.code is not None:
        told["exitCode"] = last.code
    if last.at is not None:
        told["at"] = clock.rfc3339(last.at)
    return told


def _steady(status: StatusManifest, shown: StatusManifest, view: WalletView) -> StatusManifest:
    """The status as it was shown, while only usage has moved it, and that by little or not long ago.

    Usage moves it every second; a status that followed it would be written for ever. Any other news, and new credit,
    brings everything up to date.
    """
    kept = status | {name: shown[name] for name in USAGE if name in shown}
    if not _same(kept, shown) or _is_worth_a_write(status, shown, view):
        return status
    return kept


def _same(status: StatusManifest, shown: StatusManifest) -> bool:
    said = {item["type"]: {name: item.get(name) for name in SAID} for item in shown.get("conditions", ())}
    wanted = {item["type"]: {name: item[name] for name in SAID} for item in status["conditions"]}
    return said == wanted and {**status, "conditions": ()} == {**shown, "conditions": ()}


def _is_worth_a_write(status: StatusManifest, shown: StatusManifest, view: WalletView) -> bool:
    """Whether there is more than shown, or, after a while, a tenth less or another amount set aside."""
    if all(status[name] == shown[name] for name in ("balance", "held")):
        return False
    try:
        shown_micros = money.parse_credits(shown["balance"])
    except ValueError:  # a debt
        return True
    old = view.now - clock.parse(shown["asOf"]) >= USAGE_AGE_MAX
    less = view.balance_micros * 10 <= shown_micros * 9
    return view.balance_micros > shown_micros or (old and (less or status["held"] != shown["held"]))


def _zero_at(predicted: datetime, shown: str | None, now: datetime) -> str:
    if shown is not None:
        left_seconds = (predicted - now).total_seconds()
        moved_seconds = abs((predicted - clock.parse(shown)).total_seconds())
        if moved_seconds < left_seconds * ZERO_AT_TOLERANCE:
            return shown
    return clock.rfc3339(predicted)
