"""FastCGI as no web server would send it, and as they all may: whatever comes, no worker is lost,
no descriptor leaks, nothing half-read is carried out, and the next request is answered."""

import struct
import time

import pytest

import wire
from fastcgi import BEGIN, END, PARAMS, STDIN, pair
from rig import Steady, Traffic, sanitized
from stack import wait_for
from wire import begin, message, record, stream, variables

BODY = b'{"title":"framed"}'
TASKS = "/api/me/tasks"


@pytest.fixture(autouse=True)
def steady(plain):
    with Steady(plain):
        yield


def ask(server, data, method="GET", target="?", half_closed=False):
    """The answer to these bytes, None if the connection was closed without one."""
    with server.connect() as c:
        c.send(data)
        if half_closed:
            c.end_sending()
        return c.answer(method, target)


def create(user, **kw):
    return message("POST", TASKS, BODY, user.access, **kw)


def headers_of(data):
    """Where records begin and their contents."""
    at, found = 0, []
    while at < len(data):
        n, pad = struct.unpack("!HB", data[at + 4:at + 7])
        found += [at, at + 8]
        at += 8 + n + pad
    return found


# --- what is right, in odd pieces ---------------------------------------------------------------


def test_split_at_every_byte(plain):
    data = message(padding=3, step=40)
    for at in range(1, len(data)):
        with plain.connect() as c:
            c.send_piece(data[:at])
            c.send(data[at:])
            c.answer().expect(200)


def test_a_write_split_around_every_record(plain, user):
    data = create(user, padding=5, step=200)
    cuts = {at + d for at in headers_of(data) for d in (-1, 0, 1, 4)}
    cuts = sorted(at for at in cuts if 0 < at < len(data))
    for at in cuts:
        with plain.connect() as c:
            c.send_piece(data[:at])
            c.send(data[at:])
            c.answer("POST", TASKS).expect(201)
    assert len(user.tasks()) == len(cuts) > 30


def test_byte_by_byte(plain, user):
    data = create(user)
    with plain.connect() as c:
        for i in range(len(data)):
            c.send_piece(data[i:i + 1])
        c.answer("POST", TASKS).expect(201)
    assert len(user.tasks()) == 1


@pytest.mark.parametrize("padding", [1, 7, 8, 255])
@pytest.mark.parametrize("step", [1, 2, 13, 65535])
def test_padding_and_small_records(plain, user, padding, step):
    """A stream is what its records hold, however it was cut up."""
    ask(plain, create(user, padding=padding, step=step), "POST", TASKS).expect(201)
    (task,) = user.tasks()
    assert task["title"] == "framed"


def test_lengths_of_four_bytes(plain, user):
    ask(plain, create(user, encode=wire.long_pair), "POST", TASKS).expect(201)
    ask(plain, create(user, encode=wire.long_pair, step=1), "POST", TASKS).expect(201)
    for n in (126, 127, 128, 129, 255, 256, 65535, 65536):
        ask(plain, message(**{"X" * n: "y", "HTTP_X": "z" * n})).expect(200)


def test_no_content(plain, user):
    """Empty names, empty values, and a body with its terminator alone."""
    ask(plain, message(**{"": "", "HTTP_X": "", "CONTENT_LENGTH": "0"})).expect(200)
    ask(plain, message("POST", TASKS, b"", user.access)).expect(400, "invalid_json")


def test_answers_are_framed(plain, user):
    """Whole records, each padded to eight, ended by END_REQUEST, and nothing after it."""
    for target, status in (("/api/health", 200), (TASKS, 200), ("/api/nope", 404)):
        for number in (1, 2, 255, 256, 65535):
            with plain.connect() as c:
                c.send(message("GET", target, token=user.access, number=number))
                c.answer("GET", target, number).expect(status)
                assert c.ended == (0, wire.COMPLETE)
                assert c.is_closed()
                # the streams are ended, too, if they are ended at all
                assert all(r[0] in (6, 7) and r[2] == b"" for r in c.others)


def test_head_has_no_body(plain):
    a = ask(plain, message("HEAD"), "HEAD").expect(200)
    assert a.body == b"" and int(a.header("Content-Length")) > 0


# --- management records, and others -------------------------------------------------------------


