"""The primary is lost, and a synchronous standby takes its place, under steady traffic through
nginx with both hosts in `database`: only 503 in between, no acknowledged write is missing, and the
workers find the new primary by themselves."""

import collections
import os
import threading
import time

import pytest

import client
from pair import Pair
from stack import wait_for

LONG = os.environ.get("TASKCELL_LONG") == "1"
STATEMENT_S, CONNECT_S = 2, 1
# A call that meets a frozen server, a new connection, and much for a machine that is busy.
HANG_S = STATEMENT_S + CONNECT_S + 5


class Load:
    """People that make tasks, each until it is acknowledged, read them and renew their sessions."""

    def __init__(self, server, threads=4):
        self.server = server
        self.users = [client.register(server.http) for _ in range(threads)]
        self.made = [{} for _ in self.users]  # number of the task: its id
        self.counts = collections.Counter()
        self.acknowledged = []  # when
        self.slowest = 0
        self.defects = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(threads)]

    def send(self, call, *args, **kw):
        """None for a 503, which asks for a later attempt."""
        began = time.monotonic()
        a = call(*args, **kw)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.counts[a.status] += 1
        if a.status in (200, 201):
            return a
        a.expect(503, "unavailable")  # with Retry-After, as the form of every answer is looked at
        self.over.wait(0.02)
        return None

    def once(self, i, number):
        user = self.users[i]
        body, key = {"title": f"task {number}"}, {"Idempotency-Key": f"key-{i}-{number}"}
        while (a := self.send(user.call, "POST", "tasks", body, headers=key)) is None:
            if self.over.is_set():
                return  # never acknowledged
        self.made[i][number] = a.json["id"]
        self.acknowledged.append(time.monotonic())
        self.send(user.call, "GET", "tasks?limit=1")
        if number % 10 == 0 and (a := self.send(client.refresh, self.server.http, user.refresh)):
            user.take(a.json)

    def run(self, i):
        try:
            number = 0
            while not self.over.is_set():
                number += 1
                self.once(i, number)
                self.over.wait(0.01)  # a steady load, not all that the machine can do
        except Exception as e:  # pylint: disable=broad-except
            self.defects.append(e)
            self.over.set()

    def __enter__(self):
        for t in self.threads:
            t.start()
        self.goes_on()
        return self

    def __exit__(self, kind, *exc):
        self.over.set()
        for t in self.threads:
            t.join(60)
        if self.defects and (not kind or issubclass(kind, AssertionError)):
            raise self.defects[0]

    def wait(self, what, condition):
        wait_for(what, lambda: condition() or self.defects, 60, 0.005)
        assert not self.defects, self.defects

    def goes_on(self, since=0, each=25):
        """Everybody writes; the time from `since` to the first of these writes."""
        at, marks = len(self.acknowledged), [len(m) for m in self.made]
        self.wait("writes", lambda: all(
            len(m) >= mark + each for m, mark in zip(self.made, marks)))
        return self.acknowledged[at] - since

    def halts(self):
        """Nothing is written any more, and clients are told so."""
        mark = self.counts[503]
        self.wait("503", lambda: self.counts[503] >= mark + 2 * len(self.threads))

    def expect_all(self, sql):
        for user, made in zip(self.users, self.made):
            rows = sql.run(f"select id, title from taskcell.tasks where user_id = '{user.id}'")
            titles = {title: task for task, title in rows}
            assert len(titles) == len(rows), "a task was made twice"
            missing = [n for n, task in made.items() if titles.get(f"task {n}") != task]
            assert not missing, f"{len(missing)} acknowledged tasks are missing"
            assert len(rows) <= len(made) + 1, "more than what was sent last"


@pytest.fixture(scope="module")
def whole():
    """Pairs that a test has left as they were: to make one takes longer than most tests."""
    pairs = []
    yield pairs
    for p in pairs:
        p.stop()


@pytest.fixture
def pair(state, postgres, whole):  # pylint: disable=redefined-outer-name
    used = bool(whole)
    p = whole.pop() if used else Pair(state / f"pair{len(list(state.iterdir()))}", postgres)
    try:
        yield p if used else p.start()
        if p.is_whole():
            whole.append(p)
    finally:
        if p not in whole:
            p.stop()


