"""The control plane as processes on the node: etcd, API server, controller manager, scheduler."""

import http.client
import json
import os
import ssl
from pathlib import Path

from dev import netns, processes
from dev.layout import Layout

ETCD = "http://127.0.0.1:2379"
# Every request with who, what and when, but without bodies: enough to count writes.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


def start_store(layout: Layout) -> None:
    """Start etcd."""
    data = layout.run / "etcd"
    data.mkdir(mode=0o700, exist_ok=True)
    argv = [str(layout.bin / "etcd"), f"--data-dir={data}", "--name=moorage", "--log-level=warn"]
    argv += [f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}"]
    argv += ["--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380"]
    argv += ["--initial-cluster=moorage=http://127.0.0.1:2380"]
    # Test data: a power cut may cost the cluster, and in return no write waits for the disk.
    argv += ["--unsafe-no-fsync"]
    processes.start(layout, "etcd", argv, inside=True)


def start_api_server(layout: Layout) -> None:
    """Start the API server once etcd answers."""
    processes.wait(layout, "etcd", lambda: _answers(layout, 2379, "/health"), seconds=60, what="etcd's first answer")
    processes.start(layout, "kube-apiserver", _api_server(layout), inside=True)


def start_controllers(layout: Layout) -> None:
    """Start controller manager and scheduler once the API server is ready."""
    wait_api_server(layout)
    processes.start(layout, "kube-controller-manager", _controller_manager(layout), inside=True)
    processes.start(layout, "kube-scheduler", _scheduler(layout), inside=True)


def wait_api_server(layout: Layout) -> None:
    """Wait until the API server says it is ready."""
    processes.wait(
        layout,
        "kube-apiserver",
        lambda: _answers(layout, 6443, "/readyz", tls=True),
        seconds=120,
        what="the API server's readiness",
    )


def audit_log(layout: Layout) -> Path:
    """Where requests are logged when MOORAGE_DEV_AUDIT=1 was set at `up`."""
    return layout.run / "audit.log"


def _api_server(layout: Layout) -> list[str]:
    pki = layout.pki
    argv = [
        str(layout.bin / "kube-apiserver"),
        f"--etcd-servers={ETCD}",
        f"--advertise-address={layout.node_ip}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={layout.service_range}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        # Nobody aggregates an API here, but the other components look for this every minute and complain. The name
        # must be one that no certificate carries: its holder could say to be anybody.
        f"--requestheader-client-ca-file={pki}/ca.crt",
        "--requestheader-allowed-names=nobody",
        "--requestheader-username-headers=X-Remote-User",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet.key",
        # By address: nothing here resolves the node's name, and logs and exec would time out looking for it.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/service-account.pub",
        f"--service-account-signing-key-file={pki}/service-account.key",
    ]
    return argv + _audit(layout)


def _audit(layout: Layout) -> list[str]:
    if os.environ.get("MOORAGE_DEV_AUDIT") != "1":
        return []
    policy = layout.run / "audit-policy.json"
    policy.write_text(json.dumps(AUDIT_POLICY))
    return [f"--audit-policy-file={policy}", f"--audit-log-path={audit_log(layout)}"]


def _controller_manager(layout: Layout) -> list[str]:
    config = layout.pki / "controller-manager.kubeconfig"
    return [
        str(layout.bin / "kube-controller-manager"),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--root-ca-file={layout.pki}/ca.crt",
        f"--service-account-private-key-file={layout.pki}/service-account.key",
        # The files it would put self-signed certificates in by default are machine-wide.
        f"--cert-dir={layout.run}/controller-manager",
    ]


def _scheduler(layout: Layout) -> list[str]:
    config = layout.pki / "scheduler.kubeconfig"
    return [
        str(layout.bin / "kube-scheduler"),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]


def _answers(layout: Layout, port: int, path: str, *, tls: bool = False) -> bool:
    """Whether a server on the node's loopback answers this path with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.sock = netns.connect(layout, "127.0.0.1", port)
        if tls:
            context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
            connection.sock = context.wrap_socket(connection.sock, server_hostname="127.0.0.1")
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