def test_get_values(plain):
    """The web server may ask what we can do, before a request or inside one."""
    question = b"".join(pair(k, "") for k in ("FCGI_MPXS_CONNS", "FCGI_MAX_CONNS", "UNKNOWN"))
    asked = record(wire.GET_VALUES, question, number=0)
    for data in (asked + message(), begin() + asked + message()[16:]):
        with plain.connect() as c:
            c.send(data)
            c.answer().expect(200)
            ((kind, number, content),) = c.others
            assert (kind, number) == (wire.GET_VALUES_RESULT, 0)
            assert pair("FCGI_MPXS_CONNS", "0") in content and b"UNKNOWN" not in content
    for data in (b"", pair("FCGI_MPXS_CONNS", "1")):
        ask(plain, record(wire.GET_VALUES, data, number=0) + message()).expect(200)


@pytest.mark.parametrize("kind", [0, 12, 99, 255])
def test_unknown_management_records(plain, kind):
    if sanitized(plain):
        pytest.skip("libfcgi loses 48 bytes of memory for each such record; no web server sends it")
    with plain.connect() as c:
        c.send(begin() + record(kind, b"\0" * 8, number=0) + message()[16:])
        c.answer().expect(200)
        assert c.others == [(wire.UNKNOWN_TYPE, 0, bytes([kind]) + b"\0" * 7)]


def test_unknown_records_of_the_request(plain, user):
    """Refused or passed over; never taken for something else."""
    given = wire.params(variables("POST", TASKS, BODY, user.access))
    for kind in (0, wire.DATA, 12, 255, wire.STDERR):
        odd = record(kind, b'{"title":"odd"}')
        for data in (begin() + odd + stream(PARAMS, given) + stream(STDIN, BODY),
                     begin() + stream(PARAMS, given) + odd + stream(STDIN, BODY),
                     begin() + stream(PARAMS, given) + record(STDIN, BODY) + odd + record(STDIN)):
            a = ask(plain, data, "POST", TASKS, half_closed=True)
            assert a is None or a.status in (400, 404), a
    assert user.tasks() == []


def test_records_of_another_request(plain, user):
    """Multiplexing is not offered: what carries another number is no part of this request."""
    given = wire.params(variables("POST", TASKS, BODY, user.access))
    data = (begin() + record(PARAMS, pair("REQUEST_METHOD", "DELETE"), number=2)
            + stream(PARAMS, given) + record(STDIN, b'{"title":"2"}', number=2)
            + stream(STDIN, BODY))
    ask(plain, data, "POST", TASKS).expect(201)
    (task,) = user.tasks()
    assert task["title"] == "framed"


def test_a_second_begin(plain, user):
    """We cannot multiplex, and say so; the first request goes on."""
    given = wire.params(variables("POST", TASKS, BODY, user.access))
    for data in (begin() + begin(number=2) + stream(PARAMS, given) + stream(STDIN, BODY),
                 begin() + stream(PARAMS, given) + begin(number=2) + stream(STDIN, BODY),
                 begin() + stream(PARAMS, given) + record(STDIN, BODY) + begin(number=2)
                 + record(STDIN)):
        with plain.connect() as c:
            c.send(data)
            c.answer("POST", TASKS).expect(201)
            ((kind, number, content),) = [r for r in c.others if r[1] == 2]
            assert kind == END and content[4] == wire.CANT_MULTIPLEX
    # the same number again is nonsense
    for data in (begin() + begin() + message()[16:],
                 begin() + stream(PARAMS, given) + begin() + record(STDIN)):
        ask(plain, data, half_closed=True)
    assert len(user.tasks()) == 3


def test_roles(plain, user):
    """We are a responder; who wants something else is refused or gets a responder's answer."""
    rest = create(user)[16:]
    assert ask(plain, begin(role=99) + rest, "POST", TASKS) is None
    for role in (0, wire.AUTHORIZER, 3, 65535):
        a = ask(plain, begin(role=role) + rest, "POST", TASKS, half_closed=True)
        assert a is None or a.status < 500


