"""The HTTP interface of a running bridge.

====== ================= ============================================================
GET    /status           the status as JSON
POST   /pairing/reset    forget all controllers, or those of one ``bridge`` (from 0);
                         answers with how many there were
POST   /lamps            set a lamp, see `actions.LampRequest`; answers with its status
POST   /reload           read accessories.json anew; answers with what that changed
====== ================= ============================================================

What cannot be done is answered with ``{"error": …}``, a sentence for a person; and with
``{"problems": […]}`` beside it where a configuration has mistakes, a line for each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from hk_bridge.errors import ConfigError, HkBridgeError
from hk_bridge.web.actions import Actions, LampRequest

#: Requests have no body to speak of.
_MOST_BYTES: Final = 64 * 1024


def make_application(actions: Actions) -> web.Application:
    """The application; it may be served on any number of sockets."""

    async def status(_request: web.Request) -> web.Response:
        return web.json_response(actions.status())

    async def reset_pairings(request: web.Request) -> web.Response:
        body = await _json_of(request) if request.can_read_body else {}
        bridge = body.get("bridge") if isinstance(body, dict) else ""
        if bridge is not None and (type(bridge) is not int or bridge < 0):
            raise ValueError('"bridge" has to be the number of one, from 0')
        return web.json_response({"controllers": await actions.reset_pairings(bridge)})

    async def set_lamp(request: web.Request) -> web.Response:
        body = await _json_of(request)
        return web.json_response(actions.set_lamp(LampRequest.from_json(body)))

    async def reload(_request: web.Request) -> web.Response:
        return web.json_response(await actions.reload())

    application = web.Application(
        client_max_size=_MOST_BYTES, middlewares=[_errors_as_json]
    )
    application.router.add_get("/status", status)
    application.router.add_post("/pairing/reset", reset_pairings)
    application.router.add_post("/lamps", set_lamp)
    application.router.add_post("/reload", reload)
    return application


async def _json_of(request: web.Request) -> object:
    """The body. Raises ValueError, with words for a person, for what is no JSON."""
    try:
        body: object = await request.json()
    except (ValueError, LookupError, RecursionError):
        raise ValueError("the body is no JSON that can be read") from None
    return body


@web.middleware
async def _errors_as_json(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ConfigError as error:
        told = {"error": str(error), "problems": error.lines}
        return web.json_response(told, status=422)
    except HkBridgeError as error:
        return web.json_response({"error": str(error)}, status=500)
    except ValueError as error:  # of a body that is not what it should be
        return web.json_response({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status)
