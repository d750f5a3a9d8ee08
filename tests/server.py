"""A small HTTP server of a test's own."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def serving(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """Answer on a free port, in threads, until `shutdown`, which waits for next to nothing."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    return server