@pytest.mark.parametrize("data", [
    b"", b"\1", b"\0" * 100, b"\xff" * 9000, b"GET / HTTP/1.0\r\n\r\n",
    record(BEGIN, struct.pack("!HB5x", 1, 0), version=2), record(BEGIN, b"\0" * 8, version=0),
    record(BEGIN, b""), record(BEGIN, b"\0"), record(BEGIN, b"\0" * 7), record(BEGIN, b"\0" * 9),
    record(PARAMS, b""), record(STDIN, b"x"), stream(PARAMS, pair("REQUEST_METHOD", "GET")),
    record(wire.ABORT), record(BEGIN, struct.pack("!HB5x", 1, 0), number=0),
    begin() + record(PARAMS, b"\5"), begin() + record(PARAMS, b"\5\5abc") + record(PARAMS),
    begin() + record(PARAMS, b"\x80\0\xff\xffabc") + record(PARAMS) + record(STDIN),
    begin() + record(PARAMS, b"\x80\0\0\3\x80\x0f\x42\x40abcdef") + record(PARAMS) + record(STDIN),
    begin() + record(PARAMS, version=3), begin() + record(STDIN, b"x") + record(PARAMS),
])
def test_what_is_no_request(plain, data):
    """Closed or refused, at once, however the peer takes its leave."""
    for half_closed in (True, False):
        began = time.monotonic()
        with plain.connect() as c:
            c.send(data)
            if half_closed:
                c.end_sending()
                a = c.answer()
                assert a is None or 400 <= a.status < 500, a
        assert time.monotonic() - began < 2


def test_a_body_before_the_parameters_end(plain, user):
    given = wire.params(variables("POST", TASKS, BODY, user.access))
    for data in (begin() + stream(STDIN, BODY) + stream(PARAMS, given),
                 begin() + record(PARAMS, given) + stream(STDIN, BODY) + record(PARAMS)):
        a = ask(plain, data, "POST", TASKS, half_closed=True)
        assert a is None or 400 <= a.status < 500
    assert user.tasks() == []


# --- parameters ---------------------------------------------------------------------------------


def test_large_parameters(plain, user):
    ask(plain, message("GET", TASKS, token=user.access, HTTP_COOKIE="c" * 65536),
        target=TASKS).expect(200)
    many = {f"HTTP_X_{i}": "v" * 500 for i in range(2000)}  # a million bytes
    ask(plain, message("GET", TASKS, token=user.access, **many), target=TASKS).expect(200)
    ask(plain, message("GET", TASKS, token=user.access, HTTP_X="x" * (1 << 20)),
        target=TASKS).expect(200)
    # Too much for the ones that have a meaning.
    for name in ("HTTP_IF_MATCH", "HTTP_PREFER", "HTTP_USER_AGENT", "REMOTE_ADDR", "REQUEST_ID"):
        a = ask(plain, message("GET", TASKS, token=user.access, **{name: "x" * 65536}),
                target=TASKS)
        assert a.status in (200, 400), a
    ask(plain, message("GET", TASKS, token="x" * 65536), target=TASKS).expect(401, "invalid_token")
    ask(plain, message("GET", "/api/" + "x" * 65536), target="/x").expect(404)
    a = ask(plain, message("GET", TASKS + "?cursor=" + "x" * 65536, token=user.access))
    a.expect(400, "invalid_query")


def test_missing_parameters(plain, user):
    for name in ("REQUEST_METHOD", "REQUEST_URI", "REMOTE_ADDR", "CONTENT_TYPE"):
        for value in (None, ""):
            a = ask(plain, create(user, **{name: value}), "POST", TASKS)
            assert a.status in {"REQUEST_METHOD": (400, 404, 405, 501), "REQUEST_URI": (400, 404),
                                "REMOTE_ADDR": (201,), "CONTENT_TYPE": (415,)}[name], (name, a)
    ask(plain, begin() + record(PARAMS) + record(STDIN)).expect(404)
    assert len(user.tasks()) == 2


def test_odd_methods_and_uris(plain, user):
    for method in ("get", "BREW", "G\0ET", "GET ", "X" * 5000, "\xff"):
        ask(plain, message(method, TASKS, token=user.access)).expect(405)
    for uri in ("", "/", "*", "api", "http://x/api/health", "/\xff", "?", "/api"):
        assert ask(plain, message("GET", uri)).status in (400, 404)


@pytest.mark.parametrize("length,status", [
    (None, 201), ("", 201), ("0", 400), ("1", 400), (str(len(BODY) - 1), 400),
    (str(len(BODY) + 1), 400), ("65536", 400), ("65537", 413), ("9" * 18, 413), ("9" * 40, 400),
    ("-1", 400), ("+18", 400), (" 18", 400), ("18 ", 400), ("0x12", 400), ("1e1", 400),
    ("18,18", 400), ("eighteen", 400),
])
def test_content_length(plain, user, length, status):
    """Only what is as long as it says is believed."""
    ask(plain, create(user, CONTENT_LENGTH=length), "POST", TASKS).expect(status)
    assert len(user.tasks()) == (status == 201)


