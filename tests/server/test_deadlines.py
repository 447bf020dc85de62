"""Peers that hold a worker: it is freed by the deadline, nobody else is concerned."""

import os
import signal
import time

import pytest

import client
import wire
from fastcgi import PARAMS, STDIN, pair
from rig import Steady
from wire import begin, message, record

BODY = b'{"title":"never"}'


@pytest.fixture(scope="module")
def hasty(new_server):
    """One second for a request."""
    s = new_server(request_timeout=1, statement_timeout=900).start()
    yield s
    from e2e_conftest import finish  # pylint: disable=import-outside-toplevel
    finish(s)


def freed(server, stalled, what):
    """Every worker is held by one of these connections; returns when requests are answered."""
    mark = server.log_size()
    with server.expecting_errors("event=worker_stuck"):
        began = time.monotonic()
        server.direct.request("GET", "/api/health").expect(200)
        took = time.monotonic() - began
        stuck = server.wait_event("worker_stuck", mark, len(stalled))
        assert took < 5, (what, took)
        assert {e["level"] for e in stuck} == {"error"}
        ended = server.wait_event("worker_ended", mark, len(stalled))
        assert all(e["signal"] == "9" for e in ended)
        assert all("restart_ms" not in e or e["restart_ms"] == "0" for e in ended), \
            "a worker that we killed is replaced at once"
        server.wait_settled()
    return stuck


@pytest.mark.parametrize("where", ["begin", "params", "body", "end"])
def test_half_sent(hasty, where):
    user = client.register(hasty.http)
    whole = message("POST", "/api/me/tasks", BODY, user.access)
    half = {"begin": begin(),
            "params": begin() + record(PARAMS, pair("REQUEST_METHOD", "POST"))[:-3],
            "body": whole[:whole.index(BODY) + 5], "end": whole[:-8]}[where]
    stalled = [hasty.connect() for _ in range(hasty.size)]
    for c in stalled:
        c.send(half)
    freed(hasty, stalled, where)
    for c in stalled:
        assert c.is_closed()
        c.close()
    assert user.tasks() == []
    with Steady(hasty):
        user.create()


def big_list(server):
    """Somebody with 1,000 tasks of 10,000 characters: ten million bytes."""
    user = client.register(server.http)
    server.sql.run(f"""
        insert into taskcell.tasks (user_id, id, title, description, version)
        select '{user.id}', gen_random_uuid(), 'large', repeat('x', 10000), n
        from generate_series(1, 1000) n""")
    return user


def test_an_answer_that_nobody_reads(hasty):
    user = big_list(hasty)
    with Steady(hasty):  # it can be read, and is whole
        a = user.call("GET", "tasks").expect(200)
        assert len(a.json) == 1000 and len(a.body) > 10_000_000
    stalled = [hasty.connect() for _ in range(hasty.size)]
    for c in stalled:
        c.send(message("GET", "/api/me/tasks", token=user.access))
    for e in freed(hasty, stalled, "unread"):
        assert e["route"] == "/api/{user_id}/tasks"
    for c in stalled:  # what is there of the answer is not taken for a whole one
        with pytest.raises(wire.Cut):
            c.answer()
        c.close()


def test_a_peer_that_leaves_in_the_middle_of_the_answer(hasty):
    user = big_list(hasty)
    with Steady(hasty):
        for n in (1, 1000, 100_000):
            with hasty.connect() as c:
                c.send(message("GET", "/api/me/tasks", token=user.access))
                c._fill(n)  # pylint: disable=protected-access
        user.create()


def test_a_frozen_worker(hasty):
    """One that is stopped while it is idle is no failure: the others serve, and nobody kills it."""
    pid = hasty.workers()[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(5):
            hasty.direct.request("GET", "/api/health").expect(200)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert pid in hasty.workers()


def test_body_end_is_waited_for(hasty):
    """A body as long as declared, whose end comes late but in time."""
    user = client.register(hasty.http)
    whole = message("POST", "/api/me/tasks", BODY, user.access)
    with Steady(hasty), hasty.connect() as c:
        c.send_piece(whole[:-8])
        c.send(record(STDIN))
        c.answer("POST").expect(201)
