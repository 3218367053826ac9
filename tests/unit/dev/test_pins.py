"""The fingerprint under which programs are cached follows every pin."""

from pathlib import Path

import pytest

from dev import pins


@pytest.fixture
def toolchain(tmp_path: Path) -> Path:
    (tmp_path / "coredns").mkdir()
    (tmp_path / "go.mod").write_text("module a\n")
    (tmp_path / "go.sum").write_text("sums\n")
    (tmp_path / "coredns" / "main.go").write_text("package main\n")
    return tmp_path


@pytest.mark.parametrize("changed", ["go.mod", "go.sum", "coredns/main.go"])
def test_fingerprint_changes_with_every_pinned_file(toolchain: Path, changed: str) -> None:
    before = pins.fingerprint(toolchain)
    (toolchain / changed).write_text("something else\n")

    assert pins.fingerprint(toolchain) != before


def test_fingerprint_stays_when_an_unrelated_file_appears(toolchain: Path) -> None:
    before = pins.fingerprint(toolchain)
    (toolchain / "notes.txt").write_text("hello\n")

    assert pins.fingerprint(toolchain) == before


def test_etcd_is_named_for_what_it_is() -> None:
    programs = {component.name: component.programs for component in pins.COMPONENTS}

    assert programs["etcd"] == ("etcd",)
    assert programs["CNI plugins"] == ("cni/bridge", "cni/host-local", "cni/loopback", "cni/portmap")
    assert programs["kubelet"] == ("kubelet",)
