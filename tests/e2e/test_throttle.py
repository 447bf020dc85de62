"""Limits on attempts: T067. Each test has client addresses of its own (127.0.0.0/8 is all ours)."""

import hashlib
import itertools
import math
import time

import pytest

import fastcgi
from client import PASSWORD, at_once, claims_of, fresh_email, login, refresh, register, sign
from frontends import FRONT

WRONG = "certainly not the password"
_hosts = itertools.count(1)


def address():
    n = next(_hosts)
    return f"127.{1 + n // 60000}.{n // 250 % 240}.{1 + n % 250}"


def guess(stack, email, password=WRONG, source=None):
    return login(stack.http, email, password, source or address())


def end_waits(stack):
    stack.sql.run("update taskcell.throttle set ends_at = now() - interval '1 s' "
                  "where key like 'account:%' and ends_at > '-infinity'")


@pytest.fixture
def someone(throttled):
    return register(throttled.http, source=address())


def limited(answer, most=900):
    answer.expect(429, "rate_limited")
    seconds = int(answer.header("Retry-After"))
    assert 1 <= seconds <= most
    assert answer.header("RateLimit") and answer.header("RateLimit-Policy")
    assert answer.header("Cache-Control") == "no-store"
    return seconds


# --- by account ---------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
def test_waits_grow(throttled, someone, known):
    """5 free failures; the sixth starts the wait of 1 s, then 2, 4 … up to 15 minutes. An unknown
    e-mail behaves the same."""
    email = someone.email if known else fresh_email("nobody")
    for _ in range(6):
        guess(throttled, email).expect(401, "invalid_credentials")
    seen = [limited(guess(throttled, email))]
    for _ in range(11):
        end_waits(throttled)
        guess(throttled, email).expect(401, "invalid_credentials")
        seen.append(limited(guess(throttled, email)))
    assert seen == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_known_and_unknown_look_the_same(throttled, someone):
    nobody = fresh_email("nobody")
    for _ in range(8):
        known, unknown = guess(throttled, someone.email), guess(throttled, nobody)
        assert known.bare() == unknown.bare()
    limited(known)


def test_the_wait_is_real_and_no_longer_than_said(throttled, someone):
    """Also for the right password. An attempt answered 429 is not counted."""
    for _ in range(5):
        guess(throttled, someone.email).expect(401)
    began = time.monotonic()  # the wait begins inside the next attempt, however long that takes
    guess(throttled, someone.email).expect(401)
    refused = 0
    while (a := guess(throttled, someone.email, PASSWORD)).status == 429:
        assert limited(a) == 1
        refused += 1
        assert time.monotonic() - began < 10
        time.sleep(0.05)
    a.expect(200)
    assert refused >= 1 and time.monotonic() - began > 0.99


def test_success_clears_the_count(throttled, someone):
    for _ in range(3):
        for _ in range(5):
            guess(throttled, someone.email).expect(401)
        guess(throttled, someone.email, PASSWORD).expect(200)


def test_letter_case_is_no_new_account(throttled, someone):
    forms = [someone.email, someone.email.upper(), someone.email.title(), f" {someone.email} "]
    for i in range(6):
        guess(throttled, forms[i % 4]).expect(401)
    for form in forms:
        limited(guess(throttled, form))


def test_not_hashed_while_waiting(throttled, someone):
    """With no place at the gate, whoever would hash hears 503 instead."""
    for _ in range(6):
        guess(throttled, someone.email).expect(401)
    end_waits(throttled)
    guess(throttled, someone.email).expect(401)  # waits 2 s from now
    with throttled.gate_held():
        limited(guess(throttled, someone.email, PASSWORD))
        guess(throttled, fresh_email("nobody")).expect(503, "hashing_busy")


def test_what_was_not_hashed_is_not_counted(throttled, someone):
    with throttled.gate_held():
        for _ in range(4):
            guess(throttled, someone.email).expect(503, "hashing_busy")
            a = throttled.http.request("POST", "/api/auth/login", {"email": someone.email},
                                       source=address())
            a.expect(422)
    for _ in range(6):
        guess(throttled, someone.email).expect(401)
    limited(guess(throttled, someone.email))


def test_parallel_guesses(throttled, someone):
    """The failure is reserved before hashing: of 40 at once no more than six are tried."""
    sources = [address() for _ in range(40)]
    answers = at_once(40, lambda i: guess(throttled, someone.email, WRONG, sources[i]))
    tried = [a.status for a in answers].count(401)
    # mod_fcgid takes a second to start a process, and the account waits no longer than that
    assert tried == 6 or FRONT.spawns and 6 < tried <= 8
    assert [a.status for a in answers].count(429) == 40 - tried


