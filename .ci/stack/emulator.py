"""MiniStack with additions for what it lacks (gaps/), and the https addresses of AWS (https.py).

Its variables are those of MiniStack, and: SSM_URL and EC2_URL, the simulated hosts; HTTPS_PORT, the proxy; CERTIFICATES, the
folder that gets the authority's certificate."""

import asyncio
import os

import https
from gaps import booleans, documents, dropped, hosts, http_api, log_target, partiql, pipes, resources, schedules, transform
from ministack import app

CONTROL = "/_stack/schedules/"


def with_control(inner):
    async def outer(scope, receive, send):
        if scope["type"] != "http" or not scope["path"].startswith(CONTROL):
            return await inner(scope, receive, send)
        await asyncio.to_thread(schedules.fire, scope["path"].removeprefix(CONTROL))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    return outer


def main():
    for gap in (booleans, documents, dropped, hosts, http_api, log_target, partiql, pipes, resources, transform):
        gap.fill()
    https.serve(int(os.environ["HTTPS_PORT"]), os.environ["CERTIFICATES"], int(os.environ["GATEWAY_PORT"]))
    app.app = with_control(app.app)
    app.main()


if __name__ == "__main__":
    main()
