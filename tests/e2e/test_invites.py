"""Who may register: nobody, anybody, or whoever has an invitation."""

import hashlib
import os
import re

import pytest

from client import PASSWORD, at_once, b64url, fresh_email, login, register, remember_secret

REGISTER = "/api/auth/register"


@pytest.fixture(scope="module")
def invited(module_stack):
    return module_stack(registration="invite", workers=2, auth_workers=2)


def invite(stack, uses=1, ends="now() + interval '1 day'"):
    """A code as taskcellctl makes it: the database keeps its digest."""
    code = b64url(os.urandom(16))
    remember_secret(code)
    digest = hashlib.sha256(code.encode()).hexdigest()
    stack.sql.run("insert into taskcell.invites (digest, expires_at, uses_left) "
                  f"values ('{digest}', {ends}, {uses})")
    return code


def uses_left(stack, code):
    digest = hashlib.sha256(code.encode()).hexdigest()
    rows = stack.sql.run(f"select uses_left from taskcell.invites where digest = '{digest}'")
    return int(rows[0][0]) if rows else 0


def attempt(s, code, email=None, **members):
    remember_secret(PASSWORD)
    body = {"email": email or fresh_email(), "password": PASSWORD, **members}
    if code is not None:
        body["invite"] = code
    return s.http.request("POST", REGISTER, body)


def test_a_code_of_taskcellctl(invited):
    out = invited.ctl("invite", "add")
    codes = [w for w in re.findall(r"[A-Za-z0-9_-]+", out) if len(w) == 22]
    assert len(codes) == 1, out
    remember_secret(codes[0])
    attempt(invited, codes[0]).expect(201)
    attempt(invited, codes[0]).expect(403, "invalid_invite")


def test_one_account_a_use(invited):
    code = invite(invited, 2)
    email = fresh_email()
    a = attempt(invited, code, email, name="Ada").expect(201)
    assert a.json["user"]["name"] == "Ada" and uses_left(invited, code) == 1
    invited.http.request("GET", "/api/me/tasks", token=a.json["access_token"]).expect(200)
    attempt(invited, code).expect(201)
    assert uses_left(invited, code) == 0
    attempt(invited, code).expect(403, "invalid_invite")
    login(invited.http, email).expect(200)


@pytest.mark.parametrize("code", [
    None, "", "x", "AAAAAAAAAAAAAAAAAAAAAA", "é" * 22, "a" * 2000, "' or ''='", "\u0001" * 22, " ",
])
def test_without_a_code_that_is_one(invited, code):
    a = attempt(invited, code)
    if a.status == 422:
        assert set(a.fields) == {"invite"}
        return
    a.expect(403, "invalid_invite")
    assert a.header("Cache-Control") == "no-store"


def test_wrong_types(invited):
    for value in (5, True, [], {}):
        assert attempt(invited, value).expect(422).fields == {"invite": {"invalid_type"}}
    attempt(invited, None, invite=None).expect(403, "invalid_invite")


def test_every_character_counts(invited):
    code = invite(invited)
    digest = hashlib.sha256(code.encode()).hexdigest()
    for wrong in (code[:-1], code + "A", code.swapcase(), f" {code}", f"{code} ", f"{code}==",
                  digest, digest[:22]):
        assert attempt(invited, wrong).status in (403, 422), wrong
    assert uses_left(invited, code) == 1
    attempt(invited, code).expect(201)


def test_expired(invited):
    code = invite(invited, ends="now() - interval '1 second'")
    refused = attempt(invited, code).expect(403, "invalid_invite")
    unknown = attempt(invited, b64url(os.urandom(16)))
    assert refused.bare() == unknown.bare()
    assert uses_left(invited, code) in (0, 1)


def test_what_fails_uses_nothing_up(invited, user):
    """A taken e-mail, fields that are wrong, no place to hash."""
    code = invite(invited)
    attempt(invited, code, user.email).expect(409, "email_taken")
    attempt(invited, code, "nobody").expect(422)
    body = {"email": fresh_email(), "password": "password", "invite": code}
    invited.http.request("POST", REGISTER, body).expect(422)
    with invited.gate_held():
        attempt(invited, code).expect(503, "hashing_busy")
        attempt(invited, "x" * 22).expect(403, "invalid_invite")  # is not hashed for
    assert uses_left(invited, code) == 1
    attempt(invited, code).expect(201)


def test_the_last_use_is_had_once(invited):
    for uses in (1, 3):
        code = invite(invited, uses)
        emails = [fresh_email("last") for _ in range(8)]
        answers = at_once(8, lambda i: attempt(invited, code, emails[i]))  # noqa: B023
        assert sorted(a.status for a in answers) == [201] * uses + [403] * (8 - uses)
        assert uses_left(invited, code) == 0
        made = invited.sql.value("select count(*) from taskcell.user_emails where email in ("
                                 + ", ".join(f"'{e}'" for e in emails) + ")")
        assert int(made) == uses
        for email, a in zip(emails, answers):
            login(invited.http, email).expect(200 if a.status == 201 else 401)


def test_open_needs_none(http, stack):
    """And uses none up."""
    code = invite(stack)
    register(http, invite=code)
    register(http, invite="nonsense")
    register(http)
    assert uses_left(stack, code) == 1


def test_closed_is_closed(make_stack, user):
    s = make_stack(registration="closed", workers=1, auth_workers=1)
    code = invite(s)
    a = attempt(s, code).expect(403, "registration_closed")
    assert a.bare() == attempt(s, None).bare()
    assert uses_left(s, code) == 1
    login(s.http, user.email).expect(200)


def test_login_is_no_registration(invited, user):
    login(invited.http, user.email).expect(200)
