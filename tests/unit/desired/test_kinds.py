"""The kinds as written: explained field by field, without surprises, and the same as the types we parse them into."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from moorage.model.agent import AgentSpec, DesiredState
from moorage.model.conditions import Status
from moorage.model.domain import DomainSpec
from moorage.model.namespace import TenantNamespaceSpec
from moorage.model.wallet import Standing, WalletSpec

ROOT = Path(__file__).parents[3]
SPECS = {"agents": AgentSpec, "wallets": WalletSpec, "namespaces": TenantNamespaceSpec, "domains": DomainSpec}
COLUMNS = {
    "agents": "Ready Reason Size Price/h Zero-at URL Age | Pod Last-snapshot Restarts",
    "wallets": "Balance Burn/h Zero-at Standing Ready Age | Reason Missing",
    "namespaces": "Ready Reason Wallet Core-namespace Age | Agents Running",
    "domains": "Hostname Agent Ready Reason Age | Expires Paid-Until",
}

Schema = dict[str, Any]


def crd(plural: str) -> Schema:
    found: Schema = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text())
    return found


def schema_of(plural: str) -> Schema:
    (version,) = crd(plural)["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


def parts(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, item in schema.get("properties", {}).items():
        if path or name != "metadata":
            yield from parts(item, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if inner in schema:
            yield from parts(schema[inner], f"{path}[]")


@pytest.mark.parametrize("plural", SPECS)
def test_every_field_is_explained_in_sentences(plural: str) -> None:
    for path, schema in parts(schema_of(plural), ""):
        text = schema.get("description", "")
        assert text.endswith("."), f"{path}: {text!r}"
        assert len(text.split()) >= 3, f"{path}: {text!r}"


@pytest.mark.parametrize("plural", SPECS)
def test_no_field_has_a_default_because_absent_means_as_the_record_says(plural: str) -> None:
    assert [path for path, schema in parts(schema_of(plural), "") if "default" in schema] == []


@pytest.mark.parametrize("plural", SPECS)
def test_every_text_list_and_map_of_a_spec_has_a_limit(plural: str) -> None:
    limits = {"string": ("maxLength", "enum"), "array": ("maxItems",), "integer": ("maximum",)}
    for path, schema in parts(schema_of(plural)["properties"]["spec"], ".spec"):
        wanted = limits.get(schema["type"], ()) or (("maxProperties",) if "additionalProperties" in schema else ())
        assert not wanted or set(wanted) & schema.keys(), path


@pytest.mark.parametrize("plural", SPECS)
def test_every_rule_says_what_is_allowed(plural: str) -> None:
    for path, schema in parts(schema_of(plural), ""):
        for rule in schema.get("x-kubernetes-validations", ()):
            assert len(rule["message"].split()) >= 5, path


@pytest.mark.parametrize("plural", SPECS)
def test_the_schema_has_exactly_the_fields_that_we_read(plural: str) -> None:
    assert fields_of_schema(schema_of(plural)["properties"]["spec"]) == fields_of_type(SPECS[plural])


def fields_of_schema(schema: Schema) -> Any:
    if "items" in schema:
        return fields_of_schema(schema["items"])
    return {name: fields_of_schema(item) for name, item in schema.get("properties", {}).items()} or None


def fields_of_type(found: Any) -> Any:
    info = msgspec.inspect.type_info(found) if isinstance(found, type) else found
    if isinstance(info, msgspec.inspect.UnionType):
        (info,) = (item for item in info.types if not isinstance(item, msgspec.inspect.NoneType))
    if isinstance(info, msgspec.inspect.ListType):
        return fields_of_type(info.item_type)
    if isinstance(info, msgspec.inspect.StructType):
        return {field.encode_name: fields_of_type(field.type) for field in info.fields}
    return None


def test_enums_of_the_schema_are_those_of_the_model() -> None:
    agent, wallet = schema_of("agents")["properties"], schema_of("wallets")["properties"]
    assert agent["spec"]["properties"]["desiredState"]["enum"] == [item.value for item in DesiredState]
    assert wallet["status"]["properties"]["standing"]["enum"] == [item.value for item in Standing]
    condition = agent["status"]["properties"]["conditions"]["items"]["properties"]
    assert condition["status"]["enum"] == [item.value for item in Status]


@pytest.mark.parametrize("plural", SPECS)
def test_kubectl_get_shows_the_promised_columns(plural: str) -> None:
    (version,) = crd(plural)["spec"]["versions"]
    shown: tuple[list[str], list[str]] = ([], [])
    for column in version["additionalPrinterColumns"]:
        shown[column.get("priority", 0)].append(column["name"])
    assert " | ".join(" ".join(names) for names in shown) == COLUMNS[plural]


@pytest.mark.parametrize(
    ("plural", "kind", "resource", "short", "scope"),
    [
        ("agents", "Agent", "agents", "agt", "Namespaced"),
        ("wallets", "Wallet", "wallets", "wlt", "Cluster"),
        ("namespaces", "Namespace", "tenantnamespaces", "tns", "Cluster"),
        ("domains", "Domain", "domains", "dom", "Namespaced"),
    ],
)
def test_kinds_have_their_names_the_category_and_a_status(
    plural: str, kind: str, resource: str, short: str, scope: str
) -> None:
    spec = crd(plural)["spec"]
    names, (version,) = spec["names"], spec["versions"]
    assert (names["kind"], names["plural"], names["shortNames"]) == (kind, resource, [short])
    assert (spec["scope"], names["categories"]) == (scope, ["moorage"])
    assert version["subresources"] == {"status": {}}


def test_no_example_puts_cluster_scoped_kinds_into_a_kustomization_with_a_namespace() -> None:
    found = sorted((ROOT / "examples").rglob("kustomization.yaml"))
    kinds: dict[bool, set[str]] = {True: set(), False: set()}
    for path in found:
        kustomization = yaml.safe_load(path.read_text())
        for resource in kustomization["resources"]:
            if (path.parent / resource).is_file():
                kinds["namespace" in kustomization].add(yaml.safe_load((path.parent / resource).read_text())["kind"])
            else:  # another kustomization, which adds nothing of its own
                assert "namespace" not in kustomization
    # Kustomize would write metadata.namespace into them too, and the API server would refuse them.
    assert kinds == {True: {"Agent", "Domain"}, False: {"Wallet", "Namespace"}}
