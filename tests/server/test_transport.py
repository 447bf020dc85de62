"""The transport with large answers and large bodies, which are kept in files: tests/server/transport.c
above the real code."""

import email.parser
import io
import itertools
import json
import os
import re
import resource
import socket
import subprocess
import time

import pytest

import wire
from rig import descriptors, sanitized, sockets
from stack import wait_for
from wire import KEEP, message

MIB = 1 << 20
IMPORT = "/api/me/tasks/import"
SMALL = 64 * 1024  # REQUEST_BODY_MAX
LARGE = 64 * MIB   # REQUEST_IMPORT_MAX

numbers = itertools.count()  # of the folders


class Transport:
    """The program on a socket; `file_size`: a file that grows beyond it meets a full disk."""

    def __init__(self, build, directory, file_size=None):
        self.build = build
        self.dir = directory / "spool"
        self.dir.mkdir(parents=True)
        self.path = str(directory / "sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(16)
        self.log_path = directory / "log"

        def limits():
            if file_size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [build / "tests/server/transport", self.dir], stdin=listener, stderr=log,
                preexec_fn=limits)  # pylint: disable=subprocess-popen-preexec-fn
        listener.close()
        ask(self, "GET", "/")
        wait_for("one socket", lambda: sockets(self.process.pid) == 1, 10)
        self.descriptors = descriptors(self.process.pid)

    def connect(self):
        return wire.Connection(self.path, 60)

    def log(self):
        return self.log_path.read_text(encoding="utf-8")

    def peak_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmHWM:\s+(\d+) kB", f.read())[1])

    def is_clean(self):
        """No file, no descriptor and no mapping is left."""
        with open(f"/proc/{self.process.pid}/maps", encoding="utf-8") as f:
            mapped = "spool." in f.read()
        return (not mapped and not os.listdir(self.dir)
                and descriptors(self.process.pid) == self.descriptors)

    def stop(self):
        assert self.process.poll() is None, self.log()
        wait_for("a clean transport", self.is_clean, 10)
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def start(build, state):
    made = []

    def one(**options):
        made.append(Transport(build, state / f"t{next(numbers)}", **options))
        return made[-1]

    yield one
    for t in made:
        t.stop()


@pytest.fixture(scope="module")
def transport(build, state):
    t = Transport(build, state / f"t{next(numbers)}")
    yield t
    t.stop()


def take(c, method="GET"):
    """The headers and the body of an answer, which must be whole."""
    out = []
    while (r := c.next()) is not None:
        kind, _, content = r
        if kind == wire.STDOUT:
            out.append(content)
        elif kind == wire.END:
            head, _, body = b"".join(out).partition(b"\r\n\r\n")
            headers = email.parser.BytesParser().parse(io.BytesIO(head + b"\r\n\r\n"))
            if method != "HEAD":
                assert int(headers["Content-Length"]) == len(body)
            return headers, body
    raise wire.Cut(sum(map(len, out)))


def ask(transport, method, uri, body=b"", **more):
    sent = message(method, uri, body, **more)  # before the connection, which must not be silent
    with transport.connect() as c:
        c.send(sent)
        return take(c, method)


def said(transport, method, uri, body=b"", **more):
    return json.loads(ask(transport, method, uri, body, **more)[1])


def pattern(n):
    return (bytes(range(251)) * (n // 251 + 1))[:n]


def checksum(body):
    """As transport.c has it."""
    total = 0
    for b in body:
        total = (total * 31 + b) & 0xffffffff
    return total


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 10000, MIB, MIB + 1, MIB + 10000, 3 * MIB, 10_000_019])
def test_an_answer_of_any_size(transport, n):
    headers, body = ask(transport, "GET", f"/spill?{n}")
    assert headers["Status"].startswith("200")
    assert body == pattern(n)
    headers, body = ask(transport, "HEAD", f"/spill?{n}")
    assert (headers["Content-Length"], body) == (str(n), b"")


def test_answers_on_a_kept_connection(transport):
    with transport.connect() as c:
        for n in (3 * MIB, 5, 2 * MIB, 0, 3 * MIB):
            for method in ("GET", "HEAD"):
                c.send(message(method, f"/spill?{n}", flags=KEEP))
                headers, body = take(c, method)
                assert headers["Content-Length"] == str(n)
                assert body == (pattern(n) if method == "GET" else b"")


def test_memory_is_flat(start, tell):
    t = start()
    ask(t, "GET", f"/spill?{4 * MIB}")
    before = t.peak_kib()
    assert len(ask(t, "GET", f"/spill?{300 * MIB}")[1]) == 300 * MIB
    tell(f"{before} KiB after 4 MiB, {t.peak_kib()} KiB after 300 MiB")
    if not sanitized(t):
        assert t.peak_kib() - before < 1024


