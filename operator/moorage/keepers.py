"""What is kept outside of the cluster for host names, built from the settings."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from moorage.model.names import Key
from moorage.model.offer import DomainOffer
from moorage.observability import Metrics
from moorage.providers.ports import Proofs
from moorage.services import certificate_issuers
from moorage.services.certificates import Certificates
from moorage.services.keyring import Keyring
from moorage.services.name_services import NameServices
from moorage.settings import Settings
from moorage.store.certificates import CertificateRows
from moorage.store.database import Database
from moorage.store.domains import Domains


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepers:
    """One for each kind of thing; each works beside the queue and rings when something has changed."""

    certificates: Certificates
    proofs: Proofs

    def jobs(self) -> dict[str, Callable[[], Awaitable[float]]]:
        """What the clock drives, by its name."""
        return {"keep_certificates": self.certificates.step}


def build(
    offer: DomainOffer | None,
    settings: Settings,
    names: NameServices | None,
    database: Database,
    keyring: Keyring,
    ring: Callable[[Key, bool], None],
    epoch: Callable[[], int],
    metrics: Metrics,
) -> Keepers | None:
    """The keepers of this installation; None without a zone or a provider, and nothing of theirs is loaded then."""
    if offer is None or names is None:
        return None
    issuers = certificate_issuers.offered(
        settings, names, zone=offer.zone, database=database, keyring=keyring, epoch=epoch
    )
    certificates = Certificates(
        rows=CertificateRows(database), domains=Domains(database), keyring=keyring, issuers=issuers, offer=offer,
        ring=ring, epoch=epoch, metrics=metrics,
    )  # fmt: skip
    # Only here, for the library is large.
    from moorage.providers.dns_proofs import DnsProofs  # noqa: PLC0415

    return Keepers(certificates=certificates, proofs=DnsProofs(settings.domain_resolvers))
