"""A key management service with a memory, as the SDK of AWS meets it over HTTP: JSON 1.1, signed requests."""

import base64
import contextlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ACCOUNT = "arn:aws:kms:eu-central-1:111122223333"
ACCESS_KEY = "AKIAMOORAGETEST"
NONCE_BYTES = 12
SERVER_ERRORS = {"500", "KMSInternalException"}


class Refused(Exception):
    """An answer that is an error, by the code of the service."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


@dataclass
class KeyService:
    """Keys by their ARN; a test disables them, takes rights away, and lays faults in the way of the next requests."""

    keys: dict[str, bytes] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)  # operations
    faults: list[str] = field(default_factory=list)  # an error code, "500", or "lost", each for one request
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # operation and context of all that was done
    url: str = ""

    def new_key(self) -> str:
        """A key; returns its ARN."""
        arn = f"{ACCOUNT}:key/{len(self.keys):08d}-0000-0000-0000-000000000000"
        self.keys[arn] = os.urandom(32)
        return arn

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["KeyService"]:
        """Over HTTP on a port of the loopback, for as long as the block runs."""
        app = web.Application()
        app.router.add_post("/", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        operation = request.headers["X-Amz-Target"].removeprefix("TrentService.")
        fault = self.faults.pop(0) if self.faults else None
        try:
            _admit(request, fault)
            body = self._do(operation, json.loads(await request.read()))
        except Refused as refused:
            return _response({"__type": refused.code, "message": "a sentence with a name: alice"}, refused.status)
        if fault == "lost":  # it was done, and nobody hears of it
            assert request.transport is not None
            request.transport.close()
        return _response(body, 200)

    def _do(self, operation: str, asked: dict[str, Any]) -> dict[str, str]:
        if operation in self.denied:
            raise Refused("AccessDeniedException")
        arn, context = asked["KeyId"], asked.get("EncryptionContext", {})
        if arn not in self.keys:
            raise Refused("NotFoundException")
        if arn in self.disabled:
            raise Refused("DisabledException")
        associated = json.dumps(context, sort_keys=True).encode()
        text = base64.b64decode(asked["Plaintext" if operation == "Encrypt" else "CiphertextBlob"])
        done = self._encrypt if operation == "Encrypt" else self._decrypt
        answer = done(arn, text, associated)
        self.calls.append((operation, context))
        name = "CiphertextBlob" if operation == "Encrypt" else "Plaintext"
        return {"KeyId": arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT", name: base64.b64encode(answer).decode()}

    def _encrypt(self, arn: str, text: bytes, associated: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return arn.encode() + nonce + AESGCM(self.keys[arn]).encrypt(nonce, text, associated)

    def _decrypt(self, arn: str, text: bytes, associated: bytes) -> bytes:
        owner, rest = text[: len(arn)].decode(errors="replace"), text[len(arn) :]
        if owner != arn:
            raise Refused("IncorrectKeyException" if owner in self.keys else "InvalidCiphertextException")
        try:
            return AESGCM(self.keys[arn]).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], associated)
        except (InvalidTag, ValueError) as error:
            raise Refused("InvalidCiphertextException") from error


def _admit(request: web.Request, fault: str | None) -> None:
    if fault not in (None, "lost"):
        raise Refused(fault, 500 if fault in SERVER_ERRORS else 400)
    if f"Credential={ACCESS_KEY}/" not in request.headers.get("Authorization", ""):
        raise Refused("UnrecognizedClientException")


def _response(body: dict[str, str], status: int) -> web.Response:
    return web.Response(text=json.dumps(body), status=status, content_type="application/x-amz-json-1.1")
