"""The HTTP application, built from what it is given."""

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from moorage.providers.ports import TokenReviewer
from moorage.store.database import Database
from moorage.web import errors
from moorage.web.routes import health, mover


def create_app(
    *, mover_sessions: mover.Sessions, token_reviews: TokenReviewer, database: Database, registry: CollectorRegistry
) -> FastAPI:
    """All routes of `python -m moorage api`; no documentation pages, nobody reads them here."""
    app = FastAPI(title="Moorage", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(mover.routes(mover_sessions, token_reviews))
    app.include_router(health.routes(database, registry))
    errors.install(app)
    return app
