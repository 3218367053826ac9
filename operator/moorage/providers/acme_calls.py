"""Single calls to an ACME authority, which block, and what its answers mean to us."""

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWK, JWKEC

import moorage
from moorage.model.errors import Permanent, Transient, Unavailable
from moorage.model.reasons import Reason
from moorage.providers.acme_ports import AccountUnknown

CALL_SECONDS_MAX = 20
NONCE_ROUNDS_MAX = 4  # of two attempts each
LOOK = datetime.timedelta(seconds=0.5)  # less than the client sleeps between two looks: one look
CESSATION_OF_OPERATION = 5  # RFC 5280: why a certificate is revoked

# What the authority may think differently about in a while; everything else it has decided.
_PASSING = frozenset({"serverInternal", "badNonce", "rateLimited", "orderNotReady"})
_FORGOTTEN = frozenset({"accountDoesNotExist"})


class AcmeOrder:
    """One order, and the texts that prove its name."""

    def __init__(self, resource: messages.OrderResource, key: JWK) -> None:
        self.resource = resource
        self.challenges = [_challenge(each) for each in resource.authorizations if not _is_valid(each)]
        self.texts = [each.chall.validation(key) for each in self.challenges]


class AcmeCalls:
    """One connection under one account. Every call raises Transient, Unavailable or Permanent."""

    def __init__(self, directory: str, key_pem: bytes, ca_file: Path | None) -> None:
        key = serialization.load_pem_private_key(key_pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = JWKEC(key=key)
        self._net = _Network(
            self._key, alg=ES256, user_agent=f"moorage/{moorage.__version__}", timeout=CALL_SECONDS_MAX
        )
        self._net.trust(ca_file)
        with self._translated():
            self._client = client.ClientV2(client.ClientV2.get_directory(directory, self._net), self._net)

    def known_as(self, uri: str) -> None:
        """Act for the account that the authority calls so."""
        self._net.account = messages.RegistrationResource(uri=uri, body=messages.Registration())

    def register(self, email: str) -> str:
        """Have an account under our key; returns what the authority calls it, the same when there was one."""
        wanted = messages.NewRegistration.from_data(email=email or None, terms_of_service_agreed=True)
        with self._translated():
            try:
                uri = str(self._client.new_account(wanted).uri)
            except errors.ConflictError as error:
                uri = error.location
        self.known_as(uri)
        return uri

    def order(self, csr_pem: bytes) -> AcmeOrder:
        """Ask for a certificate."""
        with self._translated():
            return AcmeOrder(self._client.new_order(csr_pem), self._key)

    def answer(self, order: AcmeOrder) -> None:
        """Tell the authority that its challenges are met."""
        with self._translated():
            for each in order.challenges:
                self._client.answer_challenge(each, each.chall.response(self._key))

    def is_authorized(self, order: AcmeOrder) -> bool:
        """Whether the authority has seen that they are; False: not yet."""
        with self._translated(), contextlib.suppress(errors.TimeoutError):
            self._client.poll_authorizations(order.resource, _soon())
            return True
        return False

    def finalize(self, order: AcmeOrder) -> None:
        """Have it signed."""
        with self._translated():
            self._client.begin_finalization(order.resource)

    def chain(self, order: AcmeOrder) -> str | None:
        """The certificate with those above it in PEM; None: not yet."""
        with self._translated(), contextlib.suppress(errors.TimeoutError):
            return str(self._client.poll_finalization(order.resource, _soon()).fullchain_pem)
        return None

    def revoke(self, chain_pem: str) -> None:
        """Take a certificate back; one that is revoked already is fine."""
        first = x509.load_pem_x509_certificate(chain_pem.encode())
        with self._translated():
            try:
                self._client.revoke(first, CESSATION_OF_OPERATION)
            except messages.Error as problem:
                if problem.code != "alreadyRevoked":
                    raise

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Their errors become ours; what they say is not passed on."""
        try:
            yield
        except messages.Error as problem:
            raise self._meaning(problem) from problem
        except errors.IssuanceError as failed:
            raise self._meaning(failed.error) from failed
        except errors.ValidationError as failed:
            raise Permanent(Reason.CERTIFICATE_REFUSED, "the authority did not accept the proof") from failed
        except (errors.Error, requests.RequestException, JoseError) as error:
            raise self._away() from error
        except (KeyError, ValueError, TypeError, AttributeError) as error:  # an answer that is no ACME at all
            raise Unavailable("the authority answers with something else") from error

    def _meaning(self, problem: messages.Error) -> Exception:
        if problem.code in _FORGOTTEN:
            return AccountUnknown("the authority does not know our account")
        if problem.code in _PASSING or problem.code is None:
            return Transient(
                f"the authority says {problem.code or 'nothing known'}", retry_after_seconds=self._net.patience_seconds
            )
        return Permanent(Reason.CERTIFICATE_REFUSED, f"the authority says {problem.code}")

    def _away(self) -> Unavailable:
        return Unavailable("the authority does not answer", retry_after_seconds=self._net.patience_seconds)


class _Network(client.ClientNetwork):
    """More patient with nonces than the client's own, which asks twice: an authority that is restarted refuses several.

    Remembers for how long the last answer asked us to wait, which the client's errors do not tell.
    """

    patience_seconds: float | None = None

    def trust(self, ca_file: Path | None) -> None:
        """Whose signature under the authority's own address is believed; None: whom everybody believes."""
        if ca_file is not None:
            self.verify_ssl = str(ca_file)  # type: ignore[assignment]  # handed to requests, which takes a path too

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:  # Any: theirs
        """As theirs; a nonce that was refused is replaced by the one that came with the refusal."""
        for _ in range(NONCE_ROUNDS_MAX - 1):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as problem:
                if problem.code != "badNonce":
                    raise
        return super().post(*args, **kwargs)

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:  # Any: theirs
        self.patience_seconds = None
        answer = super()._send_request(method, url, *args, **kwargs)
        told = answer.headers.get("Retry-After", "")
        self.patience_seconds = float(told) if told.isdecimal() else None
        return answer


def _challenge(authorization: messages.AuthorizationResource) -> messages.ChallengeBody:
    for each in authorization.body.challenges:
        if isinstance(each.chall, challenges.DNS01):
            return each
    raise Permanent(Reason.CERTIFICATE_REFUSED, "the authority does not offer a proof by DNS")


def _is_valid(authorization: messages.AuthorizationResource) -> bool:
    return bool(authorization.body.status == messages.STATUS_VALID)


def _soon() -> datetime.datetime:
    return datetime.datetime.now() + LOOK  # noqa: DTZ005  # theirs is naive
