"""Opens the doors of `moorage api`: HTTPS for movers and, where there are host names, plain HTTP for visitors."""

import asyncio

import uvicorn
from fastapi import FastAPI

from moorage.settings import Settings
from moorage.web.measured import Measured

# A visitor's request is a line and some headers; there is no reason to wait long for it, or for the next.
VISITORS_MAX = 1000
VISITOR_IDLE_SECONDS = 5


async def serve(settings: Settings, app: FastAPI, waiting: Measured | None) -> None:
    """Serve until SIGTERM; each server hands the signal on to the one that was opened before it."""
    host, port = settings.api_listen
    doors = [
        uvicorn.Config(
            app, host=host, port=port, log_config=None, access_log=False, loop="none", server_header=False,
            ssl_certfile=str(settings.api_tls_cert_file), ssl_keyfile=str(settings.api_tls_key_file),
        )
    ]  # fmt: skip
    if waiting is not None:
        # Host is what visitors say, and the only thing that is believed: no forwarded headers.
        host, port = settings.waiting_listen
        doors.append(
            uvicorn.Config(
                waiting, host=host, port=port, log_config=None, access_log=False, loop="none", server_header=False,
                proxy_headers=False, lifespan="off", ws="none", limit_concurrency=VISITORS_MAX,
                timeout_keep_alive=VISITOR_IDLE_SECONDS,
            )
        )  # fmt: skip
    await asyncio.gather(*(uvicorn.Server(door).serve() for door in doors))
