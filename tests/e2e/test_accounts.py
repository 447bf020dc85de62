"""Registration and login. T032, T033."""

import base64
import calendar
import json
import re
import time

import pytest

import fastcgi
from client import PASSWORD, TIME, UUID7, at_once, claims_of, fresh_email, login, register
from client import remember_secret
from frontends import CHOSEN, is_own_form

REGISTER = "/api/auth/register"
LOGIN = "/api/auth/login"


def check_auth(answer, status, email, name=None):
    """The auth response: every member, its type and how the times hang together."""
    answer.expect(status)
    assert answer.header("Cache-Control") == "no-store"
    auth = answer.json
    assert set(auth) == {
        "access_token", "token_type", "expires_in", "expires_at", "refresh_token",
        "refresh_expires_at", "user",
    }
    assert auth["token_type"] == "bearer"
    assert auth["expires_in"] == 900
    assert TIME.fullmatch(auth["expires_at"]) and TIME.fullmatch(auth["refresh_expires_at"])
    user = auth["user"]
    assert set(user) == {"id", "email", "name", "created_at"}
    assert UUID7.fullmatch(user["id"]) and TIME.fullmatch(user["created_at"])
    assert user["email"] == email and user["name"] == name
    claims = claims_of(auth["access_token"])
    assert text_of(claims["exp"]) == auth["expires_at"][:19]
    idle = seconds_of(auth["refresh_expires_at"]) - time.time()
    assert 14 * 86400 - 60 < idle <= 14 * 86400 + 5
    remember_secret(auth["access_token"])
    remember_secret(auth["refresh_token"])
    return auth


