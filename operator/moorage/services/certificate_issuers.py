"""The issuers of certificates that the settings name, ready to be asked."""

from collections.abc import Callable

from moorage.model import values
from moorage.model.domain import Issuer
from moorage.providers.ports import CertificateIssuer
from moorage.services.acme_accounts import SealedAcmeAccounts
from moorage.services.keyring import Keyring
from moorage.services.name_services import NameServices
from moorage.services.zone_records import MARK
from moorage.settings import Settings
from moorage.store.acme_accounts import AcmeAccountRows
from moorage.store.database import Database


def offered(
    settings: Settings,
    names: NameServices,
    *,
    zone: str,
    database: Database,
    keyring: Keyring,
    epoch: Callable[[], int],
) -> dict[Issuer, CertificateIssuer]:
    """The provider's own authority, and the ACME authority unless there is none, or cert-manager asks in our place."""
    found: dict[Issuer, CertificateIssuer] = {Issuer.CLOUDFLARE: names.origin}
    if not settings.acme_directory or settings.cert_manager_issuer:
        return found
    # Here: an operator that does not ask an authority does not carry its client.
    from moorage.providers.acme_issuer import AcmeIssuer  # noqa: PLC0415
    from moorage.providers.dns_challenges import DnsChallenges  # noqa: PLC0415

    resolvers = [values.resolver(str(text)) for text in settings.domain_resolvers]
    mark = f"{MARK}/{names.platform_id}/acme"  # no Domain's: the keeper of the zone leaves it alone
    found[Issuer.ACME] = AcmeIssuer(
        directory=settings.acme_directory,
        email=settings.acme_email,
        ca_file=settings.acme_ca_file,
        accounts=SealedAcmeAccounts(settings.acme_directory, AcmeAccountRows(database), keyring, epoch),
        board=DnsChallenges(zone, provider=names.zones, mark=mark, resolvers=resolvers),
    )
    return found
