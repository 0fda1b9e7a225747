# SPDX-License-Identifier: Apache-2.0
"""Requests that go out as they are written, and what comes back."""
import http.client
import select
import socket
import time

ANSWER_S = 60.0
HEADERS = ["Content-Type", "Content-Disposition", "X-Content-Type-Options", "X-Go-Pprof",
           "Location", "Allow", "Content-Encoding"]


class Answer:
    """status is 0 where there was no answer (within the time, or at all)."""

    def __init__(self, status=0, headers=(), body=b"", took_s=0.0):
        self.status, self.body, self.took_s = status, body, took_s
        self.headers = list(headers)

    def header(self, name):
        """Its value, None when it is not there; several are joined by " | "."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return " | ".join(values) if values else None

    @property
    def text(self):
        return self.body.decode("utf-8", "backslashreplace")

    def __repr__(self):
        return f"Answer({self.status}, {self.headers}, {self.body[:300]!r})"


def wire(method, path, headers=None, body=None, version="HTTP/1.1"):
    """The bytes of a request. headers: {name: value or list of values}; None as a value leaves a
    header out that is sent otherwise (Host, Connection, Content-Length)."""
    sent = {"Host": "localhost", "Connection": "close"}
    if body is not None:
        sent["Content-Length"] = str(len(body))
    sent.update(headers or {})
    lines = [f"{method} {path} {version}"]
    for name, value in sent.items():
        values = value if isinstance(value, list) else [value]
        lines += [f"{name}: {one}" for one in values if one is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


class Asked:
    """A request that was sent. answer() waits for what comes back, leave() goes away; again()
    sends another one over the same connection, if that was left open."""

    def __init__(self, port, method, path, headers=None, body=None, version="HTTP/1.1",
                 within_s=ANSWER_S):
        self.method, self.start_s = method, time.monotonic()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=within_s)
        self._send(wire(method, path, headers, body, version))

    def _send(self, request):
        try:
            self.socket.sendall(request)
        except ConnectionError:
            pass  # answered before all of the body was read

    def again(self, method, path, headers=None):
        self.method = method
        self._send(wire(method, path, headers))

    def fileno(self):
        return self.socket.fileno()

    def status(self):
        """Of an answer that has begun to come; 0 where the connection has ended instead."""
        try:
            begin = self.socket.recv(len("HTTP/1.1 200"), socket.MSG_PEEK)
        except ConnectionError:
            return 0
        return int(begin[-3:] or 0)

    def answer(self, leave=True):
        got = http.client.HTTPResponse(self.socket, method=self.method)
        try:
            got.begin()
            body = got.read()
        except (TimeoutError, ConnectionError, http.client.HTTPException):
            return Answer(took_s=time.monotonic() - self.start_s)
        finally:
            if leave:
                self.leave()
        return Answer(got.status, got.getheaders(), body, time.monotonic() - self.start_s)

    def leave(self):
        self.socket.close()


def begun_answers(waiting):
    """Those of the requests whose answers have begun to come; waits for one."""
    ready = select.select(waiting, [], [], ANSWER_S)[0]
    assert ready, f"no answer within {ANSWER_S} s"
    return ready


def ask(port, method, path, **request):
    """A server that closes early may take its answer away again with it: then once more."""
    for _ in range(3):
        answer = Asked(port, method, path, **request).answer()
        if answer.status or "within_s" in request:
            break
    return answer
