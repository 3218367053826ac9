"""Liveness, readiness, metrics."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.responses import PlainTextResponse, Response

from moorage.store.database import Database


def routes(database: Database, registry: CollectorRegistry) -> APIRouter:
    """/livez says that the loop turns, /readyz that the database answers; a Transient error becomes 503."""
    router = APIRouter(include_in_schema=False)

    @router.get("/livez")
    async def livez() -> Response:
        return PlainTextResponse("ok")

    @router.get("/readyz")
    async def readyz() -> Response:
        await database.value("SELECT 1")
        return PlainTextResponse("ok")

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
