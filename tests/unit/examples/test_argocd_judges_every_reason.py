"""Argo CD's health checks for our kinds, run by the language they are written for, over every reason."""

from typing import Any

import pytest
import yaml
from lupa import lua51

from moorage.model.conditions import ConditionType, Status
from moorage.model.reasons import Reason
from tests import judgements
from tests.judgements import GENERATION, Judgement, Manifest
from tests.tidy.tree import ROOT

HEALTH = ROOT / "examples/gitops/argocd/health.yaml"
KEY = "resource.customizations.health.moorage.dev_"
CASES = judgements.cases()


def judged(kind: str, obj: Manifest) -> tuple[str, str]:
    """Argo CD's word for an object, and what it shows beside it; Argo CD speaks Lua 5.1 and hands over `obj`."""
    script = yaml.safe_load(HEALTH.read_text())["data"][KEY + kind]
    # No library beyond what Argo CD leaves open: a script that wants one must fail here, too.
    lua: Any = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    for library in ("io", "os", "package", "require", "debug"):
        lua.globals()[library] = None
    lua.globals()["obj"] = lua.table_from(obj, recursive=True)
    answer = lua.execute(script)
    return str(answer["status"]), str(answer["message"])


def an_object(status: Manifest | None) -> Manifest:
    obj: Manifest = {"metadata": {"name": "helper", "generation": GENERATION}, "spec": {}}
    return obj if status is None else {**obj, "status": status}


@pytest.mark.parametrize("name", CASES)
def test_argocd_judges(name: str) -> None:
    kind, status, judgement = CASES[name]
    word, message = judged(kind, an_object(status))
    assert word == judgement
    assert message in {condition["message"] for condition in status["conditions"]}


@pytest.mark.parametrize("kind", ["Agent", "Wallet", "Namespace", "Domain"])
@pytest.mark.parametrize("status", [None, {}, {"conditions": []}], ids=["absent", "empty", "without conditions"])
def test_what_the_operator_has_not_seen_is_progressing(kind: str, status: Manifest | None) -> None:
    assert judged(kind, an_object(status))[0] == Judgement.PROGRESSING


@pytest.mark.parametrize("kind", ["Agent", "Wallet", "Namespace", "Domain"])
def test_a_status_of_an_older_spec_is_progressing(kind: str) -> None:
    old = judgements.status({ConditionType.READY: (Status.TRUE, Reason.POD_READY)}, generation=GENERATION - 1)
    assert judged(kind, an_object(old))[0] == Judgement.PROGRESSING
