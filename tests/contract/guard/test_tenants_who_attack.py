"""Tenants, and whoever has a token of the platform, try what is not theirs: hundreds of ways, and not one success."""

import sys
from collections.abc import Iterator

import pytest

from tests.contract.guard import scene
from tests.contract.guard.cluster import ADMINISTRATOR, JOBS, OPERATOR, Guarded, path_of
from tests.contract.guard.probes import direct, fields, forged, probe, references, rights
from tests.contract.guard.probes.probe import EDITOR, VIEWER, Probe

pytestmark = pytest.mark.cluster

PROBES_MIN, TWINS_MIN = 500, 25
OTHERWISE_MAX = 4
CREATED = (200, 201, 409)  # another test may have made the same before


@pytest.fixture(scope="module")
def inhabited(guarded: Guarded) -> Guarded:
    """Two tenants; the first has people with the platform's roles, objects of its own, and an agent that runs."""
    guarded.make(scene.binding("moorage-tenant-edit", EDITOR.name))
    guarded.make(scene.binding("moorage-tenant-view", VIEWER.name))
    for name in ("acme", "other"):
        guarded.make(probe.ours("Wallet", metadata={"name": name}), ADMINISTRATOR)
        tenant = probe.ours("Namespace", metadata={"name": name}, spec={"walletRef": {"name": name}})
        guarded.make(tenant, ADMINISTRATOR)
    for kind in ("Wallet", "Namespace"):
        guarded.make(probe.ours(kind), ADMINISTRATOR)
    for manifest in (*forged.standing(), scene.agent(finalizers=["moorage.dev/cleanup"])):
        guarded.make(manifest, ADMINISTRATOR)
    for manifest in (*scene.children(), scene.mover(), scene.mover_pod()):
        who = JOBS if manifest == scene.mover_pod() else OPERATOR
        status, answer = guarded.ask(who, "POST", path_of(manifest).rpartition("/")[0], manifest)
        assert status in CREATED, answer
    return guarded


def test_no_probe_has_success(inhabited: Guarded, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = probe.run(
        inhabited,
        {
            "references": references.probes(),
            "fields": fields.probes(),
            "forged metadata": forged.metadata(),
            "forged status": forged.status(),
            "pods outside the profile": direct.pods(),
            "direct objects": direct.probes(),
            "managed objects": direct.managed(),
            "doors and tokens": direct.doors(),
            "rights, every resource": rights.probes(inhabited),
            "rights, escalation": rights.escalations(),
        },
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{outcome.told()}\n")
    assert outcome.unclear == []
    assert outcome.succeeded == []
    assert outcome.ran.total() >= PROBES_MIN
    assert all(count >= 30 for count in outcome.ran.values()), "a class has lost its probes"


def _twins() -> Iterator[Probe]:
    for module in (references, fields, forged, direct):
        yield from module.allowed()


def test_what_is_allowed_works(inhabited: Guarded) -> None:
    twins = list(_twins())
    assert len(twins) >= TWINS_MIN
    for twin in twins:
        status, answer = probe.answered(inhabited, twin)
        assert status in (200, 201), (twin.who, twin.what, answer)


def test_every_right_of_the_golden_files_is_one(inhabited: Guarded) -> None:
    for verb, right in rights.allowed(inhabited):
        status, answer = probe.answered(inhabited, right)
        assert status in ((200,) if verb == "list" else (200, 404)), (right.who, right.what, answer)


def test_every_reference_of_the_schemas_is_tried() -> None:
    assert references.in_schemas() == set(references.REFERENCES)


def test_pods_outside_the_profile_are_refused_by_pod_security(inhabited: Guarded) -> None:
    told = {each.what: probe.answered(inhabited, each)[1]["message"] for each in direct.pods() if each.who == OPERATOR}
    by_others = {what: text for what, text in told.items() if "violates PodSecurity" not in text}
    # Before Pod Security is asked, the server itself refuses what only a flag of its own would let through.
    assert {what for what, text in by_others.items() if "disallowed by cluster policy" not in text} == set()
    assert len(by_others) <= OTHERWISE_MAX
