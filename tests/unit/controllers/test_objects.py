"""The cache of our objects rings for wishes, and for nothing else."""

from typing import Any

import pytest

from moorage.controllers.objects import Objects
from moorage.model.names import ANNOTATION_SNAPSHOT_REQUESTED, FINALIZER, Key

KEY = Key("Agent", "mn-acme", "helper")


def manifest(**metadata: Any) -> dict[str, Any]:
    base = {"name": "helper", "namespace": "mn-acme", "uid": "1", "generation": 1, "finalizers": [FINALIZER]}
    return {"kind": "Agent", "metadata": {**base, **metadata}, "spec": {"size": "small", "image": "x"}, "status": {}}


def put(first: dict[str, Any], second: dict[str, Any]) -> bool:
    objects = Objects()
    assert objects.put(first) == (KEY, True)
    key, news = objects.put(second)
    assert key == KEY
    return news


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"generation": 2}, id="the spec changed"),
        pytest.param({"uid": "2"}, id="another object has the name"),
        pytest.param({"deletionTimestamp": "2026-05-01T00:00:00Z"}, id="somebody asks for its deletion"),
        pytest.param({"finalizers": []}, id="our finalizer was taken away"),
        pytest.param({"annotations": {ANNOTATION_SNAPSHOT_REQUESTED: "now"}}, id="somebody asks for a snapshot"),
    ],
)
def test_a_change_of_what_is_wished_is_news(change: dict[str, Any]) -> None:
    assert put(manifest(), manifest(**change))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(manifest(), {**manifest(resourceVersion="2"), "status": {"podName": "x"}}, id="our own status"),
        pytest.param(manifest(finalizers=[]), manifest(), id="our own finalizer"),
        pytest.param(manifest(), manifest(annotations={"note": "x"}), id="an annotation"),
    ],
)
def test_an_echo_is_no_news(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert not put(first, second)


def test_a_dropped_object_is_gone_and_comes_back_as_news() -> None:
    objects = Objects()
    objects.put(manifest())
    assert objects.drop(manifest()) == KEY
    assert objects.agent(KEY) is None
    assert objects.put(manifest()) == (KEY, True)
