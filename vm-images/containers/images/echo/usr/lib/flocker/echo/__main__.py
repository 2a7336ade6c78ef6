"""Answers each line of a connection, and each packet, with the sender's address and what it sent.

The answer is `echo ADDRESS TEXT`. SIGTERM ends it at once.
"""

import os
import signal
import socketserver
import threading

PORT = 7007


class Connection(socketserver.StreamRequestHandler):
    """Answers line by line."""

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(answer(self.client_address[0], line))


class Packet(socketserver.BaseRequestHandler):
    """Answers one packet."""

    def handle(self) -> None:
        text, socket = self.request
        socket.sendto(answer(self.client_address[0], text), self.client_address)


class Server(socketserver.ThreadingTCPServer):
    """Takes connections, also while those of a former process are still closing."""

    allow_reuse_address = True
    daemon_threads = True


def answer(sender: str, text: bytes) -> bytes:
    """Says who sent what."""
    return b"echo " + sender.encode() + b" " + text.rstrip(b"\n") + b"\n"


def main() -> None:
    """Serves until it is told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    packets = socketserver.ThreadingUDPServer(("", PORT), Packet)
    threading.Thread(target=packets.serve_forever, daemon=True).start()
    with Server(("", PORT), Connection) as connections:
        connections.serve_forever()


main()
