"""Who the client is, behind proxies that are trusted and others: what the log, the database and the
throttle take for its address."""

import itertools

import pytest

import client
import wire
from stack import wait_for

PROXIES = "127.0.0.2 10.0.0.0/8, 2001:db8:ffff::/48"
WRONG = "certainly not the password"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def behind(new_server):
    """Behind two proxies, with nginx in front; the limit of an address is six a minute."""
    s = new_server(with_nginx=True, workers=1, trusted_proxies=PROXIES, throttle="on",
                   throttle_address_per_minute=6).start()
    yield s
    assert s.stop() == []


def fresh():
    """An address that no other test has."""
    n = next(_numbers)
    return f"192.0.{2 + n // 250}.{1 + n % 250}"


def guess(server, source, forwarded=None, http=None):
    """An attempt to log in as nobody."""
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client.login(http or server.direct, client.fresh_email("nobody"), WRONG, source,
                        headers=headers)


def address_of(server, answer):
    """As the log has it; the log of a request is written before its answer."""
    (found,) = [e for e in server.events("auth_failed") if e["request_id"] == answer.request_id]
    return found["address"]


# --- the walk -----------------------------------------------------------------------------------


@pytest.mark.parametrize("peer,header,says", [
    ("10.0.0.1", None, "10.0.0.1"),
    ("10.0.0.1", "", "10.0.0.1"),
    ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
    ("10.0.0.1", "198.51.100.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
    ("10.0.0.1", "10.9.9.9, 198.51.100.1", "198.51.100.1"),
    ("10.0.0.1", "198.51.100.9, unknown, 10.0.0.2", "10.0.0.2"),
    ("10.0.0.1", "198.51.100.1:1234", "10.0.0.1"),
    ("10.0.0.1", "198.51.100.1\n", "10.0.0.1"),
    ("10.0.0.1", "198.51.100.1\nlevel=warning event=x", "10.0.0.1"),
    ("2001:db8:ffff::1", "2001:DB8:0:0::7", "2001:db8::7"),
    ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
    # nobody's word but a trusted peer's
    ("198.51.100.2", "198.51.100.1", "198.51.100.2"),
    ("198.51.100.2", "198.51.100.1, 10.0.0.1", "198.51.100.2"),
    ("127.0.0.1", "198.51.100.1", "127.0.0.1"),
    ("unix:", "198.51.100.1", "unix:"),
    ("", "198.51.100.1", '""'),
    ("10.0.0.1 ", "198.51.100.1", '"10.0.0.1 "'),
    ("nonsense\n\xff", "198.51.100.1", r'"nonsense\x0a\xc3\xbf"'),
])
def test_whose_word_counts(behind, peer, header, says):
    behind.sql.run("delete from taskcell.throttle")
    a = guess(behind, peer, header).expect(401, "invalid_credentials")
    assert address_of(behind, a) == says
    assert not behind.events("forwarded_ignored")


@pytest.mark.parametrize("values,says", [
    (["198.51.100.1", "198.51.100.2"], "198.51.100.2"),
    (["198.51.100.1", "10.0.0.2"], "198.51.100.1"),
    (["198.51.100.1", "unknown", "10.0.0.3,10.0.0.2"], "10.0.0.3"),
    (["198.51.100.1", ""], "198.51.100.1"),
    (["x" * 2000 + ",198.51.100.1"], "198.51.100.1"),
    (["1.1.1.1," * 1500 + "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
    (["1" * 8000], "10.0.0.1"),
    (["198.51.100.1"] + ["10.0.0.2"] * 50, "198.51.100.1"),
    # more proxies than anybody has: the last one that was looked at, and never what is cut in half
    (["198.51.100.1"] + ["10.111.111.111"] * 400, "10.111.111.111"),
])
def test_several_headers_and_long_ones(behind, values, says):
    """nginx passes a repeated header as parameters of the same name."""
    behind.sql.run("delete from taskcell.throttle")
    body = b'{"email":"nobody@example.org","password":"%s"}' % WRONG.encode()
    head = wire.params({**wire.variables("POST", "/api/auth/login", body, REMOTE_ADDR="10.0.0.1")})
    head += b"".join(wire.params({"HTTP_X_FORWARDED_FOR": v}) for v in values)
    with behind.connect() as c:
        c.send(wire.begin() + wire.stream(wire.PARAMS, head) + wire.stream(wire.STDIN, body))
        a = c.answer("POST", "/api/auth/login").expect(401, "invalid_credentials")
    assert address_of(behind, a) == says


# --- through a real web server ------------------------------------------------------------------


def test_through_nginx(behind):
    """nginx is told of by nobody; who connects to it is 127.0.0.2, a proxy, or another."""
    behind.sql.run("delete from taskcell.throttle")
    someone = fresh()
    a = guess(behind, "127.0.0.2", f"203.0.113.5, {someone}", behind.http).expect(401)
    assert address_of(behind, a) == someone
    a = guess(behind, "127.0.0.3", f"203.0.113.5, {someone}", behind.http).expect(401)
    assert address_of(behind, a) == "127.0.0.3"


def test_sessions_remember_the_client(behind):
    someone = fresh()
    body = {"email": client.fresh_email(), "password": client.PASSWORD}
    a = behind.http.request("POST", "/api/auth/register", body, source="127.0.0.2",
                            headers={"X-Forwarded-For": f"203.0.113.5, {someone}"}).expect(201)
    user = client.User(behind.http, a.json, client.PASSWORD, "127.0.0.2")
    assert behind.sql.run("select ip, network from taskcell.sessions "
                          f"where user_id = '{user.id}'") == [[someone, someone]]
    assert behind.sql.run("select ip from taskcell.audit "
                          f"where user_id = '{user.id}'") == [[someone]]


# --- the throttle -------------------------------------------------------------------------------


def test_each_client_of_a_proxy_counts_by_itself(behind):
    """Neither a changing left end nor another proxy gives an address more attempts."""
    one, other = fresh(), fresh()
    for n in range(6):
        proxy = f"10.0.0.{n}"
        guess(behind, proxy, f"203.0.113.{n}, {one}, 10.1.1.{n}").expect(401)
    guess(behind, "10.0.0.1", one).expect(429, "rate_limited")
    guess(behind, "10.0.0.9", f"{other}, {one}").expect(429)
    guess(behind, one).expect(429)  # without a proxy it is the same client
    guess(behind, "10.0.0.1", other).expect(401)
    guess(behind, other, one).expect(401)  # and nobody is locked out by a header


def test_a_stranger_cannot_use_up_anothers_attempts(behind):
    victim, stranger = fresh(), fresh()
    answers = [guess(behind, stranger, victim).status for _ in range(10)]
    assert answers == [401] * 6 + [429] * 4
    guess(behind, "10.0.0.1", victim).expect(401)


def test_ipv6_counts_by_64(behind):
    n = next(_numbers)
    for i in range(6):
        guess(behind, "10.0.0.1", f"2001:db8:{n:x}:1:{i:x}::{i + 1:x}").expect(401)
    guess(behind, "10.0.0.1", f"2001:db8:{n:x}:1::ffff").expect(429)
    guess(behind, "10.0.0.1", f"2001:db8:{n:x}:2::1").expect(401)
    four = fresh()
    for i in range(6):
        guess(behind, "10.0.0.1", four if i % 2 else f"::ffff:{four}").expect(401)
    guess(behind, "10.0.0.1", four).expect(429)


# --- no proxy is configured ---------------------------------------------------------------------


def test_a_warning_and_no_more(make):
    """One warning of each worker, however many ask; the header has no effect."""
    s = make(workers=2, throttle="on", throttle_address_per_minute=3)
    assert not s.events("forwarded_ignored")
    one = fresh()
    for n in range(3):
        a = guess(s, one, f"203.0.113.{n}").expect(401)
        assert address_of(s, a) == one
    guess(s, one, "203.0.113.77").expect(429)
    wait_for("both workers to have warned", lambda: s.direct.request(
        "GET", "/api/health", headers={"X-Forwarded-For": "203.0.113.5"}).status == 200
        and len(s.events("forwarded_ignored")) == 2)
    for _ in range(20):
        s.direct.request("GET", "/api/health", headers={"X-Forwarded-For": "203.0.113.5"})
    warned = s.events("forwarded_ignored")
    assert len(warned) == 2 and {e["level"] for e in warned} == {"warning"}
    assert {int(e["pid"]) for e in warned} == set(s.workers())
    assert "203.0.113" not in s.log_text()


def test_proxies_by_a_reload(make):
    s = make(workers=1)
    a = guess(s, "10.0.0.1", "198.51.100.1").expect(401)
    assert address_of(s, a) == "10.0.0.1"
    s.configure(trusted_proxies="10.0.0.0/8")
    mark = s.log_size()
    s.signal(1)
    s.wait_event("reloaded", mark)
    s.wait_event("worker_ended", mark)  # until then it may take one more
    a = guess(s, "10.0.0.1", "198.51.100.1").expect(401)
    assert address_of(s, a) == "198.51.100.1"


# --- sweeping -----------------------------------------------------------------------------------


def test_old_counts_are_swept(behind):
    """Without a cron job: they go with new ones."""
    behind.sql.run("delete from taskcell.throttle")
    behind.sql.run("""
        insert into taskcell.throttle (key, hits, counted_at, ends_at)
        select 'address:old' || n, 1, now() - interval '2 days', now() - interval '2 days'
          from generate_series(1, 50) n""")
    guess(behind, fresh()).expect(401)
    recent = behind.sql.run("select key from taskcell.throttle where key not like '%:old%'")
    assert recent
    for _ in range(10):
        guess(behind, fresh()).expect(401)
    left = behind.sql.run("select key from taskcell.throttle")
    assert not [row for row in left if ":old" in row[0]]
    assert all(row in left for row in recent)
