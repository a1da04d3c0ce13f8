"""The HTTP interface of a running bridge.

====== ================= ============================================================
GET    /status           the status as JSON
POST   /pairing/reset    forget all controllers; answers with how many there were
====== ================= ============================================================

What cannot be done is answered with ``{"error": …}``, a sentence for a person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from hk_bridge.errors import HkBridgeError
from hk_bridge.web.actions import Actions

#: Requests have no body to speak of.
_MOST_BYTES: Final = 64 * 1024


def make_application(actions: Actions) -> web.Application:
    """The application; it may be served on any number of sockets."""

    async def status(_request: web.Request) -> web.Response:
        return web.json_response(actions.status())

    async def reset_pairings(_request: web.Request) -> web.Response:
        return web.json_response({"controllers": await actions.reset_pairings()})

    application = web.Application(
        client_max_size=_MOST_BYTES, middlewares=[_errors_as_json]
    )
    application.router.add_get("/status", status)
    application.router.add_post("/pairing/reset", reset_pairings)
    return application


@web.middleware
async def _errors_as_json(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    try:
        return await handler(request)
    except HkBridgeError as error:
        return web.json_response({"error": str(error)}, status=500)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status)
