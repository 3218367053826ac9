"""What is built for the cluster: components, their Go packages, flags, and the fingerprints of their pins."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "v1.36.3"
# Without the version the Kubernetes components report v0.0.0, and clients refuse to talk to them.
FLAGS = ("-trimpath", "-ldflags", f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES}")


@dataclass(frozen=True)
class Component:
    """Programs built by one call of Go."""

    name: str
    module: str
    """Folder of the go.mod below the toolchain; `.` is the big shared one."""
    packages: tuple[str, ...]
    folder: str = ""
    """Below the folder of programs."""
    on_demand: bool = False
    """Built when somebody asks for it, not by `up`."""

    @property
    def programs(self) -> tuple[str, ...]:
        """The files this component consists of, relative to the folder of programs."""
        names = (_program(package) for package in self.packages)
        return tuple(f"{self.folder}/{name}" if self.folder else name for name in names)


def _kubernetes(name: str) -> Component:
    return Component(name, ".", (f"k8s.io/kubernetes/cmd/{name}",))


_CNI = "github.com/containernetworking/plugins/plugins"
_CONTAINERD = "github.com/containerd/containerd/v2/cmd"
_PEBBLE = "github.com/letsencrypt/pebble/v2/cmd"

# The API server comes first: it compiles most of what the others share. local-path-provisioner has a call of its own,
# since beside the others Go reports a "case-insensitive import collision" of logrus.
COMPONENTS = (
    Component("pause", ".", ("./pause",)),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kubelet"),
    _kubernetes("kube-proxy"),
    _kubernetes("kubectl"),
    Component("etcd", ".", ("go.etcd.io/etcd/server/v3",)),
    Component("coredns", ".", ("./coredns",)),
    Component("versitygw", ".", ("github.com/versity/versitygw/cmd/versitygw",)),
    Component("local-path-provisioner", ".", ("github.com/rancher/local-path-provisioner",)),
    Component(
        "CNI plugins",
        ".",
        (f"{_CNI}/main/bridge", f"{_CNI}/ipam/host-local", f"{_CNI}/main/loopback", f"{_CNI}/meta/portmap"),
        folder="cni",
    ),
    Component(
        "containerd",
        "containerd",
        (f"{_CONTAINERD}/containerd", f"{_CONTAINERD}/containerd-shim-runc-v2", f"{_CONTAINERD}/ctr"),
    ),
    Component("kwok", "kwok", ("sigs.k8s.io/kwok/cmd/kwok",), on_demand=True),
    Component("name server", "nameserver", ("moorage.dev/dev/nameserver",), on_demand=True),
    Component("ingress", "caddy", ("moorage.dev/dev/caddy",), on_demand=True),
    Component("flux", "flux", ("github.com/fluxcd/kustomize-controller",), on_demand=True),
    Component("pebble", "pebble", (f"{_PEBBLE}/pebble", f"{_PEBBLE}/pebble-challtestsrv"), on_demand=True),
    Component("helm", ".", ("helm.sh/helm/v4/cmd/helm",)),
)


# `up` needs all of these at once. A module that only some tests ask for is cached apart, so that adding one, or
# changing its pins, builds nothing but itself.
CLUSTER_MODULES = tuple(dict.fromkeys(part.module for part in COMPONENTS if not part.on_demand))


def fingerprint(toolchain: Path, modules: Iterable[str] = CLUSTER_MODULES) -> str:
    """A short hash over every pin and flag of these modules; their programs are cached under it."""
    digest = hashlib.sha256("\0".join(FLAGS).encode())
    for file in sorted(path for module in modules for path in _pinned_files(toolchain / module)):
        digest.update(f"\0{file.relative_to(toolchain)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _pinned_files(module: Path) -> list[Path]:
    """The files that say what is built, without those of modules in folders below."""
    inner = [path.parent for path in module.rglob("go.mod") if path.parent != module]
    files = [path for path in module.rglob("*") if path.suffix in {".mod", ".sum", ".go"}]
    return [path for path in files if not any(path.is_relative_to(folder) for folder in inner)]


def _program(package: str) -> str:
    # Go names a program after the last element of its package, or the one before a version: etcd lives in "server/v3".
    return "etcd" if package.startswith("go.etcd.io/etcd/server") else package.rsplit("/", 1)[-1]