def test_a_locked_account_does_not_lock_out_its_sessions(throttled, someone):
    for _ in range(7):
        guess(throttled, someone.email)
    limited(guess(throttled, someone.email))
    someone.call("GET", "tasks").expect(200)
    refresh(throttled.http, someone.refresh, someone.source).expect(200)


# --- by address ---------------------------------------------------------------------------------


def attempt(stack, source, path="login", **kw):
    return stack.http.request("POST", f"/api/auth/{path}", {}, source=source, **kw)


def test_20_a_minute_for_an_address(throttled):
    """Register and login together, whatever comes of them; others are not concerned."""
    source = address()
    for i in range(20):
        attempt(throttled, source, ("login", "register")[i % 2]).expect(422)
    for path in ("login", "register"):
        a = attempt(throttled, source, path)
        limited(a, 60)
        assert "q=20" in a.header("RateLimit-Policy") and "w=60" in a.header("RateLimit-Policy")
        throttled.http.request("POST", f"/api/auth/{path}", b"{", source=source).expect(429)
    attempt(throttled, address()).expect(422)
    # Other routes and other methods go on.
    throttled.http.request("GET", "/api/auth/login", source=source).expect(405)
    throttled.http.request("GET", "/api/health", source=source).expect(200)
    throttled.http.request("POST", "/api/auth/logout", source=source).expect(200)
    throttled.sql.run("update taskcell.throttle set ends_at = now() - interval '1 s' "
                      f"where key like 'address:%{source}%'")
    attempt(throttled, source).expect(422)


def test_the_right_password_counts_too(throttled, someone):
    source = address()
    for _ in range(20):
        login(throttled.http, someone.email, PASSWORD, source).expect(200)
    limited(login(throttled.http, someone.email, PASSWORD, source), 60)


def test_parallel_attempts_of_an_address(throttled):
    source = address()
    answers = at_once(30, lambda _: attempt(throttled, source))
    assert sorted(a.status for a in answers) == [422] * 20 + [429] * 10


def test_forwarded_headers_are_not_believed(throttled):
    source = address()
    for i in range(20):
        attempt(throttled, source, headers={"X-Forwarded-For": f"10.0.0.{i}"}).expect(422)
    attempt(throttled, source, headers={"X-Forwarded-For": "10.9.9.9", "Forwarded": "for=10.9.9.9",
                                        "X-Real-IP": "10.9.9.9"}).expect(429)


def test_refresh_counts_only_when_invalid(throttled, someone):
    source, token = address(), someone.refresh
    for _ in range(25):
        token = refresh(throttled.http, token, source).expect(200).json["refresh_token"]
    bad = ["garbage", "", token[:-5] + "AAAAA"]
    for i in range(20):
        refresh(throttled.http, bad[i % 3], source).expect(401, "invalid_refresh_token")
    limited(refresh(throttled.http, "garbage", source), 60)
    refresh(throttled.http, "garbage", address()).expect(401)


def from_address(stack, remote):
    return fastcgi.request(stack.settings["listen_auth"], "POST", "/api/auth/login", b"{}",
                           REMOTE_ADDR=remote).status


def test_ipv6_counts_by_64(throttled):
    """A household has one of them, and 2^64 addresses in it."""
    for i in range(20):
        assert from_address(throttled, f"2001:db8:5:1:{i:x}::{i:x}") == 422
    assert from_address(throttled, "2001:db8:5:1:ffff:ffff:ffff:ffff") == 429
    assert from_address(throttled, "2001:DB8:5:1::") == 429
    assert from_address(throttled, "2001:db8:5:2::1") == 422
    four = address()
    for i in range(20):
        assert from_address(throttled, ("::ffff:" if i % 2 else "") + four) == 422
    assert from_address(throttled, four) == from_address(throttled, f"::ffff:{four}") == 429


def test_throttle_off(http, user):
    """The setting is for tests: the shared stack has it off."""
    for _ in range(30):
        login(http, user.email, WRONG).expect(401)
    login(http, user.email).expect(200)


def test_the_limit_is_a_setting(make_stack):
    s = make_stack(throttle="on", throttle_address_per_minute=3, workers=1, auth_workers=1)
    source = address()
    assert [attempt(s, source).status for _ in range(5)] == [422, 422, 422, 429, 429]


# --- whose failures they are --------------------------------------------------------------------


def lock(stack, email):
    """A stranger's guessing, until strangers have to wait for long."""
    for _ in range(6):
        guess(stack, email).expect(401)
    for _ in range(6):
        end_waits(stack)
        guess(stack, email).expect(401)
    limited(guess(stack, email, PASSWORD))


def rows(stack, like):
    return stack.sql.run(f"select key, hits from taskcell.throttle where key like '{like}' "
                         "order by key")


