"""The client: typed answers, preconditions, and every refusal in the right family."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from moorage.kube import kinds, login
from moorage.kube.client import Client
from moorage.kube.failures import Conflict, Expired, Forbidden, Missing, Refused
from moorage.kube.objects import Live
from moorage.model.errors import MoorageError, Permanent, Transient, Unavailable
from moorage.model.reasons import Reason
from tests.fakes.apiserver import Answer, ApiServer
from tests.simulation import virtual_time

PATH = "/api/v1/namespaces/mn-a/configmaps/f"
MANIFEST = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "f", "namespace": "mn-a"}, "data": {"a": "b"}}

Scene = Callable[[ApiServer, Client], Awaitable[None]]


def served(scene: Scene) -> None:
    """Play a scene with a server and a client."""

    async def play() -> None:
        server = ApiServer()
        async with server.serving() as client:
            await scene(server, client)

    virtual_time.run(play())


def test_absent_object_is_none_and_not_an_error() -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        assert await client.get(PATH, Live) is None

    served(scene)


def test_list_is_complete_when_it_comes_in_pages() -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        server.page_max = 3
        for number in range(10):
            labels = {"even": str(number % 2 == 0)}
            server.put(kinds.CONFIG_MAP, {"metadata": {"name": f"f{number}", "namespace": "mn-a", "labels": labels}})
        path = kinds.collection_path(kinds.CONFIG_MAP)
        items, version = await client.list(path, Live)
        assert (len(items), version) == (10, str(server.version))
        chosen, _ = await client.list(path, Live, label_selector="even=True")
        assert {item.metadata.name for item in chosen} == {"f0", "f2", "f4", "f6", "f8"}

    served(scene)


def test_delete_takes_only_the_object_that_was_meant() -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        made = server.put(kinds.CONFIG_MAP, MANIFEST)
        assert not await client.delete(PATH, uid="another")
        assert PATH.rpartition("/")[2] in {name for _, name in server.of(kinds.CONFIG_MAP)}
        assert await client.delete(PATH, uid=made["metadata"]["uid"], grace_period_seconds=0, propagation="Background")
        assert not await client.delete(PATH, uid=made["metadata"]["uid"])

    served(scene)


def test_delete_does_not_take_any_conflict_for_absence() -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        made = server.put(kinds.CONFIG_MAP, MANIFEST)
        server.script("delete", "configmaps", Answer(409, message="the object has been modified"))
        with pytest.raises(Conflict):
            await client.delete(PATH, uid=made["metadata"]["uid"])

    served(scene)


def test_json_patch_is_refused_softly_when_its_test_fails() -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        server.put(kinds.CONFIG_MAP, MANIFEST)
        assert not await client.json_patch(PATH, [{"op": "test", "path": "/metadata/uid", "value": "another"}])
        assert not await client.json_patch(PATH + "x", [{"op": "test", "path": "/metadata/uid", "value": "another"}])
        assert await client.json_patch(PATH, [{"op": "remove", "path": "/data/a"}])

    served(scene)


def test_apply_does_not_bring_an_object_back_when_it_names_a_uid() -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        manifest = {**MANIFEST, "metadata": {**MANIFEST["metadata"], "uid": "old"}}
        with pytest.raises(Conflict):
            await client.apply(PATH, manifest)
        server.put(kinds.CONFIG_MAP, MANIFEST)
        with pytest.raises(Conflict):
            await client.apply(PATH, manifest)

    served(scene)


REFUSALS: dict[str, tuple[Answer, type[MoorageError], Reason | None]] = {
    "the quota is used up": (Answer(403, message='pods "a-1" is forbidden: exceeded quota: tenant'), Refused,
                             Reason.QUOTA_EXCEEDED),
    "the runtime class is missing": (Answer(403, message='pods "a-1" is forbidden: pod rejected: RuntimeClass "x" not'),
                                     Refused, Reason.SANDBOX_UNAVAILABLE),
    "the right is missing": (Answer(403, message='pods "a-1" is forbidden: User "system:serviceaccount:a:b" cannot '
                                    'create resource "pods" in API group "" in the namespace "mn-a"'), Forbidden, None),
    "the role may not be handed out": (Answer(403, message='rolebindings.rbac.authorization.k8s.io "x" is forbidden: '
                                              'user "a" (groups=["b"]) is attempting to grant RBAC permissions not '
                                              'currently held'), Forbidden, None),
    "a policy says no": (Answer(403, message="pods \"a-1\" is forbidden: ValidatingAdmissionPolicy 'x' with binding "
                                "'x' denied request: no"), Refused, Reason.SPEC_INVALID),
    "the manifest is invalid": (Answer(422), Refused, Reason.SPEC_INVALID),
    "a field is unknown": (Answer(400), Refused, Reason.SPEC_INVALID),
    "a field is not in the schema": (Answer(500, message="failed to create typed patch object (x)"), Refused,
                                     Reason.SPEC_INVALID),
    "the body is too large": (Answer(413), Refused, Reason.SPEC_INVALID),
    "the namespace is being deleted": (Answer(403, causes=({"reason": "NamespaceTerminating"},)), Conflict, None),
    "the uid is another": (Answer(422, causes=({"field": "metadata.uid"},)), Conflict, None),
    "somebody was faster": (Answer(409), Conflict, None),
    "the namespace is missing": (Answer(404), Missing, None),
    "the version is too old": (Answer(410), Expired, None),
    "the token is not accepted": (Answer(401), Unavailable, None),
    "there are too many requests": (Answer(429), Unavailable, None),
    "the server is broken": (Answer(500), Unavailable, None),
    "a proxy redirects": (Answer(302), Unavailable, None),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "family", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusal_has_its_family_when(answer: Answer, family: type[MoorageError], reason: Reason | None) -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        server.script("apply", "configmaps", answer)
        with pytest.raises(MoorageError) as caught:
            await client.apply(PATH, MANIFEST)
        assert type(caught.value) is family
        if isinstance(caught.value, Permanent):
            assert caught.value.reason is reason

    served(scene)


WAITS = {"in seconds": ("7", 7.0), "longer than we wait": ("9999", 60.0), "as a date": ("Mon, 01 Jan 2035", None)}


@pytest.mark.parametrize(("header", "seconds"), WAITS.values(), ids=WAITS.keys())
def test_wait_that_the_server_asks_for_is_passed_on_when_it_is(header: str, seconds: float | None) -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        server.script("apply", "configmaps", Answer(429, retry_after=header))
        with pytest.raises(Transient) as caught:
            await client.apply(PATH, MANIFEST)
        assert caught.value.retry_after_seconds == seconds

    served(scene)


def test_server_is_unavailable_when_its_answer_is_lost() -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        server.script("apply", "configmaps", Answer(lost=True))
        with pytest.raises(Unavailable):
            await client.apply(PATH, MANIFEST)
        assert server.of(kinds.CONFIG_MAP), "the write was done all the same"

    served(scene)


def test_server_is_unavailable_when_it_does_not_answer_in_time() -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        server.lag = lambda: 1000.0
        with pytest.raises(Unavailable):
            await client.list(kinds.collection_path(kinds.POD), Live)
        assert asyncio.get_running_loop().time() < 100.0

    served(scene)


def test_server_is_unavailable_when_its_answer_has_another_shape() -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        server.objects["configmaps", "mn-a", "f"] = {"metadata": "not a map"}
        with pytest.raises(Unavailable):
            await client.get(PATH, Live)

    served(scene)


def test_every_call_is_counted_once_with_its_verb_resource_and_code() -> None:
    counted: list[tuple[str, str, int]] = []

    async def scene(server: ApiServer, client: Client) -> None:
        client._observed = lambda verb, resource, code, seconds: counted.append((verb, resource, code))
        await client.apply(PATH, MANIFEST)
        await client.apply_status(PATH, {**MANIFEST, "status": {"x": "y"}})
        await client.get(PATH + "x", Live)
        await client.list(kinds.collection_path(kinds.POD, "mn-a"), Live)
        server.script("apply", "configmaps", Answer(lost=True))
        with pytest.raises(Unavailable):
            await client.apply(PATH, {**MANIFEST, "data": {"a": "c"}})

    served(scene)
    assert counted == [
        ("APPLY", "configmaps", 201),
        ("APPLY", "configmaps/status", 200),
        ("GET", "configmaps", 404),
        ("LIST", "pods", 200),
        ("APPLY", "configmaps", 0),
    ]


def test_token_file_is_read_again_after_a_minute_or_when_it_was_not_accepted(tmp_path: Path) -> None:
    file, seconds = tmp_path / "token", 0.0
    credentials = login.Credentials(server="http://x", token_file=str(file))
    authorization = login.Authorization(credentials, clock=lambda: seconds)
    with pytest.raises(Unavailable):
        authorization.header()
    file.write_text("one\n")
    assert authorization.header() == "Bearer one"
    file.write_text("two\n")
    assert authorization.header() == "Bearer one"
    seconds = 61.0
    assert authorization.header() == "Bearer two"
    file.write_text("three\n")
    authorization.forget()
    assert authorization.header() == "Bearer three"


def test_kubeconfig_says_where_the_server_is_and_who_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config"
    file.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:6443', insecure-skip-tls-verify: true}}]\n"
        "users: [{name: u, user: {token: secret}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    found = login.from_kubeconfig(str(file))
    assert (found.server, found.token, found.verify) == ("https://127.0.0.1:6443", "secret", False)
    with pytest.raises(Unavailable, match="KUBECONFIG"):
        login.from_kubeconfig(str(tmp_path / "none"))


PATHS = {
    "a namespaced core kind": (kinds.POD, "mn-a", "/api/v1/namespaces/mn-a/pods/x", "pods"),
    "a cluster-scoped core kind": (kinds.CORE_NAMESPACE, "", "/api/v1/namespaces/x", "namespaces"),
    "a kind of ours": (kinds.AGENT, "mn-a", "/apis/moorage.dev/v1alpha1/namespaces/mn-a/agents/x", "agents"),
    "our kind Namespace": (kinds.TENANT_NAMESPACE, "", "/apis/moorage.dev/v1alpha1/tenantnamespaces/x",
                           "tenantnamespaces"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "namespace", "path", "resource"), PATHS.values(), ids=PATHS.keys())
def test_path_of(kind: kinds.Kind, namespace: str, path: str, resource: str) -> None:
    assert kinds.object_path(kind, namespace, "x") == path
    assert kinds.resource_of(path) == resource
    assert kinds.resource_of(f"{path}/status") == f"{resource}/status"


@pytest.mark.parametrize(("namespace", "name"), [("mn-a", ""), ("", "x"), ("mn-a", "x/status"), ("a/b", "x")])
def test_path_is_refused_when_a_part_would_change_its_meaning(namespace: str, name: str) -> None:
    with pytest.raises(ValueError, match="no path"):
        kinds.object_path(kinds.POD, namespace, name)
