"""Bad input gets a sentence or a condition with a fixed reason; what runs keeps running, and nothing is half done."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.cluster import Manifest, condition, is_true, says
from tests.e2e.house import House, said
from tests.e2e.tenancy import API_VERSION, PLENTY_MICROS, Helper, Tenant

pytestmark = pytest.mark.cluster

TRACES = ("Traceback", 'File "', "asyncpg", "Exception")

AT_THE_DOOR: list[tuple[str, Manifest, str]] = [
    ("helper", {"image": "localhost/a", "runtime": "chatbot"}, "exactly one of image and runtime must be set"),
    ("helper", {"runtime": None}, "exactly one of image and runtime must be set"),
    ("Helper", {}, "metadata.name must have at most 40 characters"),
    ("a" * 41, {}, "metadata.name must have at most 40 characters"),
    ("helper", {"storage": {"size": "-1Gi"}}, "storage.size must be a quantity between 1Mi and 1Ti"),
    ("helper", {"storage": {"size": "2Ti"}}, "storage.size must be a quantity between 1Mi and 1Ti"),
    ("helper", {"desiredState": "Paused"}, "Unsupported value"),
    ("helper", {"env": [{"name": "MOORAGE_TOKEN", "value": "1"}]}, "are reserved for the platform"),
    ("helper", {"budget": {"perDay": "0"}}, "budget.perDay must be a positive decimal number"),
    ("helper", {"budgets": {"perDay": "2"}}, "unknown field"),
]


def test_a_spec_that_cannot_be_meant_is_refused_with_a_sentence(house: House, tenant: Tenant) -> None:
    tenant.open()
    for name, spec, sentence in AT_THE_DOOR:
        status, answer = house.cluster.create("agents", Helper(tenant, name).manifest(**spec))
        assert status in (400, 422), (name, spec)
        assert sentence in answer["message"] or "lowercase RFC 1123" in answer["message"], answer["message"]
    assert house.cluster.find_all("agents", tenant.namespace) == []


def test_what_only_the_platform_can_know_becomes_a_condition_until_it_is_corrected(
    house: House, tenant: Tenant
) -> None:
    tenant.open(PLENTY_MICROS)
    forgetful: Manifest = {"storage": None, "env": None}
    secret: Manifest = {"name": "KEY", "secretKeyRef": {"name": "model", "key": "key"}}
    wrong: dict[str, tuple[Manifest, str]] = {
        "image": ({"runtime": None, "image": "registry.example.com/bot:1"}, "ImageNotAllowed"),
        "size": ({"size": "gigantic"}, "SizeUnknown"),
        "runtime": ({"runtime": "parrot"}, "RuntimeUnknown"),
        "missing": ({"runtime": None, "image": "localhost/nobody:1"}, "ImagePullFailed"),
        "secret": ({"env": [secret]}, "SecretNotFound"),
    }
    for name, (spec, _) in wrong.items():
        tenant.agent(name, **{**forgetful, **spec})
    for name, (_, reason) in wrong.items():
        agent = Helper(tenant, name).until_says("Ready", reason)
        assert condition(agent, "Ready")[0] == "False"
    for name in ("image", "size", "runtime"):
        assert Helper(tenant, name).pods() == [], "nothing was started"

    metadata = {"name": "model", "namespace": tenant.namespace}
    house.cluster.apply(
        "secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key": "k"}}
    )
    tenant.agent("size", **forgetful)
    for name in ("secret", "size"):
        Helper(tenant, name).until_ready()


def test_an_agent_beyond_the_quota_is_told_so_and_harms_nobody(house: House, tenant: Tenant) -> None:
    tenant.open(PLENTY_MICROS, agents=1)
    first = tenant.agent("first", storage=None, env=None)
    first.until_ready()
    second = tenant.agent("second", storage=None, env=None)
    second.until_says("Ready", "QuotaExceeded")
    assert second.pods() == []
    assert condition(first.read(), "Ready") == ("True", "PodReady")


def test_an_agent_outside_a_tenant_is_told_so_and_can_be_deleted(house: House) -> None:
    helper = Helper(Stranger(house), "lost")
    helper.apply()
    try:
        helper.until_says("Ready", "NotATenant")
        assert helper.pods() == []
    finally:
        house.cluster.delete("agents", "default", helper.name)
    helper.until_gone()


class Stranger(Tenant):
    """Nobody's namespace, taken for a tenant's."""

    @property
    def namespace(self) -> str:
        """There in every cluster."""
        return "default"


def test_a_tenant_without_a_wallet_or_with_a_taken_namespace_waits_and_touches_nothing(
    house: House, new_tenant: Callable[[], Tenant]
) -> None:
    poor, late = new_tenant(), new_tenant()
    for each in (poor, late):
        manifest: Manifest = {"apiVersion": API_VERSION, "kind": "Namespace", "metadata": {"name": each.name}}
        if each is late:
            foreign = {"name": late.namespace, "labels": {"team": "other"}}
            house.cluster.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": foreign})
            house.cluster.apply(
                "wallets", {"apiVersion": API_VERSION, "kind": "Wallet", "metadata": {"name": late.name}}
            )
            house.cluster.until_one("wallets", "", late.name, is_true("Ready"), "the wallet's opening")
        house.cluster.apply("tenantnamespaces", {**manifest, "spec": {"walletRef": {"name": each.name}}})
    try:
        for each, reason in ((poor, "WalletNotFound"), (late, "CoreNamespaceTaken")):
            house.cluster.until_one("tenantnamespaces", "", each.name, says("Ready", reason), reason)
        assert house.cluster.find("namespaces", "", poor.namespace) is None
        labels = house.cluster.get("namespaces", "", late.namespace)["metadata"]["labels"]
        assert labels == {"team": "other", "kubernetes.io/metadata.name": late.namespace}, "it stays somebody else's"
    finally:
        house.cluster.delete("tenantnamespaces", "", late.name)
        house.cluster.until_gone("tenantnamespaces", "", name=late.name)
        assert house.cluster.find("namespaces", "", late.namespace) is not None
        house.cluster.delete("namespaces", "", late.namespace)

    _open_wallet(house, poor)
    house.cluster.until_one("tenantnamespaces", "", poor.name, is_true("Ready"), "the way out of the error")


def _open_wallet(house: House, tenant: Tenant) -> None:
    house.cluster.apply("wallets", {"apiVersion": API_VERSION, "kind": "Wallet", "metadata": {"name": tenant.name}})
    house.cluster.until_one("wallets", "", tenant.name, is_true("Ready"), "the wallet's opening")


def test_a_bad_edit_keeps_the_pod_that_runs(house: House, tenant: Tenant) -> None:
    helper = tenant.open(PLENTY_MICROS).agent(storage=None, env=None)
    helper.until_ready()
    pod = helper.pod()["metadata"]["uid"]
    for change, undo, reason in (
        ({"size": "gigantic"}, {"size": "small"}, "SizeUnknown"),
        (
            {"runtime": None, "image": "registry.example.com/bot:1"},
            {"runtime": "chatbot", "image": None},
            "ImageNotAllowed",
        ),
    ):
        helper.patch(**change)
        helper.until_says("Ready", reason)
        assert helper.chat("still there?") == "still there?"
        assert helper.pod()["metadata"]["uid"] == pod
        helper.patch(**undo)
        helper.until_ready()
        assert helper.pod()["metadata"]["uid"] == pod


WRONG_GRANTS: list[tuple[tuple[str, ...], str]] = [
    (("-5",), "-5 is not an amount"),
    (("0",), "A grant of nothing"),
    (("much",), "much is not an amount"),
    (("0.0000001",), "0.0000001 is not an amount"),
    (("9000001",), "9000001 is not an amount"),
]


def test_a_grant_that_cannot_be_booked_is_refused_with_a_sentence(house: House, tenant: Tenant) -> None:
    tenant.open()
    for amount, sentence in WRONG_GRANTS:
        _refused(house.moorage("wallet", "grant", tenant.name, *amount, "--reason", "test"), sentence)
    unknown = house.moorage("wallet", "grant", "nobody-at-all", "5", "--reason", "test")
    _refused(unknown, "There is no wallet named nobody-at-all")
    shown = said(house.moorage("wallet", "show", tenant.name, "--json").stdout)
    assert shown["balance_micros"] == 0
    assert said(house.moorage("wallet", "history", tenant.name, "--json").stdout) == []


def test_a_wrong_database_url_is_said_by_command_and_operator(house: House) -> None:
    right = house.database_url
    user, _, rest = right.partition("@")
    for url, sentence in (
        (right.rpartition("/")[0] + "/nowhere", "no database of this name"),
        (f"{user.rpartition(':')[0]}:wrong@{rest}", "refuses this user or password"),
        ("postgresql://moorage@127.0.0.1:1/moorage", "cannot be reached"),
        ("mysql://moorage@127.0.0.1/moorage", "cannot be read"),
    ):
        _refused(house.moorage("wallet", "list", env={"MOORAGE_DATABASE_URL": url}), sentence)
    inside = house.settings["MOORAGE_DATABASE_URL"].rpartition("/")[0] + "/nowhere"
    _refused(house.run_operator_once(MOORAGE_DATABASE_URL=inside), "no database of this name")


def test_a_wrong_setting_stops_the_operator_before_it_does_anything(house: House, tmp_path: Any) -> None:
    other = tmp_path / "key"
    other.write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    for settings, sentence in (
        ({"MOORAGE_ROOT_KEY_FILE": str(other)}, "is not set up here"),
        ({"MOORAGE_ROOT_KEY_FILE": str(tmp_path / "none")}, "MOORAGE_ROOT_KEY_FILE"),
        ({"MOORAGE_WARM_WINDOW": "0"}, "MOORAGE_WARM_WINDOW"),
        ({"MOORAGE_WARM_WINDOW_SECONDS": "soon"}, "MOORAGE_WARM_WINDOW_SECONDS"),
    ):
        _refused(house.run_operator_once(**settings), sentence)


def test_a_suspension_without_the_object_store_keeps_agent_down_and_volume_until_it_is_back(
    house: House, tenant: Tenant
) -> None:
    if house.brings_store:
        pytest.skip("the object store is not ours to stop")
    helper = tenant.open(PLENTY_MICROS).agent()
    helper.until_ready()
    assert helper.chat("remember the store was away")
    volumes = helper.volumes()

    house.stop_store()
    helper.patch(desiredState="Suspended")
    agent = helper.until_says("Suspended", "SnapshotFailed")
    assert condition(agent, "Suspended")[0] == "False"
    assert condition(agent, "SnapshotReady") == ("False", "SnapshotFailed")
    assert (helper.pods(), helper.volumes(), helper.snapshots()) == ([], volumes, [])

    house.start_store()
    agent = helper.until_suspended()
    assert agent["status"]["lastSnapshot"]["verified"] is True
    assert helper.volumes() == volumes
    helper.patch(desiredState="Running")
    helper.until_ready()
    assert "the store was away" in helper.chat("recall")


def _refused(done: Any, sentence: str) -> None:
    """A command ended with an error, one sentence, and nothing that only a programmer reads."""
    assert done.returncode != 0, done.stdout
    assert sentence in done.stderr, done.stderr
    assert not any(trace in done.stderr for trace in TRACES), done.stderr