def test_the_owners_network_is_not_locked_out(throttled, someone):
    """Where the account has logged in before, a stranger's failures do not count."""
    lock(throttled, someone.email)
    login(throttled.http, someone.email, PASSWORD, someone.source).expect(200)
    limited(guess(throttled, someone.email, PASSWORD))  # which does not clear the strangers' count


def test_a_network_that_logged_out_is_still_known(throttled, someone):
    """Whether the session lives does not matter."""
    throttled.http.request("POST", "/api/auth/logout", token=someone.access).expect(200)
    lock(throttled, someone.email)
    login(throttled.http, someone.email, PASSWORD, someone.source).expect(200)


def test_a_known_network_has_a_limit_too(throttled, someone):
    """It may be the guesser's: its failures are counted, apart from the strangers'."""
    for _ in range(6):
        guess(throttled, someone.email, WRONG, someone.source).expect(401)
    limited(guess(throttled, someone.email, PASSWORD, someone.source))
    for _ in range(6):
        guess(throttled, someone.email).expect(401)
    limited(guess(throttled, someone.email))


def test_networks_that_are_known_count_apart(throttled, someone):
    second = address()
    login(throttled.http, someone.email, PASSWORD, second).expect(200)
    for _ in range(6):
        guess(throttled, someone.email, WRONG, second).expect(401)
    limited(guess(throttled, someone.email, PASSWORD, second))
    login(throttled.http, someone.email, PASSWORD, someone.source).expect(200)


def test_known_by_64(throttled, someone):
    """Of IPv6 it is the network that is known, as it is the network that is counted."""
    def login_from(remote):
        body = b'{"email":"%s","password":"%s"}' % (someone.email.encode(), PASSWORD.encode())
        return fastcgi.request(throttled.settings["listen_auth"], "POST", "/api/auth/login", body,
                               REMOTE_ADDR=remote)

    login_from("2001:db8:77:1::5").expect(200)
    lock(throttled, someone.email)
    login_from("2001:db8:77:1:8000::9").expect(200)
    limited(login_from("2001:db8:77:2::5"))


def shown(stack, user, source, **kw):
    return stack.http.request("POST", "/api/auth/login",
                              {"email": user.email, "password": PASSWORD}, source=source, **kw)


def test_a_live_session_is_not_locked_out(throttled, someone):
    """From an address that nobody knows, when a token of the account's session is shown."""
    lock(throttled, someone.email)
    limited(shown(throttled, someone, address()))
    shown(throttled, someone, address(), token=someone.access).expect(200)
    limited(shown(throttled, someone, address()))


def test_an_expired_access_token_shows_the_session_too(throttled, someone):
    lock(throttled, someone.email)
    header, _, _ = someone.access.split(".")
    now = int(time.time())
    old = {**claims_of(someone.access), "iat": now - 9000, "nbf": now - 9000, "exp": now - 8000}
    token = sign(header, old, throttled.secret)
    shown(throttled, someone, address(), token=token).expect(200)


def test_only_a_live_session_of_this_account(throttled, someone):
    """Not an ended one, not somebody else's, not a forged one."""
    stranger = register(throttled.http, source=address())
    ended = login(throttled.http, someone.email, PASSWORD, someone.source).expect(200).json
    throttled.http.request("POST", "/api/auth/logout", token=ended["access_token"]).expect(200)
    header, _, _ = someone.access.split(".")
    forged = sign(header, claims_of(someone.access), "x" * 40)
    mixed = sign(header, {**claims_of(stranger.access), "sub": someone.id, "user_id": someone.id},
                 throttled.secret)
    lock(throttled, someone.email)
    for token in (stranger.access, ended["access_token"], forged, mixed, "garbage"):
        limited(shown(throttled, someone, address(), token=token))
    shown(throttled, someone, address(), token=someone.access).expect(200)


def test_a_shown_session_has_a_limit_too(throttled, someone):
    """One, on however many networks: who has stolen a token cannot guess anew on each."""
    def wrong():
        return login(throttled.http, someone.email, WRONG, address(), token=someone.access)

    for _ in range(6):
        wrong().expect(401)
    limited(shown(throttled, someone, address(), token=someone.access))
    login(throttled.http, someone.email, PASSWORD, someone.source).expect(200)


def test_limited_alike_for_known_and_unknown(throttled, someone):
    """A 429 does not tell whether there is such an account."""
    nobody = fresh_email("nobody")
    for email in (someone.email, nobody):
        for _ in range(6):
            guess(throttled, email).expect(401)
        throttled.sql.run("update taskcell.throttle set ends_at = now() + interval '1 hour' "
                          "where key like 'account:%' and ends_at > '-infinity'")
    known, unknown = guess(throttled, someone.email), guess(throttled, nobody)
    assert limited(known, 3600) and known.bare() == unknown.bare()


