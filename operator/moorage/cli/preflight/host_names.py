"""The provider of host names: whether it knows the token and shows the zone, and which right the token lacks."""

from collections.abc import Awaitable, Mapping

from moorage import offering
from moorage import settings as knobs
from moorage.cli.preflight.report import Finding, fail, ok, warn
from moorage.model.errors import MoorageError, Permanent
from moorage.model.messages import MESSAGES
from moorage.model.reasons import Reason
from moorage.observability import Metrics
from moorage.providers.cloudflare_calls import CloudflareCalls, new_calls
from moorage.providers.cloudflare_zones import CloudflareZones
from moorage.settings import SettingsError

CHECK = "host names"
ZONE, TOKEN = "MOORAGE_DOMAIN_ZONE", "MOORAGE_CLOUDFLARE_TOKEN_FILE"  # names of settings
# Whoever may not take anything away is told so before anybody looks whether it is there; and this never is.
NOTHING = "0" * 32
ADVICE = {
    Reason.PROVIDER_TOKEN_INVALID: f"Make a token as docs/domains.md shows, and put it into the file of {TOKEN}.",
    Reason.ZONE_NOT_FOUND: f"Add Zone / Zone / Read for this zone to the token, and compare {ZONE}.",
    Reason.PROVIDER_LACKS_DNS_EDIT: "Add Zone / DNS / Edit for this zone to the token.",
    Reason.PROVIDER_LACKS_SSL_EDIT: "Add Zone / SSL and Certificates / Edit for this zone to the token.",
}


async def provider(environment: Mapping[str, str]) -> list[Finding]:
    """Token, zone and rights, without a change to anything; nothing where zone or token are not given."""
    if not environment.get(ZONE) or not environment.get(TOKEN):
        return [warn(CHECK, "not checked", f"Set {ZONE} and {TOKEN} to check them, too; without them there are none.")]
    try:
        settings = knobs.load(environment)
        offer = offering.platform(settings).domains
    except SettingsError as error:
        return [fail(CHECK, f"{error}", "See docs/settings.md.")]
    assert offer is not None, "the zone is set"
    assert settings.cloudflare_token_file is not None, "the token is set"
    calls = new_calls(
        url=settings.cloudflare_url,
        token_file=settings.cloudflare_token_file,
        per_minute=settings.cloudflare_calls_per_minute,
        metrics=Metrics(),
    )
    try:
        return await _rights(calls, offer.zone)
    finally:
        await calls.close()


async def _rights(calls: CloudflareCalls, zone: str) -> list[Finding]:
    zones = CloudflareZones(calls)
    if problem := await _problem("zone of host names", calls.zone_id(zone)):
        return [problem]
    dns, ssl = "right to edit DNS records", "right to edit certificates"
    missing = [
        await _problem(dns, zones.write(zone, [], [NOTHING])),
        await _problem(ssl, zones.remove_hostname(zone, NOTHING)),
    ]
    return [
        ok("zone of host names", zone),
        *(problem or ok(name, "there") for name, problem in zip((dns, ssl), missing, strict=True)),
    ]


async def _problem(check: str, asked: Awaitable[object]) -> Finding | None:
    try:
        await asked
    except Permanent as refusal:
        return fail(check, MESSAGES[refusal.reason], ADVICE.get(refusal.reason, "See docs/domains.md."))
    except MoorageError as error:
        return warn(check, f"{error}", "Look from where the operator runs, and at the provider's status page.")
    return None