def text_of(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def seconds_of(text):
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


# --- register -----------------------------------------------------------------------------------


def test_register(http):
    """T019, T032: ok."""
    email = fresh_email("New.Person")
    body = {"email": email, "password": PASSWORD, "name": "Ada Lovelace"}
    auth = check_auth(http.request("POST", REGISTER, body), 201, email, "Ada Lovelace")
    # T046, and the person can work at once.
    http.request("GET", "/api/me/tasks", token=auth["access_token"]).expect(200)
    check_auth(login(http, email), 200, email, "Ada Lovelace")


def test_register_without_a_name(http):
    for extra in ({}, {"name": None}):
        email = fresh_email()
        body = {"email": email, "password": PASSWORD, **extra}
        check_auth(http.request("POST", REGISTER, body), 201, email)


def test_register_duplicate(http):
    """T023, T032: duplicate, in any letter case."""
    email = fresh_email("dup")
    register(http, email=email)
    for again in (email, email.upper(), email.title(), f"  {email}\t"):
        body = {"email": again, "password": PASSWORD}
        a = http.request("POST", REGISTER, body).expect(409, "email_taken")
        assert a.header("Cache-Control") == "no-store"


def test_register_race(http, stack):
    """Of racers with one e-mail, one wins."""
    email = fresh_email("race")
    forms = [email, email.upper()]
    answers = at_once(8, lambda i: http.request(
        "POST", REGISTER, {"email": forms[i % 2], "password": PASSWORD}))
    assert sorted(a.status for a in answers) == [201] + [409] * 7
    assert stack.sql.value(
        f"select count(*) from taskcell.user_emails where lower(email) = lower('{email}')") == "1"


def test_email_is_trimmed_and_kept_as_typed(http):
    email = fresh_email("Mixed.Case")
    a = http.request("POST", REGISTER, {"email": f" \t{email}\n ", "password": PASSWORD})
    assert a.expect(201).json["user"]["email"] == email
    for form in (email.lower(), email.upper(), f" {email} "):
        assert login(http, form).expect(200).json["user"]["email"] == email


@pytest.mark.parametrize("email", [
    "", " ", "nobody", "@", "@example.org", "nobody@", "two@@example.org", "a@b@example.org",
    "a b@example.org", "a@exam ple.org", "a\nb@example.org", "a@example.org\r\nBcc: c@example.org",
    "a\u0001b@example.org",
])
def test_register_invalid_email(http, email):
    """T032: invalid."""
    a = http.request("POST", REGISTER, {"email": email, "password": PASSWORD})
    a.expect(422, "validation_failed")
    assert set(a.fields) == {"email"}


def test_email_length(http):
    """At most 254 bytes, counted after the trim."""
    stem = fresh_email("len").split("@", maxsplit=1)[0]

    def of(n):
        domain = "@" + ".".join(["d" * 60] * 3) + ".org"
        return stem + "x" * (n - len(stem) - len(domain)) + domain

    assert len(of(254)) == 254
    http.request("POST", REGISTER, {"email": of(255), "password": PASSWORD}).expect(422)
    long_part = http.request("POST", REGISTER, {"email": f" {of(254)} ", "password": PASSWORD})
    assert long_part.status in (201, 422)  # RFC 5321 allows 64 before the @
    http.request("POST", REGISTER, {"email": "ü" * 130 + "@example.org", "password": PASSWORD}
                 ).expect(422)


@pytest.mark.parametrize("password", [
    "", "short12", "\U0001f511" * 7, "x9" * 64 + "y",
    "password", "12345678", "PassWord1", "qwertyuiop", "iloveyou",
])
def test_register_refused_password(http, password):
    """Too short, too long (code points, not bytes), too common."""
    a = http.request("POST", REGISTER, {"email": fresh_email(), "password": password})
    a.expect(422, "validation_failed")
    assert set(a.fields) == {"password"}
    if len(password) < 8:
        assert a.fields["password"] == {"too_short"}
    if len(password) > 128:
        assert a.fields["password"] == {"too_long"}


def test_register_password_with_the_name_of_the_email(http):
    email = fresh_email("margaret")
    name = email.split("@", maxsplit=1)[0]
    for password in (name, f"x{name}y", f"My{name.upper()}!"):
        a = http.request("POST", REGISTER, {"email": email, "password": password})
        assert set(a.expect(422).fields) == {"password"}
    register(http, email=email)


@pytest.mark.parametrize("password", [
    "x7#kq9!z", "\U0001f511" * 8, "\U0001f511" * 128, "ab cd ef gh", " leading and trailing ",
    "zw\u200djoined-\u0301", "tab\tand\u0001control", "a'b\"c\\d;--%s",
])
def test_register_accepted_password(http, password):
    """8 to 128 characters of any kind, kept as they are, and no other opens the account."""
    user = register(http, password=password)
    login(http, user.email, password).expect(200)
    for wrong in (password[:-1] + "\u2603", password[:-1], password[1:], password[:-1] + "\\"):
        login(http, user.email, wrong).expect(401, "invalid_credentials")


def test_register_name(http):
    for name in ("A", "\U0001f469" * 100, " as sent "):
        assert register(http, name=name).auth["user"]["name"] == name
    for name, code in (("", "too_short"), ("x" * 101, "too_long"), (5, "invalid_type"),
                       (["a"], "invalid_type")):
        a = http.request("POST", REGISTER,
                         {"email": fresh_email(), "password": PASSWORD, "name": name})
        assert a.expect(422, "validation_failed").fields == {"name": {code}}


@pytest.mark.parametrize("path", [REGISTER, LOGIN])
def test_missing_fields_are_all_named(http, path):
    """T033: missing fields."""
    a = http.request("POST", path, {}).expect(422, "validation_failed")
    assert a.fields == {"email": {"required"}, "password": {"required"}}
    a = http.request("POST", path, {"email": fresh_email()}).expect(422)
    assert a.fields == {"password": {"required"}}
    a = http.request("POST", path, {"password": PASSWORD}).expect(422)
    assert a.fields == {"email": {"required"}}


@pytest.mark.parametrize("path", [REGISTER, LOGIN])
@pytest.mark.parametrize("value", [5, True, [], {}, 1.5])
def test_wrong_types(http, path, value):
    a = http.request("POST", path, {"email": value, "password": value})
    a.expect(422, "validation_failed")
    assert a.fields == {"email": {"invalid_type"}, "password": {"invalid_type"}}


@pytest.mark.parametrize("path", [REGISTER, LOGIN])
def test_null_is_no_email(http, path):
    a = http.request("POST", path, {"email": None, "password": None}).expect(422)
    assert set(a.fields) == {"email", "password"}


def test_unknown_members(http):
    """Ignored, as existing clients send them, unless strictness is asked for."""
    user = register(http, remember="yes", nested={"a": [1, 2]}, id="x", user_id="y")
    body = {"email": user.email, "password": PASSWORD, "rememberMe": True, "csrf": None}
    http.request("POST", LOGIN, body).expect(200)
    a = http.request("POST", LOGIN, body, headers={"Prefer": "handling=strict"}).expect(422)
    assert a.fields == {"rememberMe": {"unknown_field"}, "csrf": {"unknown_field"}}
    body = {"email": user.email, "password": PASSWORD, "id": 1, "user_id": "u"}
    http.request("POST", LOGIN, body, headers={"Prefer": "handling=strict"}).expect(200)


def test_registration_stores_no_password(http, stack):
    """T010: scrypt, parameters in the hash."""
    user = register(http, password="a very plain secret 1")
    kept = stack.sql.value(
        f"select password_hash from taskcell.credentials where user_id = '{user.id}'")
    assert re.fullmatch(r"\$scrypt\$ln=10,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}", kept)
    twin = register(http, password="a very plain secret 1")
    assert kept != stack.sql.value(
        f"select password_hash from taskcell.credentials where user_id = '{twin.id}'")


def test_registration_closed(make_stack, user):
    """And the account that is there already still gets in."""
    s = make_stack(registration="closed", workers=1, auth_workers=1)
    a = s.http.request("POST", REGISTER, {"email": fresh_email(), "password": PASSWORD})
    a.expect(403, "registration_closed")
    login(s.http, user.email).expect(200)


# --- login --------------------------------------------------------------------------------------


def test_login(http, user):
    """T020, T033: ok. Each login is a session of its own."""
    first = check_auth(login(http, user.email), 200, user.email)
    second = check_auth(login(http, user.email), 200, user.email)
    assert first["user"] == second["user"] == user.auth["user"]
    sids = {claims_of(x["access_token"])["sid"] for x in (first, second, user.auth)}
    assert len(sids) == 3


@pytest.mark.parametrize("agent", [
    b"caf\xe9", b"x" + "ä".encode() * 200, b"\x80" * 300, b"control \x01\x7f", b"",
])
def test_login_from_any_client(http, stack, user, agent):
    """What a client calls itself is kept if it is text, and decides nothing."""
    body = json.dumps({"email": user.email, "password": PASSWORD}).encode()
    head = http.head("POST", LOGIN, [("Content-Type", "application/json"),
                                     ("Content-Length", str(len(body)))])
    a = http.raw(head[:-2] + b"User-Agent: " + agent + b"\r\n\r\n" + body, "POST", LOGIN)
    if b"\x01" in agent and CHOSEN != "nginx":  # the web server does not take it
        assert is_own_form(a.expect(400))
        return
    kept = stack.sql.value("select coalesce(user_agent, '(none)') from taskcell.sessions where "
                           f"id = '{claims_of(a.expect(200).json['access_token'])['sid']}'")
    if agent.startswith(b"x"):
        assert kept == "x" + "ä" * 127
    elif agent.startswith(b"caf"):
        assert kept == "(none)"


@pytest.mark.parametrize("address", [b"\xff\xfe", b"", b"unix:", b"x" * 5000])
def test_login_from_anywhere(throttled, user, address):
    """The web server's word for where a client is decides nothing either."""
    body = json.dumps({"email": user.email, "password": PASSWORD}).encode()
    fastcgi.request(throttled.settings["listen_auth"], "POST", LOGIN, body,
                    REMOTE_ADDR=address).expect(200)


def test_login_wrong_password_and_unknown_email_look_the_same(http, user):
    """T024, T033: wrong."""
    wrong = login(http, user.email, "not the password at all")
    wrong.expect(401, "invalid_credentials")
    unknown = login(http, fresh_email("nobody"), "not the password at all")
    assert wrong.bare() == unknown.bare()
    assert wrong.header("Cache-Control") == "no-store"
    # What is no e-mail or no password that could exist is not told apart either.
    for email, password in (("nonsense", PASSWORD), (user.email, "x"), (user.email, "y" * 500)):
        a = login(http, email, password)
        assert a.status in (401, 422), a


def test_login_disabled_account(http, stack, user):
    stack.sql.run("update taskcell.credentials set disabled_at = now(), epoch = epoch + 1 "
                  f"where user_id = '{user.id}'")
    assert login(http, user.email).bare() == login(http, user.email, "wrong password x").bare()
    assert not user.alive()
    user.call("GET", "tasks").expect(401, "session_ended")


def test_login_rehashes_a_weaker_hash(http, stack, make_stack, user):
    """Rehashed at login when weaker than configured; the sessions stay."""
    strong = make_stack(scrypt_cost=11, workers=1, auth_workers=1)
    which = f"select password_hash from taskcell.credentials where user_id = '{user.id}'"
    before = stack.sql.value(which)
    login(strong.http, user.email, "the wrong password").expect(401)
    assert stack.sql.value(which) == before
    login(strong.http, user.email).expect(200)
    after = stack.sql.value(which)
    assert after.startswith("$scrypt$ln=11,r=8,p=3$")
    login(http, user.email).expect(200)  # a stronger one is left alone
    assert stack.sql.value(which) == after
    assert user.alive()


def test_logins_that_race_a_rehash_all_succeed(http, make_stack, user):
    strong = make_stack(scrypt_cost=11, workers=1, auth_workers=2)
    answers = at_once(6, lambda i: login(strong.http if i % 2 else http, user.email))
    assert [a.status for a in answers] == [200] * 6


def test_login_that_races_a_disabling_leaves_no_session(http, stack, user):
    """Neither before nor after the account is enabled again."""
    got = []

    def work(i):
        if i == 0:
            while len(got) < 6:
                time.sleep(0.001)
            stack.sql.run("update taskcell.credentials set disabled_at = now(), epoch = epoch + 1 "
                          f"where user_id = '{user.id}'")
            return
        for _ in range(200):
            a = login(http, user.email)
            got.append(a)
            if a.status != 200:
                return

    at_once(5, work)
    tokens = [a.json["access_token"] for a in got if a.status == 200]
    assert len(tokens) >= 4
    assert [a.status for a in got if a.status != 200] == [401] * 4
    assert not any(user.alive(t) for t in tokens)
    stack.sql.run("update taskcell.credentials set disabled_at = null "
                  f"where user_id = '{user.id}'")
    assert not any(user.alive(t) for t in tokens)
    assert user.alive(login(http, user.email).expect(200).json["access_token"])


def test_login_busy(http, stack, user):
    """No place at the hashing gate: 503 with Retry-After, and nothing else is slowed down."""
    with stack.gate_held():
        started = time.monotonic()
        a = login(http, user.email).expect(503, "hashing_busy")
        assert time.monotonic() - started < 10
        assert int(a.header("Retry-After")) >= 1
        body = {"email": fresh_email(), "password": PASSWORD}
        http.request("POST", REGISTER, body).expect(503, "hashing_busy")
        user.call("GET", "tasks").expect(200)
    login(http, user.email).expect(200)
    http.request("POST", REGISTER, body).expect(201)


# --- the access token ---------------------------------------------------------------------------


def test_claims(user):
    """T011, T034."""
    claims = claims_of(user.access)
    assert set(claims) == {
        "iss", "aud", "sub", "user_id", "email", "sid", "token_use", "iat", "nbf", "exp", "jti"}
    assert claims["sub"] == claims["user_id"] == user.id
    assert claims["email"] == user.email
    assert claims["token_use"] == "access"
    assert UUID7.fullmatch(claims["sid"])
    assert claims["exp"] - claims["iat"] == 900
    assert claims["nbf"] <= claims["iat"] <= time.time() + 1
    assert isinstance(claims["iss"], str) and isinstance(claims["aud"], str) and claims["jti"]


def test_jti_is_new_each_time(http, user):
    seen = {claims_of(login(http, user.email).json["access_token"])["jti"] for _ in range(5)}
    assert len(seen) == 5


@pytest.mark.parametrize("name", ["plain", "~~~", "q?~}|{?~", "a/b+c_d-e"])
def test_payload_is_read_by_plain_atob(http, name):
    """Existing clients do JSON.parse(atob(token.split('.')[1])): ASCII, no - and no _."""
    for i in range(6):
        email = f"{name}{'x' * i}{fresh_email('')}"
        body = {"email": email, "password": PASSWORD, "name": "Zoë \U0001f600" + "é" * i}
        token = http.request("POST", REGISTER, body).expect(201).json["access_token"]
        payload = token.split(".")[1]
        assert re.fullmatch("[A-Za-z0-9+/]+", payload)
        text = base64.b64decode(payload + "=" * (-len(payload) % 4), validate=True)
        assert text.isascii()
