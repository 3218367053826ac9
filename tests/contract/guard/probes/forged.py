"""Labels, annotations, finalizers, statuses and owners that only the platform sets, forged."""

from collections.abc import Iterator
from typing import Any

from moorage.model import names
from tests.contract.guard import scene
from tests.contract.guard.cluster import API, BREAK_GLASS, MOVER, TENANT, Manifest, path_of
from tests.contract.guard.probes import probe
from tests.contract.guard.probes.probe import EDITOR, VIEWER, Probe

LABELS = sorted(value for name, value in vars(names).items() if name.startswith("LABEL_"))
ANNOTATIONS = sorted(
    value
    for name, value in vars(names).items()
    if name.startswith("ANNOTATION_") and value != names.ANNOTATION_SNAPSHOT_REQUESTED
)
OF_FRAMEWORKS = ("kopf.zalando.org/last-handled-configuration", "kopf.zalando.org/stop", "kopf.dev/progress")
FINALIZERS = (f"{names.GROUP}/other", "kopf.zalando.org/KopfFinalizerMarker", "kopf.dev/x")
FORGED: dict[str, dict[str, Any]] = {
    **{f"the label {name}": {"labels": {name: "x"}} for name in (*LABELS, f"{names.GROUP}/new")},
    **{f"the label {name}": {"labels": {name: "x"}} for name in OF_FRAMEWORKS},
    **{f"the annotation {name}": {"annotations": {name: "x"}} for name in (*ANNOTATIONS, f"{names.GROUP}/new")},
    **{f"the annotation {name}": {"annotations": {name: "{}"}} for name in OF_FRAMEWORKS},
    **{f"the finalizer {name}": {"finalizers": [names.FINALIZER, name]} for name in FINALIZERS},
}
STATUSES: dict[str, Manifest] = {
    "agents": {"podName": "x", "pricePerHour": "0"},
    "domains": {"observedGeneration": 99},
    "wallets": {"balance": "1000000", "standing": "Funded"},
    "tenantnamespaces": {"coreNamespace": "mn-other"},
}
KINDS = {"agents": "Agent", "domains": "Domain", "wallets": "Wallet", "tenantnamespaces": "Namespace"}


def standing() -> list[Manifest]:
    """The tenant's own objects that are there to be forged."""
    return [
        probe.ours("Agent", metadata={"finalizers": [names.FINALIZER]}),
        probe.ours("Domain", metadata={"finalizers": [names.FINALIZER]}),
        scene.made("v1", "ConfigMap", "target", data={"a": "b"}),
        scene.made("v1", "Secret", "target", stringData={"a": "b"}),
    ]


def metadata() -> Iterator[Probe]:
    """Everything that is reserved, on every kind that a tenant may write, by every verb."""
    for known in standing():
        who = EDITOR if known["kind"] in ("Agent", "Domain") else TENANT
        for name, forged in FORGED.items():
            what = f"a {known['kind']} with {name}"
            (part,) = forged
            fresh = {**known, "metadata": {**known["metadata"], **forged, "name": "fresh"}}
            yield probe.create(who, fresh, what)
            yield probe.merge(who, path_of(known), {"metadata": forged}, what)
            yield probe.add(who, path_of(known), ["metadata", part], forged[part], what)
            changed = {**known, "metadata": {**known["metadata"], **forged}}
            for manager in ("contract", names.FIELD_MANAGER):
                yield probe.apply(who, changed, what, manager)
        if who == EDITOR:
            for value in (None, [], ["example.com/mine"]):
                what = f"a {known['kind']} with {value} for finalizers"
                yield probe.merge(who, path_of(known), {"metadata": {"finalizers": value}}, what)


def status() -> Iterator[Probe]:
    """A status, through its own door and through that of the object, also under the operator's names."""
    for plural, wanted in STATUSES.items():
        known = probe.ours(KINDS[plural])
        forged = {**known, "status": wanted}
        for who in (EDITOR, VIEWER, TENANT, MOVER, API):
            path = f"{path_of(known)}/status"
            what = f"the status of one of the {plural}"
            yield probe.merge(who, path, {"status": wanted}, what)
            yield probe.add(who, path, ["status"], wanted, what)
            yield Probe(f"replaces {what}", who, "PUT", f"{path}?dryRun=All", forged)
            for manager in (names.FIELD_MANAGER, names.STATUS_FIELD_MANAGER):
                query = f"dryRun=All&fieldManager={manager}&force=true"
                yield Probe(f"applies {what}", who, "PATCH", f"{path}?{query}", forged, "apply-patch+yaml")
            fresh = {**forged, "metadata": {**known["metadata"], "name": "fresh"}}
            yield probe.create(who, fresh, f"an object with {what}", gained=_has_status)
            yield probe.merge(who, path_of(known), {"status": wanted}, f"{what} beside its wish", gained=_has_status)
    yield from _said_to_be_the_operators()


def _said_to_be_the_operators() -> Iterator[Probe]:
    """Fields that are said to be the operator's own: nobody gets a status by it."""
    for manager in (names.FIELD_MANAGER, names.STATUS_FIELD_MANAGER):
        entry = {
            "manager": manager, "operation": "Apply", "apiVersion": names.API_VERSION, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:status": {"f:podName": {}}}, "subresource": "status", "time": "2026-05-01T12:00:00Z",
        }  # fmt: skip
        change = {"metadata": {"managedFields": [entry]}, "status": {"podName": "x"}}
        path = path_of(probe.ours("Agent"))
        yield probe.merge(EDITOR, path, change, f"fields of {manager}", gained=_has_status)
        yield probe.merge(VIEWER, path, change, f"fields of {manager}")


def _has_status(answer: Manifest) -> bool:
    return bool(answer.get("status"))


def allowed() -> Iterator[Probe]:
    """The same ways with metadata that is the tenant's own."""
    for known in standing():
        who = EDITOR if known["kind"] in ("Agent", "Domain") else TENANT
        fresh = {**known, "metadata": {**known["metadata"], "labels": {"team": "one"}, "name": "fresh"}}
        change = {"metadata": {"labels": {"team": "one"}, "annotations": {"example.com/a": "b"}}}
        what = f"a {known['kind']} with what is its own"
        yield probe.create(who, fresh, what)
        yield probe.merge(who, path_of(known), change, what)
        yield probe.add(who, path_of(known), ["metadata", "labels"], {"team": "one"}, what)
        yield probe.apply(who, {**known, "metadata": {**known["metadata"], **change["metadata"]}}, what)
    asked = {"metadata": {"annotations": {names.ANNOTATION_SNAPSHOT_REQUESTED: "now"}}}
    yield probe.merge(EDITOR, path_of(probe.ours("Agent")), asked, "a wish for a snapshot")
    yield probe.merge(BREAK_GLASS, path_of(probe.ours("Agent")), {"metadata": {"finalizers": None}}, "no finalizer")
