"""The fingerprint under which programs are cached follows every pin of theirs, and no other."""

from pathlib import Path

import pytest

from dev import pins


@pytest.fixture
def toolchain(tmp_path: Path) -> Path:
    for folder in ("coredns", "containerd", "kwok"):
        (tmp_path / folder).mkdir()
    (tmp_path / "go.mod").write_text("module a\n")
    (tmp_path / "go.sum").write_text("sums\n")
    (tmp_path / "coredns" / "main.go").write_text("package main\n")
    (tmp_path / "containerd" / "go.mod").write_text("module b\n")
    (tmp_path / "kwok" / "go.mod").write_text("module c\n")
    return tmp_path


@pytest.mark.parametrize("changed", ["go.mod", "go.sum", "coredns/main.go", "containerd/go.mod"])
def test_fingerprint_changes_with_every_pinned_file(toolchain: Path, changed: str) -> None:
    before = pins.fingerprint(toolchain)
    (toolchain / changed).write_text("something else\n")

    assert pins.fingerprint(toolchain) != before


def test_fingerprint_stays_when_an_unrelated_file_appears(toolchain: Path) -> None:
    before = pins.fingerprint(toolchain)
    (toolchain / "notes.txt").write_text("hello\n")

    assert pins.fingerprint(toolchain) == before


@pytest.mark.parametrize("module", ["kwok", "another"])
def test_fingerprint_of_the_cluster_stays_when_only_some_tests_need_the_module(toolchain: Path, module: str) -> None:
    before, before_kwok = pins.fingerprint(toolchain), pins.fingerprint(toolchain, ["kwok"])
    (toolchain / module).mkdir(exist_ok=True)
    (toolchain / module / "go.mod").write_text("module changed\n")

    assert pins.fingerprint(toolchain) == before
    assert (pins.fingerprint(toolchain, ["kwok"]) == before_kwok) is (module != "kwok")


def test_etcd_is_named_for_what_it_is() -> None:
    programs = {component.name: component.programs for component in pins.COMPONENTS}

    assert programs["etcd"] == ("etcd",)
    assert programs["CNI plugins"] == ("cni/bridge", "cni/host-local", "cni/loopback", "cni/portmap")
    assert programs["kubelet"] == ("kubelet",)
