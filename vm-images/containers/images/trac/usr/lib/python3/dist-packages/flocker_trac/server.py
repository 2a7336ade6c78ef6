"""The web server: Trac's own, with a log line for each request."""

import logging
import signal
import threading
import time
from pathlib import Path

from trac.env import open_environment
from trac.web.main import dispatch_request
from trac.web.standalone import TracEnvironMiddleware, TracHTTP11RequestHandler, TracHTTPServer

from .settings import say
from .shipper import Shipper

# Requests under way when a stop is asked for get this long.
LAST_REQUESTS_SECONDS = 2.0


class RequestHandler(TracHTTP11RequestHandler):
    """Writes requests to trac.log, where readers look for them."""

    # Idle keep-alive connections end, so that their threads do.
    timeout = 30

    def handle_one_request(self):
        """Measures how long a request took."""
        self.began = None
        try:
            super().handle_one_request()
        finally:
            if self.began:
                self.server.count(-1)

    def parse_request(self):
        """The clock starts when a request is there, not when its connection is."""
        self.began = time.monotonic()
        self.server.count(1)
        return super().parse_request()

    def log_request(self, code="-", size="-"):
        """One line for each answer."""
        took = f" in {(time.monotonic() - self.began) * 1000:.0f} ms" if self.began else ""
        self.server.log("%s %s for %s: %s%s", self.command, self.path, self.client_address[0],
                        getattr(code, "value", code), took)

    def log_message(self, template, *values):
        """Everything else that the HTTP server has to say."""
        self.server.log(template, *values)


class Server(TracHTTPServer):
    """Listens on all addresses; answers each connection in its own thread."""

    request_queue_size = 128

    def __init__(self, port: int, environment: Path) -> None:
        application = TracEnvironMiddleware(dispatch_request, None, [str(environment)], True)
        super().__init__(("", port), application, None, [str(environment)], use_http_11=True)
        self.RequestHandlerClass = RequestHandler
        # The environment may be reloaded, but its logger keeps its name.
        self.logger_name = open_environment(str(environment), use_cache=True).log.name

        self.lock, self.under_way = threading.Lock(), 0

    def count(self, change: int) -> None:
        """Knows how many requests are under way."""
        with self.lock:
            self.under_way += change

    def log(self, template: str, *values: object) -> None:
        """Writes a line to trac.log."""
        logging.getLogger(self.logger_name).info(template, *values)


def serve(port: int, environment: Path, search_port: int | None) -> None:
    """Serves, and sends the log to the search server, until SIGTERM or SIGINT."""
    server = Server(port, environment)
    if search_port is None:
        say("ELASTICSEARCH_PORT is not set: the log stays on the volume")
    else:
        Shipper(environment, search_port, server.logger_name).start()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    say(f"serving on port {port}")
    server.log("serving on port %s", port)
    stop.wait()
    server.shutdown()
    server.socket.close()
    deadline = time.monotonic() + LAST_REQUESTS_SECONDS
    while server.under_way and time.monotonic() < deadline:
        time.sleep(0.02)
    server.log("stopped")
    say("stopped")