@pytest.mark.parametrize("flags", [0, KEEP])
def test_a_file_that_is_short_cuts_the_answer(transport, flags):
    """What is there must not be taken for the whole, and the next answer is a good one."""
    n = 3 * MIB
    with transport.connect() as c:
        c.send(message("GET", f"/lost?{n}", flags=flags))
        with pytest.raises(wire.Cut) as cut:
            take(c)
        assert 0 < cut.value.args[0] < n
        assert c.ended is None
    assert "event=spool" in transport.log()
    assert ask(transport, "GET", f"/spill?{n}")[1] == pattern(n)


def test_a_peer_that_leaves_while_it_is_sent(transport):
    for n in (1, 5000, 2 * MIB):
        with transport.connect() as c:
            c.send(message("GET", f"/spill?{40 * MIB}"))
            c._fill(n)  # pylint: disable=protected-access
    assert ask(transport, "GET", "/spill?7")[1] == pattern(7)


def test_no_room_for_an_answer(start):
    t = start(file_size=5 * MIB)
    assert ask(t, "GET", f"/spill?{4 * MIB}")[1] == pattern(4 * MIB)
    assert ask(t, "GET", f"/spill?{8 * MIB}")[0]["Status"].startswith("503")
    assert ask(t, "GET", f"/spill?{4 * MIB}")[1] == pattern(4 * MIB)


# --- bodies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, SMALL - 1, SMALL, SMALL + 1, SMALL + 65536, MIB, 5 * MIB + 3])
@pytest.mark.parametrize("declared", [True, False])
def test_the_body_of_an_import(transport, n, declared):
    body = pattern(n)
    more = {} if declared else {"CONTENT_LENGTH": None}
    got = said(transport, "POST", IMPORT, body, **more)
    assert (got["state"], got["len"], got["end"]) == ("complete", n, 0)
    assert got["sum"] == checksum(body)


@pytest.mark.parametrize("uri", [
    IMPORT + "/", IMPORT + "?dry_run=true", IMPORT + "/?x", "/tasks/import",
])
def test_paths_of_an_import(transport, uri):
    assert said(transport, "POST", uri, pattern(MIB))["sum"] == checksum(pattern(MIB))


def test_the_largest_body(transport):
    body = bytes(LARGE)
    for more in ({}, {"CONTENT_LENGTH": None}):
        got = said(transport, "POST", IMPORT, body, **more)
        assert (got["state"], got["len"], got["sum"]) == ("complete", LARGE, 0)
        got = said(transport, "POST", IMPORT, body + b"x",
                   **(more or {"CONTENT_LENGTH": str(LARGE + 1)}))
        assert (got["state"], got["len"]) == ("too large", 0)


@pytest.mark.parametrize("method,uri", [
    ("PUT", IMPORT), ("PATCH", IMPORT), ("POST", "/api/me/tasks"), ("POST", IMPORT + "//"),
    ("POST", "/api/me/tasks/Import"), ("POST", "/api/me/tasks/%69mport"), ("POST", "/import"),
    ("POST", "/api/me/tasks?/tasks/import"), ("POST", "/tasks/import/x"),
])
def test_other_bodies_stay_small(transport, method, uri):
    assert said(transport, method, uri, bytes(SMALL))["state"] == "complete"
    assert said(transport, method, uri, bytes(SMALL + 1))["state"] == "too large"
    assert said(transport, method, uri, bytes(3 * MIB), CONTENT_LENGTH=None)["state"] == "too large"


@pytest.mark.parametrize("declared,n", [
    (SMALL + 1, 0), (SMALL + 1, SMALL), (SMALL + 1, SMALL + 2), (MIB, MIB - 1), (MIB, MIB + 1),
    (5, MIB), (SMALL, SMALL + 1), (MIB, 20 * MIB), ("x", MIB), ("-1", 5), ("+5", 5),
])
def test_an_import_that_is_not_as_long_as_it_says(transport, declared, n):
    got = said(transport, "POST", IMPORT, bytes(n), CONTENT_LENGTH=str(declared))
    assert (got["state"], got["len"]) == ("cut", 0)


def test_an_import_that_says_it_is_too_long(transport):
    for declared, n in ((LARGE + 1, 5), (10 ** 18, MIB), (LARGE + 1, LARGE)):
        got = said(transport, "POST", IMPORT, bytes(n), CONTENT_LENGTH=str(declared))
        assert (got["state"], got["len"]) == ("too large", 0)


