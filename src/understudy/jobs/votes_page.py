"""The page on which people vote: a server for this machine alone, made of the standard library.

It listens on 127.0.0.1. Its address carries a random token, compared in constant time, and requests under another host name are
refused, so that neither another user's guess nor a web site that points its name here gets in. No part of a request is ever taken
for a path: there are four addresses, and the words in them are looked up in a table. The page loads nothing from elsewhere.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from string import Template
from typing import Any

from understudy.errors import OptionError
from understudy.jobs.votes_ask import Session

_HOST = "127.0.0.1"
_LONGEST = 2000  # bytes of an answer
_CHUNK = 1 << 20
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class VotesPage:
    """The page of one session, served from entering to leaving the context.

    Attributes:
        address: where to point a browser.
    """

    def __init__(self, session: Session, port: int = 0) -> None:
        """
        Raises:
            OptionError: the port is taken.
        """
        self._token = secrets.token_urlsafe(24)
        try:
            self._server = _Server(session, self._token, port)
        except OSError as error:
            raise OptionError(
                f"--port {port} cannot be listened on: {error.strerror or error}. Choose another, or 0 for a free one."
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self.address = f"http://{_HOST}:{self._server.server_address[1]}/{self._token}/"

    def __enter__(self) -> VotesPage:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, session: Session, token: str, port: int) -> None:
        self.session, self.token = session, token.encode()
        super().__init__((_HOST, port), _Handler)

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """A browser that goes away in the middle of a movie is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "understudy", ""
    timeout = 60

    def do_GET(self) -> None:
        """The page, the next pair, or one of the two clips on show."""
        words = self._words()
        if words == ["page"]:
            self._page()
        elif words == ["trial"]:
            self._json(self.server.session.trial())
        elif words is not None and len(words) == 2 and words[0] == "clip":
            self._clip(words[1])
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """An answer: {"trial": ..., "choice": "left", "right" or "draw"}."""
        if self._words() != ["vote"]:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        length = self.headers.get("Content-Length", "")
        # Other pages may send forms anywhere, but not JSON.
        plain = self.headers.get("Content-Type", "").split(";")[0].strip() == "application/json"
        if not plain or not length.isdigit() or int(length) > _LONGEST:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        try:
            answer = json.loads(self.rfile.read(int(length)))
            taken = self.server.session.vote(str(answer["trial"]), str(answer["choice"]))
        except (ValueError, KeyError, TypeError):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        self._json({"taken": taken, "next": self.server.session.trial()})

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not news."""

    def _words(self) -> list[str] | None:
        """The words after the token, ["page"] where there are none; None for strangers."""
        host = self.headers.get("Host", "")
        port = self.server.server_address[1]
        if host not in (f"{_HOST}:{port}", f"localhost:{port}"):
            return None
        parts = self.path.partition("?")[0].split("/")
        if len(parts) < 3 or not secrets.compare_digest(parts[1].encode("utf-8", "replace"), self.server.token):
            return None
        return ["page"] if parts[2:] == [""] else parts[2:]

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(12)
        page = Template((resources.files("understudy.jobs") / "votes_page.html").read_text("utf-8"))
        question = json.dumps(self.server.session.question).replace("<", "\\u003c")
        body = page.substitute(nonce=nonce, question=question).encode()
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; media-src 'self'; img-src 'self'; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self._begin(HTTPStatus.OK, "text/html; charset=utf-8", len(body), {"Content-Security-Policy": policy})
        self.wfile.write(body)

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self._begin(HTTPStatus.OK, "application/json", len(body))
        self.wfile.write(body)

    def _clip(self, word: str) -> None:
        """A clip on show, whole or the range that a browser asks for when it loops a movie."""
        file = self.server.session.media(word)
        if file is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        kind = "video/mp4" if file.suffix == ".mp4" else "image/png"
        size = file.stat().st_size
        first, last, status, more = 0, size - 1, HTTPStatus.OK, {"Accept-Ranges": "bytes"}
        wished = _RANGE.fullmatch(self.headers.get("Range", ""))
        if wished and any(wished.groups()):
            low, high = wished.groups()
            first = int(low) if low else max(size - int(high), 0)
            last = min(int(high), size - 1) if low and high else size - 1
            if first > last:
                self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                return
            status, more["Content-Range"] = HTTPStatus.PARTIAL_CONTENT, f"bytes {first}-{last}/{size}"
        self._begin(status, kind, last - first + 1, more)
        with file.open("rb") as source:
            source.seek(first)
            left = last - first + 1
            while left > 0 and (data := source.read(min(left, _CHUNK))):
                self.wfile.write(data)
                left -= len(data)

    def _refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True  # what is left of the request is not read
        self._begin(status, "text/plain", 0, {"Connection": "close"})

    def _begin(self, status: HTTPStatus, kind: str, length: int, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(length),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in {**headers, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
