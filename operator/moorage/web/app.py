"""The HTTP application, built from what it is given."""

from fastapi import FastAPI

from moorage.observability import Metrics
from moorage.providers.ports import TokenReviewer
from moorage.store.database import Database
from moorage.web import errors
from moorage.web.measured import Measured
from moorage.web.routes import health, mover, objects
from moorage.web.waiting import Visited, Waiting


def create_app(
    *,
    mover_sessions: mover.Sessions,
    token_reviews: TokenReviewer,
    database: Database,
    metrics: Metrics,
    folder: objects.Objects | None = None,
) -> FastAPI:
    """All routes of `python -m moorage api`, those for objects where a folder keeps them; no documentation pages."""
    app = FastAPI(title="Moorage", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(mover.routes(mover_sessions, token_reviews))
    if folder is not None:
        app.include_router(objects.routes(folder))
    app.include_router(health.routes(database, metrics.registry))
    errors.install(app)
    app.add_middleware(Measured, metrics=metrics)
    return app


def create_waiting(visits: Visited, metrics: Metrics) -> Measured:
    """The page that visitors of an agent see while it is away."""
    return Measured(Waiting(visits), metrics)
