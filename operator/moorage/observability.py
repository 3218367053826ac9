"""Every metric of the house, and the version of the running code."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics

import moorage


class Metrics:
    """Every metric of the house, by name; `docs/metrics.md` lists them."""

    def __init__(self) -> None:
        # A series more for each counter, which says when it was made.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs
        self.registry = CollectorRegistry()
        at: Any = {"registry": self.registry}  # Any: keyword arguments of five classes
        Info("moorage_build", "Version of the running code.", **at).info({"version": moorage.__version__})
        self.api_calls = Counter(
            "moorage_kubernetes_requests_total", "Calls to the Kubernetes API.", ["verb", "resource", "code"], **at
        )
        self.reconciles = Counter(
            "moorage_reconciles_total", "Reconciles by kind and result.", ["kind", "result"], **at
        )
        self.reconcile_seconds = Histogram(
            "moorage_reconcile_seconds", "Wall time of one reconcile.", ["kind"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60), **at
        )  # fmt: skip
        self.queue_depth = Gauge("moorage_queue_depth", "Keys that wait for a worker.", **at)
        self.queue_wait_seconds = Histogram(
            "moorage_queue_wait_seconds", "How long a key waited for its worker.",
            buckets=(0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10, 60), **at
        )  # fmt: skip
        self._of_leading(at)
        self._of_agents(at)
        self.job_runs = Counter("moorage_job_runs_total", "Turns of a job by result.", ["task", "result"], **at)
        self.job_seconds = Histogram(
            "moorage_job_seconds", "Wall time of one turn of a job.", ["task"],
            buckets=(0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10, 60), **at
        )  # fmt: skip
        self.job_last_success = Gauge(
            "moorage_job_last_success_timestamp_seconds", "When a job last came through, in Unix time.", ["task"], **at
        )
        self.policies_missing = Gauge(
            "moorage_policies_missing", "Admission policies that are missing or were changed.", **at
        )
        self.watch_age_seconds = Gauge(
            "moorage_watch_last_activity_seconds", "Seconds since the watch of a kind was heard.", ["kind"], **at
        )
        self.watch_restarts = Counter(
            "moorage_watch_restarts_total", "Watches that did not end by themselves, by what was wrong.",
            ["kind", "reason"], **at
        )  # fmt: skip
        self._of_money(at)
        self.events = Counter("moorage_events_total", "Kubernetes Events by what came of them.", ["result"], **at)
        self._of_movers(at)
        self._of_purges(at)
        self._of_domains(at)
        self._of_http(at)
        self._of_names(at)

    def _of_leading(self, at: Any) -> None:  # Any: keyword arguments of three classes
        self.leader = Gauge("moorage_leader", "1 while this process leads.", **at)
        self.leader_epoch = Gauge("moorage_leader_epoch", "The epoch of this process while it leads, else 0.", **at)
        self.fencing_rejections = Counter(
            "moorage_fencing_rejections_total", "Steps that were refused because something had moved on.", ["by"], **at
        )
        self.loop_lag_seconds = Histogram(
            "moorage_loop_lag_seconds", "How late the event loop came back from one second of rest.",
            buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15), **at
        )  # fmt: skip

    def _of_agents(self, at: Any) -> None:  # Any: keyword arguments of two classes
        self.agents = Gauge("moorage_agents", "Agents by state and what keeps them down.", ["state", "held_by"], **at)
        self.oldest_seconds = Gauge(
            "moorage_agents_oldest_seconds", "Age of the oldest agent in a state that should pass.", ["state"], **at
        )
        self.suspend_seconds = Histogram(
            "moorage_suspend_seconds", "From the decision to stop an agent until its last pod was gone.", ["cause"],
            buckets=(1, 2.5, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300, 600), **at
        )  # fmt: skip
        self.resume_seconds = Histogram(
            "moorage_resume_seconds", "From the decision to run an agent until it was told to be ready.", ["path"],
            buckets=(0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60, 120, 300, 600, 1800), **at
        )  # fmt: skip
        self.tenants = Gauge("moorage_tenants", "Tenants.", **at)
        self.wallets = Gauge("moorage_wallets", "Open wallets by standing.", ["standing"], **at)
        self.settle_overdue_seconds = Gauge(
            "moorage_wallet_settle_overdue_seconds", "Since the longest waiting wallet was due to be settled.", **at
        )
        self.silent_nodes = Gauge("moorage_nodes_silent", "Nodes with metered pods that are not heard.", **at)

    def _of_names(self, at: Any) -> None:  # Any: keyword arguments of two classes
        self.dns_calls = Counter("moorage_dns_calls_total", "Calls to the DNS provider.", ["call", "result"], **at)
        self.dns_calls_left = Gauge("moorage_dns_calls_left", "Calls to the DNS provider that are left now.", **at)
        self.dns_wishes = Gauge("moorage_dns_wishes", "Records and host names that are not yet as wished.", **at)

    def _of_http(self, at: Any) -> None:  # Any: keyword arguments of three classes
        self.http_requests = Counter(
            "moorage_http_requests_total", "Answers of the HTTP API.", ["route", "method", "code"], **at
        )
        self.http_seconds = Histogram(
            "moorage_http_request_seconds", "Time from a request to the end of its answer.", ["route"],
            buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 10, 60), **at
        )  # fmt: skip
        self.certificate_expiry = Gauge(
            "moorage_api_certificate_expiry_timestamp_seconds", "When the certificate that is served ends.", **at
        )

    def _of_money(self, at: Any) -> None:  # Any: keyword arguments of two classes
        self.settled = Counter("moorage_wallets_settled_total", "Wallets settled because they were due.", **at)
        self.exhausted = Counter("moorage_wallets_exhausted_total", "Wallets that reached zero.", **at)
        self.payments = Counter(
            "moorage_payments_total", "Looks at payments that had news, by what came of them.", ["outcome"], **at
        )
        self.payments_waiting = Gauge("moorage_payments_waiting", "Payments that wait for a person.", **at)
        self.payments_overdue = Gauge("moorage_payments_overdue", "Those of them past their deadline.", **at)
        self.oldest_event_seconds = Gauge(
            "moorage_payment_event_oldest_seconds", "Age of the oldest event nobody has looked at.", **at
        )
        self.ledger_violations = Gauge(
            "moorage_ledger_violations", "Rows that broke an invariant at the last check.", **at
        )
        self.ledger_checked = Gauge("moorage_ledger_checked_timestamp_seconds", "When the books were checked.", **at)
        self.ledger_sealed = Gauge("moorage_ledger_sealed_timestamp_seconds", "When the books were sealed.", **at)
        self.history_in_doubt = Gauge("moorage_history_in_doubt", "1 while nobody may lead a restored database.", **at)
        self.absorbed_seconds = Counter(
            "moorage_absorbed_seconds_total", "Metered seconds that the platform paid for.", ["cause", "meter"], **at
        )

    def _of_movers(self, at: Any) -> None:  # Any: keyword arguments of two classes
        self.snapshots = Counter(
            "moorage_snapshots_total", "Snapshot and restore attempts ended.", ["kind", "result"], **at
        )
        self.snapshot_seconds = Histogram(
            "moorage_snapshot_seconds", "From the intent of a snapshot or restore to its verification.", ["kind"],
            buckets=(1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400), **at
        )  # fmt: skip
        self.snapshots_kept = Gauge("moorage_snapshots_kept", "Verified snapshots that are not purged.", **at)
        self.snapshots_kept_bytes = Gauge("moorage_snapshots_kept_bytes", "Bytes of their encrypted objects.", **at)
        self.snapshot_overdue_seconds = Gauge(
            "moorage_snapshot_overdue_seconds", "Since the longest waiting snapshot by schedule was due.", **at
        )
        self.restore_test_failures = Counter(
            "moorage_snapshot_restore_test_failures_total",
            "Snapshots that did not come back from a test restore.",
            **at,
        )
        self.snapshot_orphans = Gauge(
            "moorage_snapshot_orphans", "Snapshots without object and objects without snapshot.", ["side"], **at
        )
        self.mover_queue_depth = Gauge(
            "moorage_mover_queue_depth", "Attempts that wait for a mover's place.", ["kind"], **at
        )
        self.movers_running = Gauge("moorage_movers_running", "Attempts that have a mover's place.", **at)

    def _of_domains(self, at: Any) -> None:  # Any: keyword arguments of two classes
        self.certificates = Counter(
            "moorage_certificates_total", "Certificates that were asked for or given back, by what came of it.",
            ["issuer", "result"], **at
        )  # fmt: skip
        self.domain_certificate_expiry = Gauge(
            "moorage_domain_certificate_expiry_timestamp_seconds",
            "When the first of the host names' certificates ends.",
            **at,
        )

    def _of_purges(self, at: Any) -> None:  # Any: keyword arguments of two classes
        self.purges = Counter(
            "moorage_purges_total", "Purges that were asked for, by what came of it.", ["of", "result"], **at
        )
        self.purge_brake = Gauge("moorage_purge_brake_engaged", "1 while too much was due for purge at once.", **at)
        self.purge_stopped = Gauge("moorage_purge_stopped", "1 while a person lets nothing be purged.", **at)
        self.purge_objects_left = Gauge(
            "moorage_purge_objects_left", "Objects without a key that the store has not removed yet.", **at
        )
        self.purge_notices_failed = Counter(
            "moorage_purge_notices_failed_total", "Notices before a purge that were not accepted.", **at
        )