def test_200_guesses_at_once(throttled, someone):
    """Only those that are free are hashed; nobody gets in between reserving and hashing."""
    sources = [address() for _ in range(200)]
    began = time.monotonic()
    answers = at_once(200, lambda i: guess(throttled, someone.email, WRONG, sources[i]))
    took = time.monotonic() - began
    hashed = [a for a in answers if a.status == 401]
    assert {a.status for a in answers} == {401, 429}
    # A slow machine may see the first waits of 1, 2, 4 … seconds pass.
    assert 6 <= len(hashed) <= 6 + math.log2(took + 1), (len(hashed), took)
    key = hashlib.sha256(someone.email.lower().encode()).hexdigest()
    assert rows(throttled, f"account:{key}%") == [[f"account:{key}", str(len(hashed))]]


def test_200_guesses_at_once_while_waiting(throttled, someone):
    """When one may be tried, one is: the right password among them gains nothing."""
    lock(throttled, someone.email)
    end_waits(throttled)
    sources = [address() for _ in range(200)]
    answers = at_once(200, lambda i: guess(throttled, someone.email, WRONG, sources[i]))
    assert sorted(a.status for a in answers) == [401] + [429] * 199


# --- the current password -----------------------------------------------------------------------


def current(user, kind, password):
    """One of the three routes that ask for it. Each time from another address: 20 a minute are
    another rule."""
    user.source = address()
    if kind == "password":
        return user.call("POST", "/api/auth/password",
                         {"current_password": password, "new_password": "a new horse battery"})
    if kind == "email":
        return user.call("PATCH", "/api/auth/account",
                         {"email": fresh_email(), "current_password": password})
    return user.call("DELETE", "/api/auth/account", {"password": password})


@pytest.mark.parametrize("kind", ["password", "email", "delete"])
def test_current_password_counts(throttled, someone, kind):
    """A stolen access token is no oracle for the password; also the right one waits."""
    for _ in range(6):
        current(someone, kind, WRONG).expect(403, "wrong_password")
    limited(current(someone, kind, WRONG))
    limited(current(someone, kind, PASSWORD))
    (row,) = rows(throttled, f"session:{someone.sid}")
    assert row[1] == "6"
    assert someone.alive()


def test_the_three_routes_count_together(someone):
    for kind in ("password", "email", "delete") * 2:
        current(someone, kind, WRONG).expect(403, "wrong_password")
    for kind in ("password", "email", "delete"):
        limited(current(someone, kind, PASSWORD))


def test_current_password_counts_by_session(throttled, someone):
    """Neither the login nor another session has to wait for it, and the other way round."""
    home = someone.source
    second = login(throttled.http, someone.email, PASSWORD, home).expect(200).json
    for _ in range(6):
        current(someone, "password", WRONG).expect(403)
    limited(current(someone, "password", PASSWORD))
    guess(throttled, someone.email, PASSWORD).expect(200)
    third = login(throttled.http, someone.email, PASSWORD, home).expect(200).json
    lock(throttled, someone.email)
    someone.take(second)
    current(someone, "email", PASSWORD).expect(200)
    assert not someone.alive(third["access_token"])


def test_a_name_needs_no_password_and_is_not_counted(someone):
    for i in range(12):
        someone.call("PATCH", "/api/auth/account", {"name": f"n{i}"}).expect(200)
    current(someone, "password", PASSWORD).expect(200)


def test_success_clears_the_sessions_count(someone):
    for _ in range(3):
        for _ in range(5):
            current(someone, "email", WRONG).expect(403)
        current(someone, "email", PASSWORD).expect(200)


def test_what_is_not_hashed_is_not_counted_here_either(throttled, someone):
    with throttled.gate_held():
        for _ in range(8):
            current(someone, "password", WRONG).expect(503, "hashing_busy")
    someone.call("POST", "/api/auth/password", {"current_password": WRONG}).expect(422)
    a = someone.call("POST", "/api/auth/password",
                     {"current_password": WRONG, "new_password": "password"})
    a.expect(422)
    for _ in range(6):
        current(someone, "password", WRONG).expect(403)
    limited(current(someone, "password", WRONG))


def test_parallel_guesses_of_the_current_password(throttled, someone):
    sources = [address() for _ in range(40)]
    body = {"current_password": WRONG, "new_password": "a new horse battery"}
    answers = at_once(40, lambda i: throttled.http.request(
        "POST", "/api/auth/password", body, token=someone.access, source=sources[i]))
    statuses = sorted(a.status for a in answers)
    assert set(statuses) == {403, 429} and 6 <= statuses.count(403) <= (
        9 if FRONT.spawns else 7)


def test_password_changes_count_against_the_address(throttled):
    """With register and login: 20 a minute."""
    source = address()
    for _ in range(20):
        attempt(throttled, source, "password").expect(401, "missing_token")
    limited(attempt(throttled, source, "password"), 60)
    limited(attempt(throttled, source, "login"), 60)
