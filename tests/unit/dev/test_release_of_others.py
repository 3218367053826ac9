"""A cluster that is not ours keeps the platform that runs on it."""

import json
from pathlib import Path

import pytest

from dev import release
from dev.layout import Layout
from dev.trouble import Trouble


def _cluster(tmp_path: Path, *, replicas: int, external: bool) -> Layout:
    """A clone whose kubectl shows an operator, and writes down what else it is asked."""
    foreign = tmp_path / "kubeconfig" if external else None
    layout = Layout(tmp_path, tmp_path / "cache", tmp_path / "run", "moorage-test", 20000, foreign)
    shown = {"items": [{"metadata": {"name": "moorage-operator"}, "spec": {"replicas": replicas}}]}
    (tmp_path / "shown.json").write_text(json.dumps(shown))
    (layout.root / "dev" / "toolchain").mkdir(parents=True)
    layout.bin.mkdir(parents=True)
    script = f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\ncat {tmp_path}/shown.json\n'
    (layout.bin / "kubectl").write_text(script)
    (layout.bin / "kubectl").chmod(0o755)
    return layout


def test_platform_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="runs on that cluster already"):
        release.spare(_cluster(tmp_path, replicas=1, external=True))


@pytest.mark.parametrize(("replicas", "external"), [(0, True), (1, False)], ids=["from the source tree", "our own"])
def test_our_own_platform_is(tmp_path: Path, replicas: int, external: bool) -> None:
    release.spare(_cluster(tmp_path, replicas=replicas, external=external))


def test_platform_of_somebody_else_is_not_stopped(tmp_path: Path) -> None:
    release.scale_down(_cluster(tmp_path, replicas=1, external=True))
    assert not (tmp_path / "asked").exists()
    (tmp_path / "own").mkdir()
    release.scale_down(_cluster(tmp_path / "own", replicas=1, external=False))
    assert "scale --replicas=0" in (tmp_path / "own" / "asked").read_text()
