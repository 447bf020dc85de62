"""FastCGI from the web server's side, record by record, right or wrong."""

import email.parser
import fcntl
import io
import json
import socket
import struct
import termios

import client
from fastcgi import BEGIN, END, PARAMS, STDIN, STDOUT, pair
from stack import wait_for

ABORT, STDERR, DATA, GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = 2, 7, 8, 9, 10, 11
RESPONDER, AUTHORIZER = 1, 2
KEEP = 1  # flag of BEGIN_REQUEST: the connection stays
COMPLETE, CANT_MULTIPLEX, OVERLOADED, UNKNOWN_ROLE = range(4)  # protocol status of END_REQUEST


class Cut(Exception):
    """The connection ended before the answer did."""


def record(kind, content=b"", number=1, version=1, padding=0):
    head = struct.pack("!BBHHBx", version, kind, number, len(content), padding)
    return head + content + b"\xa5" * padding


def begin(role=RESPONDER, flags=0, number=1):
    return record(BEGIN, struct.pack("!HB5x", role, flags), number)


def long_pair(name, value):
    """Four bytes for each length, though one would do."""
    name, value = name.encode(), value.encode()
    return struct.pack("!II", len(name) | 1 << 31, len(value) | 1 << 31) + name + value


def stream(kind, data, step=60000, padding=0, number=1):
    """The records of a stream, the empty one that ends it included."""
    parts = [data[i:i + step] for i in range(0, len(data), step)]
    return (b"".join(record(kind, p, number, padding=padding) for p in parts)
            + record(kind, number=number))


def variables(method="GET", uri="/api/health", body=b"", token=None, **more):
    """What the web server says of a request. A value None leaves the variable out."""
    given = {
        "REQUEST_METHOD": method, "REQUEST_URI": uri, "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)) if body else "",
        "CONTENT_TYPE": "application/json" if body else None,
        "HTTP_AUTHORIZATION": f"Bearer {token}" if token else None, **more,
    }
    return {k: v for k, v in given.items() if v is not None}


def params(given, encode=pair):
    return b"".join(encode(k, v) for k, v in given.items())


def message(method="GET", uri="/api/health", body=b"", token=None, *, flags=0, step=60000,
            padding=0, encode=pair, number=1, **more):
    """A request as a web server sends it."""
    return (begin(flags=flags, number=number)
            + stream(PARAMS, params(variables(method, uri, body, token, **more), encode), step,
                     padding, number)
            + stream(STDIN, body, step, padding, number))


class _Response:
    def __init__(self, status, headers):
        self.status, self.headers, self.reason = status, headers, ""


def parse(method, target, out):
    head, _, content = out.partition(b"\r\n\r\n")
    headers = email.parser.BytesParser().parse(io.BytesIO(head + b"\r\n\r\n"))
    answer = client.Answer(method, target, _Response(int(headers["Status"].split()[0]), headers),
                           content)
    client.check_form(answer)
    assert int(headers.get("Content-Length", 0)) == len(content) or method == "HEAD", answer
    return answer


class Connection:
    def __init__(self, path, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.data = b""
        self.others = []  # (kind, number, content) of records that are no answer
        self.ended = None  # (application status, protocol status) of the last END_REQUEST

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        """A peer that has refused already is no error: its answer may be there."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send_piece(self, data):
        """Comes back when the peer has read it, so that what follows is another read of its."""
        self.socket.sendall(data)
        wait_for("the peer reads", lambda: fcntl.ioctl(
            self.socket, termios.TIOCOUTQ, b"\0" * 4) == b"\0" * 4, 5, 0.0001)

    def end_sending(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _fill(self, n):
        while len(self.data) < n:
            try:
                chunk = self.socket.recv(1 << 16)
            except (ConnectionResetError, BrokenPipeError):
                chunk = b""
            if not chunk:
                return False
            self.data += chunk
        return True

    def next(self):
        """One record, or None at the end."""
        if not self._fill(8):
            if self.data:
                raise Cut(f"inside a header: {self.data!r}")
            return None
        version, kind, number, n, pad = struct.unpack("!BBHHBx", self.data[:8])
        assert version == 1, self.data[:8]
        if not self._fill(8 + n + pad):
            raise Cut(f"inside a record of type {kind}")
        content = self.data[8:8 + n]
        self.data = self.data[8 + n + pad:]
        return kind, number, content

    def answer(self, method="GET", target="?", number=1):
        """The answer of this request; None when the connection was closed without a word."""
        out = []
        while (r := self.next()) is not None:
            kind, its, content = r
            if its == number and kind == STDOUT:
                out.append(content)
            elif its == number and kind == END:
                self.ended = struct.unpack("!IB3x", content)
                return parse(method, target, b"".join(out)) if out else None
            else:
                self.others.append(r)
        if out:
            raise Cut("no END_REQUEST")
        return None

    def is_closed(self):
        """The peer has closed, and says no more."""
        return self.next() is None


class Direct:
    """Stands in for client.Http where there is no web server."""

    def __init__(self, path):
        self.path = path

    def request(self, method, target, body=None, *, token=None, headers=(), source="127.0.0.1",
                media="application/json", check=True):
        del check  # always
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = {"HTTP_" + k.upper().replace("-", "_"): v for k, v in dict(headers).items()}
        sent = message(method, target, data, token, REMOTE_ADDR=source,
                       **{"CONTENT_TYPE": media if data else None, **more})
        with Connection(self.path) as c:
            c.send(sent)
            answer = c.answer(method, target)
        if answer is None:
            raise Cut("closed without an answer")
        return answer
