"""A page of the newest log lines, asked for from the search server on each request.

    ELASTICSEARCH_RESOURCE   URL of the search server; default http://localhost:9200
    KIBANA_PORT              port to listen on; default 8081

The volume /var/run/elasticsearch holds the searches that people made last.
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import page
import recent
import search

RESOURCE = os.environ.get("ELASTICSEARCH_RESOURCE", "http://localhost:9200").rstrip("/")
PORT = int(os.environ.get("KIBANA_PORT", "8081"))


class Handler(BaseHTTPRequestHandler):
    """Answers `/` with the page and `/lines.json` with the same as data."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Asks the search server, and says so plainly when it is away."""
        url = urlsplit(self.path)
        if url.path not in ("/", "/lines.json"):
            return self.answer(404, "text/plain", "There is only `/` and `/lines.json`.\n")
        fields = {name: values[-1] for name, values in parse_qs(url.query).items()}
        question = search.Question.from_fields(fields)
        began = time.monotonic()
        try:
            answer = search.ask(RESOURCE, question)
        except search.ServerAway as away:
            if url.path == "/":
                return self.answer(503, "text/html", page.render_away(RESOURCE, question, str(away)))
            return self.answer(503, "application/json", json.dumps({"error": str(away)}))
        if url.path == "/lines.json":
            lines = {"total": answer.total, "lines": [line._asdict() for line in answer.lines]}
            return self.answer(200, "application/json", json.dumps(lines))
        if "refresh" not in fields:
            recent.remember(question.text)
        took = time.monotonic() - began
        text = page.render(RESOURCE, question, answer, recent.searches(), took)
        return self.answer(200, "text/html", text)

    do_HEAD = do_GET

    def answer(self, status: int, kind: str, text: str) -> None:
        """Sends one whole answer."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Keeps the page's own refreshing out of the container's log."""
        if int(code) >= 400:
            super().log_request(int(code), size)

    def log_message(self, template: str, *values: object) -> None:
        """One line to the container's log."""
        print(f"{self.client_address[0]} {template % values}", file=sys.stderr, flush=True)


class Server(ThreadingHTTPServer):
    """Does not wait for idle connections at its end."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    server = Server(("", PORT), Handler)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    print(f"flocker: serving on port {PORT}; searching at {RESOURCE}", file=sys.stderr, flush=True)
    stop.wait()
    server.shutdown()


main()
