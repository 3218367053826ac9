"""Every metric of the house, and the version of the running code."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

import moorage


class Metrics:
    """Every metric of the house, by name; `docs/metrics.md` lists them."""

    def __init__(self) -> None:
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
        self.leader = Gauge("moorage_leader", "1 while this process leads.", **at)
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
        self.job_runs = Counter("moorage_job_runs_total", "Turns of a job by result.", ["job", "result"], **at)
        self.job_seconds = Histogram(
            "moorage_job_seconds", "Wall time of one turn of a job.", ["job"],
            buckets=(0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10, 60), **at
        )  # fmt: skip
        self.job_last_success = Gauge(
            "moorage_job_last_success_timestamp_seconds", "When a job last came through, in Unix time.", ["job"], **at
        )
        self.watch_age_seconds = Gauge(
            "moorage_watch_last_activity_seconds", "Seconds since the watch of a kind was heard.", ["kind"], **at
        )
        self._of_movers(at)
        self._of_purges(at)

    def _of_movers(self, at: Any) -> None:  # Any: keyword arguments of two classes
        self.snapshots = Counter(
            "moorage_snapshots_total", "Snapshot and restore attempts ended.", ["kind", "result"], **at
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
