"""The HTTP interface of a running bridge.

====== ================= ============================================================
GET    /status           the status as JSON
POST   /pairing/reset    forget all controllers; answers with how many there were
POST   /lamps            set a lamp, see `actions.LampRequest`; answers with its status
====== ================= ============================================================

What cannot be done is answered with ``{"error": …}``, a sentence for a person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from hk_bridge.errors import HkBridgeError
from hk_bridge.web.actions import Actions, LampRequest

#: Requests have no body to speak of.
_MOST_BYTES: Final = 64 * 1024


def make_application(actions: Actions) -> web.Application:
    """The application; it may be served on any number of sockets."""

    async def status(_request: web.Request) -> web.Response:
        return web.json_response(actions.status())

    async def reset_pairings(_request: web.Request) -> web.Response:
        return web.json_response({"controllers": await actions.reset_pairings()})

    async def set_lamp(request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except (ValueError, LookupError, RecursionError):
            raise ValueError("the body is no JSON that can be read") from None
        return web.json_response(actions.set_lamp(LampRequest.from_json(body)))

    application = web.Application(
        client_max_size=_MOST_BYTES, middlewares=[_errors_as_json]
    )
    application.router.add_get("/status", status)
    application.router.add_post("/pairing/reset", reset_pairings)
    application.router.add_post("/lamps", set_lamp)
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
    except ValueError as error:  # of a body that is not what it should be
        return web.json_response({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status)
