"""The account over HTTP: what the SDK of Cloudflare meets."""

import contextlib
import json
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from tests.fakes.cloudflare import hostnames, records
from tests.fakes.cloudflare.account import DNS, SSL, ZONE, Account, Json, Refusal

Do = Callable[[web.Request, Json], Any]
PER_PAGE = 20
FALSE = {"false": 1234, "enough": 971}  # answers that call themselves a success and are none


class CloudflareServer:
    """Serves an account on a port of the loopback."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.url = ""
        self._authority = hostnames.OriginAuthority()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["CloudflareServer"]:
        """For as long as the block runs."""
        app = web.Application(client_max_size=2**22)
        for method, path, kind, right, do in self._doors():
            app.router.add_route(method, path, self._door(kind, right, do))
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            yield self
        finally:
            await runner.cleanup()

    def _doors(self) -> list[tuple[str, str, str, str, Do]]:
        account, zone = self.account, self._zone
        named, signed = "/zones/{zone}/custom_hostnames", "/certificates"
        return [
            ("GET", "/user/tokens/verify", "verify_token", "", lambda *_: {"id": "a", "status": "active"}),
            ("GET", "/zones", "find_zone", ZONE, self._zones),
            ("GET", "/zones/{zone}/dns_records", "list_records", DNS, lambda r, _: records.listed(zone(r), r.query)),
            ("POST", "/zones/{zone}/dns_records/batch", "write_records", DNS,
             lambda r, asked: records.batch(account, zone(r), asked)),
            ("GET", named, "list_hostnames", SSL, lambda r, _: list(zone(r).hostnames.values())),
            ("POST", named, "add_hostname", SSL, lambda r, asked: hostnames.add(account, zone(r), asked)),
            ("DELETE", named + "/{id}", "remove_hostname", SSL, lambda r, _: _pop(zone(r).hostnames, r)),
            ("POST", signed, "sign_certificate", SSL, lambda _, asked: self._authority.sign(account, asked)),
            ("DELETE", signed + "/{id}", "revoke_certificate", SSL, lambda r, _: _pop(account.certificates, r)),
        ]  # fmt: skip

    def _zone(self, request: web.Request) -> Any:  # Any: what a door finds
        return self.account.zone_of(request.match_info["zone"])

    def _zones(self, request: web.Request, _: Json) -> list[Json]:
        wanted = request.query.get("name")
        return [{"id": zone.id, "name": zone.name} for zone in self.account.zones.values() if zone.name == wanted]

    def _door(self, kind: str, right: str, do: Do) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.StreamResponse:
            self.account.calls[kind] += 1
            headers: Json = {}
            try:
                headers = self.account.spend()
                fault = self.account.fault(kind)
                _before(fault)
                self._admit(request, right)
                result = do(request, json.loads(await request.read() or b"{}"))
            except Refusal as refusal:
                return self._refused(refusal, headers)
            except _Html:
                return web.Response(status=200, text="<html>a page</html>", content_type="text/html")
            if fault == "lost":  # it was done, and nobody hears of it
                assert request.transport is not None
                request.transport.close()
            body = {"success": True, "errors": [], "messages": [], **self._paged(request, result)}
            if fault == "null":
                body["result"] = None
            bare = kind == "remove_hostname"
            return web.json_response(result if bare else body, headers=headers)

        return answer

    def _admit(self, request: web.Request, right: str) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.account.tokens:
            raise Refusal(10000, 403) if right else Refusal(1000, 401)
        if right and right not in self.account.tokens[token]:
            raise Refusal(10000, 403)

    def _refused(self, refusal: Refusal, headers: Json) -> web.Response:
        if refusal.status == 429:
            left = max(1, math.ceil(self.account.blocked_until - self.account.clock()))
            headers = {"Retry-After": str(left)}
        said = [{"code": refusal.code, "message": "a sentence with a name: alice"}]
        body = {"success": False, "errors": said, "messages": [], "result": None}
        return web.json_response(body, status=refusal.status, headers=headers)

    def _paged(self, request: web.Request, result: Any) -> Json:
        if not isinstance(result, list):
            return {"result": result}
        page, per_page = (int(request.query.get(key, usual)) for key, usual in (("page", 1), ("per_page", PER_PAGE)))
        some = result[(page - 1) * per_page : page * per_page]
        pages = math.ceil(len(result) / per_page)
        about = {"page": page, "per_page": per_page, "count": len(some)}
        about |= {"total_count": len(result), "total_pages": pages}
        if page < pages:
            self.account.between_pages()
        return {"result": some, "result_info": about}


class _Html(Exception):
    pass


def _before(fault: str) -> None:
    if fault == "html":
        raise _Html
    if fault == "500":
        raise Refusal(0, 500)
    if fault in FALSE:
        raise Refusal(FALSE[fault], 200)


def _pop(things: dict[str, Json], request: web.Request) -> Json:
    if request.match_info["id"] not in things:
        raise Refusal(1436, 404)
    return {"id": things.pop(request.match_info["id"])["id"]}
