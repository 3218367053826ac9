"""Every field that names another object, with every name that could lead out of the tenant's own namespace."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from tests.chart import rendering
from tests.contract.guard.cluster import ADMINISTRATOR, DRY, Manifest, Who
from tests.contract.guard.probes import probe
from tests.contract.guard.probes.probe import EDITOR, Probe

FOREIGN = "mn-other"
TRICKS = {
    "a namespace and a name": f"{FOREIGN}/model",
    "a namespace and a colon": f"{FOREIGN}:model",
    "a namespace after an at sign": f"model@{FOREIGN}",
    "up and down again": f"../{FOREIGN}/model",
    "up and down by an API path": f"../../{FOREIGN}/secrets/model",
    "an encoded slash": f"{FOREIGN}%2fmodel",
    "an encoded way up": f"..%2f{FOREIGN}%2fmodel",
    "an encoded way up, dots too": "%2e%2e%2fmodel",
    "a slash encoded twice": f"..%252f{FOREIGN}",
    "a backslash": f"..\\{FOREIGN}\\model",
    "two dots": "..",
    "two dots and a name": "..model/",
    "a slash before": "/model",
    "a slash after": "model/",
    "here": "./model",
    "nothing": "",
    "300 letters": "a" * 300,
    "300 dots": "." * 300,
    "a capital and a slash": "Model/x",
    "a Cyrillic o": "m\u043edel",
    "wide letters": "\uff4dodel",
    "an accent": "mod\u00e9l",
    "a picture": "\U0001f5dd",
    "a space that is not seen": "model\u200b",
    "writing from the right": "model\u202e",
    "a line break": "model\n",
    "a line break and another name": f"model\n{FOREIGN}",
    "a tab": "\tmodel",
    "a space before": " model",
    "a space after": "model ",
    "a zero": "model\0",
    "a question": "model?namespace=" + FOREIGN,
    "a fragment": "model#x",
    "another parameter": "model&x",
    "two names": "model,other",
    "two commands": "model;x",
    "a pipe": "model|x",
    "a variable": "$(MODEL)",
    "a variable of a shell": "${MODEL}",
    "a template": "{{model}}",
    "a command": "`model`",
    "quotes": "'model'",
    "double quotes": '"model"',
    "a tag": "<model>",
    "a star": "*",
    "everything that begins so": "model*",
    "an address": f"https://example.com/{FOREIGN}",
    "a file": "file:///etc/passwd",
    "a bucket": f"s3://{FOREIGN}/model",
    "a person": f"system:serviceaccount:{FOREIGN}:default",
    "an array": f'["{FOREIGN}"]',
}
WIDER = ("namespace", "ns", "tenant", "apiVersion", "kind", "uid")
# Field by field: who may write it at all, what else it needs, and a name that is fine.
REFERENCES: Mapping[tuple[str, str], tuple[Who, Manifest, str]] = {
    ("Agent", "env.[].secretKeyRef.name"): (
        EDITOR, {"env": [{"name": "A", "secretKeyRef": {"key": "key"}}]}, "model.v1"),
    ("Agent", "env.[].secretKeyRef.key"): (
        EDITOR, {"env": [{"name": "A", "secretKeyRef": {"name": "model"}}]}, "API_KEY.txt"),
    ("Agent", "restoreFrom.snapshot"): (EDITOR, {"storage": {"size": "1Gi"}}, f"snp_{'a' * 32}"),
    ("Domain", "agentRef.name"): (EDITOR, {}, "helper"),
    ("Namespace", "walletRef.name"): (ADMINISTRATOR, {}, "acme"),
}  # fmt: skip


def in_schemas() -> set[tuple[str, str]]:
    """Every text inside a field of a wish that is called a reference, as the schemas have it."""
    found = set[tuple[str, str]]()
    for file in sorted((rendering.ROOT / "crds").glob("*.yaml")):
        kind = yaml.safe_load(file.read_text())["spec"]
        spec = kind["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        found |= {(kind["names"]["kind"], ".".join(path)) for path in _texts(spec, (), inside=False)}
    return found


def _texts(schema: Mapping[str, Any], path: tuple[str, ...], *, inside: bool) -> Iterator[tuple[str, ...]]:
    if schema["type"] == "array":
        yield from _texts(schema["items"], (*path, "[]"), inside=inside)
    for name, field in schema.get("properties", {}).items():
        yield from _texts(field, (*path, name), inside=inside or name.endswith(("Ref", "From")))
    if schema["type"] == "string" and inside:
        yield path


def named(kind: str, path: Sequence[str], siblings: Manifest, value: Any) -> Manifest:
    """An object that refers to something by this name."""
    manifest = probe.ours(kind)
    spec = probe.merged(probe.merged(manifest["spec"], siblings), probe.nested(path, value))
    # Not the object that is there: some references are for the moment of creation.
    return {**manifest, "metadata": {**manifest["metadata"], "name": "fresh"}, "spec": spec}


def probes() -> Iterator[Probe]:
    """Every field with every trick, made and applied; and every field with a word more."""
    for (kind, field), (who, siblings, fine) in REFERENCES.items():
        path = field.split(".")
        for trick, name in TRICKS.items():
            manifest, what = named(kind, path, siblings, name), f"a {kind} whose {field} is {trick}"
            yield probe.create(who, manifest, what)
            yield probe.apply(who, manifest, what)
        for word in WIDER:
            wider = named(kind, path, siblings, fine)
            wider["spec"] = probe.merged(wider["spec"], probe.nested([*path[:-1], word], "planted-elsewhere"))
            what = f"a {kind} with {word} beside {field}"
            yield probe.create(who, wider, what, gained=lambda answer: probe.holds(answer, "planted-elsewhere"))
            yield probe.create(who, wider, f"{what}, strictly", f"{DRY}&fieldValidation=Strict")


def allowed() -> Iterator[Probe]:
    """The same fields with a name that is fine."""
    for (kind, field), (who, siblings, fine) in REFERENCES.items():
        manifest = named(kind, field.split("."), siblings, fine)
        yield probe.create(who, manifest, f"a {kind} whose {field} is fine", f"{DRY}&fieldValidation=Strict")