@pytest.fixture
def server(make, pair):  # pylint: disable=redefined-outer-name
    s = make(with_nginx=True, workers=4, auth_workers=1, database=pair.url,
             statement_timeout=1000 * STATEMENT_S, connect_timeout=1000 * CONNECT_S)
    s.sql = pair.a.sql
    return s


def is_ready(s):
    a = s.http.request("GET", "/api/ready")
    assert a.status in (200, 503), a
    return a.status == 200


def expect_no_primary(s, load):
    load.halts()
    a = s.http.request("GET", "/api/ready").expect(503, "unavailable")
    assert int(a.header("Retry-After")) >= 1
    client.login(s.http, load.users[0].email).expect(503, "unavailable")
    s.http.request("GET", "/api/health").expect(200)


def expect_well(s, load, sql, workers, tell):
    """After it all: the same workers serve, nothing is missing, people log in and go on."""
    tell(f"{dict(sorted(load.counts.items()))}, slowest {load.slowest:.2f} s, "
         f"{sum(map(len, load.made))} writes acknowledged")
    assert load.counts[201] > 0 and load.counts[200] > 0
    assert load.slowest < HANG_S
    load.expect_all(sql)
    assert s.workers() == workers, "a worker has ended"
    user = load.users[0]
    user.take(client.refresh(s.http, user.refresh).expect(200).json)
    # The second pool, of which one asked in vain, waits a moment before it connects again.
    wait_for("login", lambda: client.login(s.http, user.email).status == 200)
    client.another(user).call("GET", "tasks?limit=1").expect(200)
    client.register(s.http).create()


def lose(how, pair):  # pylint: disable=redefined-outer-name
    getattr(pair.a, how)()
    return time.monotonic()


def test_the_primary_thaws(server, pair, tell):
    """What was slow only: the connections that were dropped are made anew, to the same server."""
    workers = server.workers()
    with Load(server) as load:
        lose("freeze", pair)
        try:
            expect_no_primary(server, load)
        finally:
            pair.a.thaw()
        thawed = time.monotonic()
        wait_for("ready", lambda: is_ready(server), 30)
        tell(f"first write {load.goes_on(thawed):.2f} s after the thaw")
    expect_well(server, load, pair.a.sql, workers, tell)


@pytest.mark.parametrize("how", ["kill", "freeze"] * (5 if LONG else 1))
def test_the_standby_is_promoted(server, pair, tell, how):
    workers = server.workers()
    with Load(server) as load:
        lost = lose(how, pair)
        expect_no_primary(server, load)
        promoted = time.monotonic()
        pair.b.promote()
        wait_for("ready", lambda: is_ready(server), 30)
        after = load.goes_on(promoted)
        tell(f"{how}: first write {after:.2f} s after the promotion, "
             f"which came {promoted - lost:.2f} s after the loss")
    pair.a.kill()  # before it can thaw and take itself for the primary
    expect_well(server, load, pair.b.sql, workers, tell)


@pytest.mark.skipif(not LONG, reason="long")
def test_the_standby_is_lost(server, pair, tell):
    """Then nobody confirms a write: 503, until an operator gives up the standby. What was written
    meanwhile without an answer is there once."""
    workers = server.workers()
    with Load(server) as load:
        pair.b.kill()
        load.halts()
        load.users[0].call("GET", "tasks?limit=1").expect(200)  # reading goes on
        pair.a.setting("synchronous_standby_names", "")
        given_up = time.monotonic()
        tell(f"first write {load.goes_on(given_up):.2f} s after the standby was given up")
    expect_well(server, load, pair.a.sql, workers, tell)


def test_the_primary_turns_read_only(server, pair, tell):
    """As in a planned change: connections stay, and writes on them fail. The workers leave it for
    the new primary; nobody hears 500."""
    workers = server.workers()
    with Load(server) as load:
        pair.a.setting("default_transaction_read_only", "on")
        expect_no_primary(server, load)
        promoted = time.monotonic()
        pair.b.promote()
        wait_for("ready", lambda: is_ready(server), 30)
        tell(f"first write {load.goes_on(promoted):.2f} s after the promotion")
    expect_well(server, load, pair.b.sql, workers, tell)
