"""The node: container runtime, pod network, kubelet and kube-proxy."""

import json
import shutil
from pathlib import Path
from typing import Any  # the configuration files are free-form documents

import yaml

from dev import cgroups, processes
from dev.layout import Layout
from dev.trouble import Trouble

PODS_MAX = 250
# Debian's runc has seccomp; a Go build would need libseccomp's headers.
RUNC_PLACES = ("/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc", "/usr/local/bin/runc")


def start_runtime(layout: Layout) -> None:
    """Start containerd and wait until it answers."""
    cgroups.up(layout)
    for name in ("containerd", "cni", "kubelet", "podlogs", "s"):
        (layout.run / name).mkdir(exist_ok=True, mode=0o711)
    _publish(layout.run / "cni" / "10-moorage.conflist", json.dumps(_pod_network(layout), indent=2))
    config = layout.run / "containerd.toml"
    config.write_text(_containerd(layout))
    processes.start(layout, "containerd", [str(layout.bin / "containerd"), f"--config={config}"], inside=True)
    processes.wait(layout, "containerd", lambda: _runtime_answers(layout), seconds=60, what="containerd's first answer")


def start_kubelet(layout: Layout) -> None:
    """Start the kubelet; the API server must be ready."""
    # An empty file, so that the host's resolver is never handed to a pod.
    (layout.run / "resolv.conf").write_text("")
    config = layout.run / "kubelet.yaml"
    config.write_text(yaml.safe_dump(_kubelet(layout)))
    argv = [str(layout.bin / "kubelet"), f"--config={config}", f"--kubeconfig={layout.pki}/kubelet.kubeconfig"]
    argv += [f"--root-dir={layout.run}/kubelet", f"--cert-dir={layout.run}/kubelet/pki"]
    argv += [f"--hostname-override={layout.node_name}", f"--node-ip={layout.node_ip}"]
    processes.start(layout, "kubelet", argv, inside=True)


def start_proxy(layout: Layout) -> None:
    """Start kube-proxy, which makes Service addresses work."""
    config = layout.run / "proxy.yaml"
    config.write_text(yaml.safe_dump(_proxy(layout)))
    processes.start(layout, "kube-proxy", [str(layout.bin / "kube-proxy"), f"--config={config}"], inside=True)


def ctr(layout: Layout, *arguments: str) -> str:
    """Run containerd's own client in the pods' namespace of images and containers."""
    argv = [str(layout.bin / "ctr"), "--address", str(layout.containerd_socket), "--namespace", "k8s.io"]
    return processes.run([*argv, *arguments])


def _publish(path: Path, content: str) -> None:
    # containerd watches this folder and would read a file that is half written.
    if not path.exists() or path.read_text() != content:
        pending = path.with_name(f".{path.name}.pending")
        pending.write_text(content)
        pending.replace(path)


def _runtime_answers(layout: Layout) -> bool:
    if not layout.containerd_socket.exists():
        return False
    try:
        ctr(layout, "version")
    except Trouble:
        return False
    return True


def _containerd(layout: Layout) -> str:
    run = layout.run
    runc = next((place for place in RUNC_PLACES if Path(place).exists()), shutil.which("runc") or "runc")
    # Everything with a machine-wide default is moved below the run folder: paths, sockets of shims, runc's state.
    return f"""\
version = 4
root = "{run}/containerd/root"
state = "{run}/containerd/state"
temp = "{run}/containerd/temp"
imports = []
# NRI listens on a machine-wide socket; the snapshotters would probe devices nobody uses here.
disabled_plugins = [
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs",
]

[plugins."io.containerd.server.v1.grpc"]
  address = "{layout.containerd_socket}"
[plugins."io.containerd.server.v1.ttrpc"]
  address = "{layout.containerd_socket}.ttrpc"
[plugins."io.containerd.shim.v1.manager"]
  socket_dir = "{run}/s"
[plugins."io.containerd.internal.v1.opt"]
  path = "{run}/containerd/opt"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "localhost/pause:1"
[plugins."io.containerd.cri.v1.runtime"]
  # Root without CAP_SYS_RESOURCE may not lower a score.
  restrict_oom_score_adj = true
  # Otherwise the pods' network namespaces stay behind in a machine-wide folder.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [{json.dumps(str(layout.bin / "cni"))}]
    conf_dir = "{run}/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
      Root = "{run}/runc"
      SystemdCgroup = false
"""


def _pod_network(layout: Layout) -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        # Pods reach the node with their own address: access lists and policies can tell them apart.
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": layout.pod_range}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            # The default is a machine-wide folder, which two clones would share.
            "dataDir": str(layout.run / "ipam"),
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": layout.name, "plugins": [bridge, portmap]}


def _kubelet(layout: Layout) -> dict[str, Any]:
    run = layout.run
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{layout.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{layout.pki}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{layout.pki}/kubelet-server.key",
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.name}",
        "failSwapOn": False,
        "clusterDomain": "cluster.local",
        "clusterDNS": [layout.dns_ip],
        "resolvConf": f"{run}/resolv.conf",
        "podLogsDir": f"{run}/podlogs",
        "volumePluginDir": f"{run}/kubelet/volume-plugins",
        "maxPods": PODS_MAX,
        "serializeImagePulls": False,
        "imageGCHighThresholdPercent": 100,
        # The defaults are shares of the disk, and a big disk is often fuller than 90 per cent.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
        "oomScoreAdj": 0,
        # Rules for ports on the host, which nothing here uses; without it no iptables is called.
        "makeIPTablesUtilChains": False,
    }


def _proxy(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": f"{layout.pki}/proxy.kubeconfig"},
        "clusterCIDR": layout.pod_range,
        "hostnameOverride": layout.node_name,
        "oomScoreAdj": 0,
        # Zero means "leave the kernel's values": these are machine-wide.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