def test_long_bodies(plain, user):
    body = b'{"title":"x"' + b" " * (65536 - 13) + b"}"
    ask(plain, message("POST", TASKS, body, user.access), "POST", TASKS).expect(201)
    for n, declared in ((65537, None), (65537, "65537"), (1_000_000, None), (1_000_000, "5")):
        a = ask(plain, message("POST", TASKS, b" " * n, user.access, CONTENT_LENGTH=declared),
                "POST", TASKS)
        assert a.status == 413 or declared == "5" and a.status == 400, a
    assert len(user.tasks()) == 1


# --- peers that leave ---------------------------------------------------------------------------


def test_the_end_at_every_byte(plain, user):
    """EOF inside a header, the parameters or the body: nothing is carried out. Half closed, the
    peer hears 400 at best; gone, nobody does."""
    data = create(user, step=150, padding=2)
    body_from = data.index(BODY) - 8  # whole parameters, but not the whole body
    for at in range(0, len(data) - 8):
        if at < body_from and at % 5:
            continue
        for half_closed in (False, True):
            with plain.connect() as c:
                c.send(data[:at])
                if half_closed:
                    c.end_sending()
                    a = c.answer("POST", TASKS)
                    assert a is None or a.status in (400, 401, 404, 405), (at, a)
    assert user.tasks() == []


def test_the_end_at_every_byte_without_a_body(plain, user):
    """A request that needs no body changes nothing either before its last record is there."""
    task = user.create()
    data = message("POST", f"{TASKS}/{task['id']}/complete", token=user.access, step=150)
    for at in range(16, len(data)):
        with plain.connect() as c:
            c.send(data[:at])
            c.end_sending()
            a = c.answer("POST", TASKS)
            assert a is None or a.status in (400, 401, 404, 405), (at, a)
    assert user.task(task)["version"] == task["version"]


def test_padding_of_the_last_record(plain, user):
    """Of a stream. No web server does it, and the library stumbles: served or refused, not half."""
    given = wire.params(variables("POST", TASKS, BODY, user.access))
    for a, b in ((8, 0), (0, 8), (255, 255)):
        data = (begin() + record(PARAMS, given) + record(PARAMS, padding=a)
                + record(STDIN, BODY) + record(STDIN, padding=b))
        assert ask(plain, data, "POST", TASKS).status in (201, 400)


def test_abort(plain, user):
    """Before the parameters, inside them, before the body and inside it: it is not carried out."""
    data = create(user, step=150)
    cuts = [at for at in headers_of(data)[::2] if 0 < at]
    for at in cuts:
        for rest in (b"", data[at:]):
            with plain.connect() as c:
                c.send(data[:at] + record(wire.ABORT) + rest)
                if not rest:
                    c.end_sending()
                a = c.answer("POST", TASKS)
                assert a is None or a.status in (400, 404), (at, a)
    assert user.tasks() == []


def test_connections_that_come_and_go(plain):
    for i in range(600):
        with plain.connect() as c:
            c.send(message()[:i % 60])


def test_silent_connections_hold_nobody_up(plain):
    """Opened and left open, as by a web server that was stopped: each costs a moment."""
    silent = [plain.connect() for _ in range(8)]
    began = time.monotonic()
    ask(plain, message()).expect(200)
    assert time.monotonic() - began < 2
    for c in silent:
        c.close()


def test_a_peer_that_does_not_wait_for_the_answer(plain, user):
    """It sends and is gone: what was sent whole is carried out."""
    for _ in range(20):
        with plain.connect() as c:
            c.send(create(user))
    wait_for("20 tasks", lambda: len(user.tasks()) == 20, 10)


def test_strangers_do_not_disturb(plain, user):
    """All of this at once with people at work."""
    junk = (b"\xff" * 50, begin() + record(PARAMS, b"\5"), create(user)[:-10], begin() * 2)

    def strange(i, number):
        with plain.connect() as c:
            c.send(junk[number % len(junk)])
        return plain.direct.request("GET", "/api/health") if i else user.call("GET", "tasks")

    with Traffic(strange, 3) as traffic:
        traffic.wait_more(300)
    traffic.expect_no_failure()
    assert user.tasks() == []
