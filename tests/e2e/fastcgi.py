"""The other end of FastCGI, for what no web server would send: odd addresses, cut bodies."""

import email.parser
import io
import os
import socket
import struct

import pytest

import client
from frontends import FRONT

BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6


def record(kind, content=b""):
    return struct.pack("!BBHHBx", 1, kind, 1, len(content), 0) + content


def begin():
    return record(BEGIN, struct.pack("!HB5x", 1, 0))


def pair(name, value):
    name, value = name.encode(), value if isinstance(value, bytes) else value.encode()

    def length(n):
        return struct.pack("!B", n) if n < 128 else struct.pack("!I", n | 1 << 31)

    return length(len(name)) + length(len(value)) + name + value


def connect(path):
    if FRONT.spawns and not os.path.exists(path):
        pytest.skip("taskcell has no socket of its own here")
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(str(path))
    return s


class _Response:
    def __init__(self, status, headers):
        self.status, self.headers, self.reason = status, headers, ""


def request(path, method, uri, body=b"", length=None, outside=False, **params):
    """One request, one client.Answer. `length`: what CONTENT_LENGTH claims; `outside`: of the server's
    mount."""
    params = {
        "REQUEST_METHOD": method, "REQUEST_URI": uri, "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body) if length is None else length), **params,
    }
    if body:
        params.setdefault("CONTENT_TYPE", "application/json")
    data = begin() + record(PARAMS, b"".join(pair(k, v) for k, v in params.items()))
    data += record(PARAMS)
    for i in range(0, len(body), 60000):
        data += record(STDIN, body[i:i + 60000])
    with connect(path) as s:
        s.sendall(data + record(STDIN))
        out = read_all(s)
    head, _, content = out.partition(b"\r\n\r\n")
    headers = email.parser.BytesParser().parse(io.BytesIO(head + b"\r\n\r\n"))
    status = int(headers["Status"].split()[0])
    answer = client.Answer(method, "?" if outside else uri, _Response(status, headers), content)
    client.check_form(answer)
    assert int(headers.get("Content-Length", 0)) == len(content) or method == "HEAD"
    return answer


def read_all(s):
    data, out = b"", b""
    while chunk := s.recv(65536):
        data += chunk
    while len(data) >= 8:
        _, kind, _, n, pad = struct.unpack("!BBHHBx", data[:8])
        if kind == STDOUT:
            out += data[8:8 + n]
        data = data[8 + n + pad:]
    return out