def test_an_import_that_is_cut(transport):
    """The peer goes in the middle, wholly or by half."""
    data = message("POST", IMPORT, bytes(3 * MIB))
    for at in (2000, SMALL + 2000, MIB, len(data) - 4):
        for half_closed in (False, True):
            with transport.connect() as c:
                c.send(data[:at])
                if half_closed:
                    c.end_sending()
                    assert b'"state":"cut"' in take(c)[1]
    assert said(transport, "POST", IMPORT, pattern(MIB))["state"] == "complete"


def test_imports_on_a_kept_connection(transport):
    with transport.connect() as c:
        for n in (MIB, 0, 3, 2 * MIB, SMALL + 1):
            body = pattern(n)
            c.send(message("POST", IMPORT, body, flags=KEEP))
            assert f'"len":{n},"sum":{checksum(body)},"end":0'.encode() in take(c)[1]
        c.send(message("POST", IMPORT, bytes(LARGE + 1), flags=KEEP))
        assert b"too large" in take(c)[1]
        assert c.is_closed()  # what was not read would be taken for a request


@pytest.mark.parametrize("n", [2 * MIB, 30 * MIB])
def test_no_room_for_a_body(start, n):
    """It is read to its end all the same, so that the web server hears the answer."""
    t = start(file_size=MIB)
    assert said(t, "POST", IMPORT, bytes(MIB - 1))["state"] == "complete"
    assert said(t, "POST", IMPORT, bytes(MIB))["state"] == "lost"  # the NUL behind it
    for more in ({}, {"CONTENT_LENGTH": None}):
        got = said(t, "POST", IMPORT, bytes(n), **more)
        assert (got["state"], got["len"]) == ("lost", 0)
    assert said(t, "POST", IMPORT, bytes(n), CONTENT_LENGTH=str(n - 1))["state"] == "cut"
    assert t.log().count("a body cannot be kept") == 4
    assert said(t, "POST", IMPORT, pattern(MIB - 1))["state"] == "complete"


def test_no_folder_for_bodies(start):
    t = start()
    t.dir.rmdir()
    assert said(t, "POST", IMPORT, bytes(MIB))["state"] == "lost"
    assert said(t, "POST", IMPORT, bytes(SMALL))["state"] == "complete"
    assert ask(t, "GET", f"/spill?{2 * MIB}")[0]["Status"].startswith("503")
    t.dir.mkdir()
    assert said(t, "POST", IMPORT, bytes(MIB))["state"] == "complete"


# --- headers ------------------------------------------------------------------------------------


def test_accept_and_idempotency_key(transport):
    got = said(transport, "GET", "/")
    assert (got["accept"], got["key"]) == ("none", "none")
    got = said(transport, "GET", "/", HTTP_ACCEPT="", HTTP_IDEMPOTENCY_KEY="")
    assert (got["accept"], got["key"]) == ("none", "")  # an empty key is a wrong one
    got = said(transport, "GET", "/", HTTP_ACCEPT="a/b", HTTP_IDEMPOTENCY_KEY="k" * 70000)
    assert got["accept"] == "a/b"
    assert got["key"] == "k" * 70000  # a wrong one, too, and not none
    assert said(transport, "GET", "/", HTTP_ACCEPT="a" * 9000)["accept"] == "none"
    with transport.connect() as c:
        given = wire.params(wire.variables("GET", "/", HTTP_ACCEPT="a/b",
                                           HTTP_IDEMPOTENCY_KEY="k"))
        given += wire.params({"HTTP_ACCEPT": "c/d", "HTTP_IDEMPOTENCY_KEY": "l"})
        c.send(wire.begin() + wire.stream(wire.PARAMS, given) + wire.stream(wire.STDIN, b""))
        body = take(c)[1]
    assert b'"accept":"a/b, c/d"' in body
    assert b'"key":"k, l"' in body  # a blank is none of its characters


# --- waiting ------------------------------------------------------------------------------------


def test_what_ends_a_wait(transport):
    began = time.monotonic()
    with transport.connect() as kept, transport.connect() as waiting:
        kept.send(message("GET", "/", flags=KEEP))
        take(kept)
        waiting.send(message("GET", "/wait"))
        kept.send(message("GET", "/", flags=KEEP))
        assert take(waiting)[1] == b"kept"
        take(kept)
        waiting.close()

        kept.send_piece(message("GET", "/wait", flags=KEEP))
        with transport.connect() as other:
            other.send(message("GET", "/"))
            assert take(kept)[1] == b"listener"
            take(other)

        mark = len(transport.log())
        with transport.connect() as leaves:
            leaves.send_piece(message("GET", "/wait"))
        wait_for("its end", lambda: transport.log()[mark:] == "peer\n", 10)
    assert time.monotonic() - began < 15
