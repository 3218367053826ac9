"""A TokenReviewer that knows the tokens a test has issued, each for one audience."""

import secrets

from moorage.model.errors import Unavailable
from moorage.model.identity import Identity
from moorage.model.names import MOVER_AUDIENCE


class FakeTokenReviewer:
    """Answers like the API server: an unknown token, or one for another audience, is nobody."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str], Identity] = {}
        self.down = False

    def issue(self, identity: Identity, audience: str = MOVER_AUDIENCE) -> str:
        """A new token that speaks for this identity."""
        token = secrets.token_urlsafe(32)
        self._tokens[token, audience] = identity
        return token

    async def review(self, token: str, audience: str) -> Identity | None:
        """The identity the token was issued for."""
        if self.down:
            raise Unavailable("the API server does not answer")
        return self._tokens.get((token, audience))
