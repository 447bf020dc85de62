"""Cookie mode: the refresh token where scripts of the page cannot read it."""

import re

import pytest

import fastcgi
from client import PASSWORD, User, at_once, claims_of, fresh_email, register, remember_secret
from client import unb64url
from stack import wait_for

SITE = "https://tasks.example.org"
NAME = "__Secure-taskcell_refresh"
PLAIN = "taskcell_refresh"
REFRESH = "/api/auth/refresh"
LOGOUT = "/api/auth/logout"
SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def site(module_stack):
    """Known to the world as https://tasks.example.org."""
    return module_stack(public_url=SITE, workers=3, auth_workers=2)


def cookies_of(answer):
    """Each Set-Cookie as its name, value and set of attributes."""
    found = []
    for line in answer.headers.get_all("Set-Cookie") or []:
        first, *attributes = line.split("; ")
        name, value = first.split("=", 1)
        remember_secret(value)
        found.append((name, value, attributes))
    return found


def cookie_of(answer, name=NAME, path="/api/auth", secure=True):
    """The value; that the cookie is, to the letter, what it should be."""
    ((got, value, attributes),) = cookies_of(answer)
    assert got == name
    age = [a for a in attributes if a.startswith("Max-Age=")]
    assert len(age) == 1 and len(attributes) == len(set(attributes))
    assert set(attributes) - set(age) == {
        "HttpOnly", "SameSite=Strict", f"Path={path}"} | ({"Secure"} if secure else set())
    return value, int(age[0].removeprefix("Max-Age="))


def no_cookie(answer):
    assert answer.headers.get_all("Set-Cookie") is None, answer.headers
    return answer


def enter(http, path="login", email=None, check=201, **members):
    body = {"email": email or fresh_email(), "password": PASSWORD, "cookie": True, **members}
    remember_secret(PASSWORD)
    return http.request("POST", f"/api/auth/{path}", body).expect(check)


class Browser:
    """Somebody in cookie mode."""

    def __init__(self, site, answer=None):
        self.http = site.http
        answer = answer or enter(self.http, "register")
        self.user = User(self.http, answer.json, PASSWORD)
        self.value, _ = cookie_of(answer)

    def send(self, path=REFRESH, body=None, headers=SAME, cookie=None, **kw):
        headers = {**headers, "Cookie": cookie or f"{NAME}={self.value}"}
        return self.http.request("POST", path, body, headers=headers, **kw)

    def take(self, answer):
        self.value, _ = cookie_of(answer.expect(200))
        return self


@pytest.fixture
def browser(site):
    return Browser(site)


# --- getting the cookie -------------------------------------------------------------------------


def test_register_and_login(site, stack):
    for answer in (a := enter(site.http, "register"),
                   enter(site.http, email=a.json["user"]["email"], check=200)):
        value, age = cookie_of(answer)
        assert set(answer.json) == {"access_token", "token_type", "expires_in", "expires_at",
                                    "refresh_expires_at", "user"}
        assert re.fullmatch("[A-Za-z0-9_-]{114}", value)
        assert value not in answer.body.decode()
        assert 14 * 86400 - 60 < age <= 14 * 86400
        sid = claims_of(answer.json["access_token"])["sid"]
        assert unb64url(value)[21:37].hex() == sid.replace("-", "")
        assert answer.header("Cache-Control") == "no-store"
        site.http.request("GET", "/api/me/tasks",
                          token=answer.json["access_token"]).expect(200)
    # The refresh token itself is the same kind: it also works in a body.
    a = site.http.request("POST", REFRESH, {"refresh_token": value}).expect(200)
    assert no_cookie(a).json["refresh_token"] != value


def test_only_when_asked_for(site):
    for extra in ({}, {"cookie": False}):
        a = site.http.request("POST", "/api/auth/register",
                              {"email": fresh_email(), "password": PASSWORD, **extra}).expect(201)
        assert "refresh_token" in no_cookie(a).json
    for value in (1, "true", "", [], {}):
        a = site.http.request("POST", "/api/auth/login", {"email": "a@example.org",
                                                          "password": PASSWORD, "cookie": value})
        assert a.expect(422).fields == {"cookie": {"invalid_type"}}


def test_a_failed_login_sets_none(site, browser):
    body = {"email": browser.user.email, "password": "not the password", "cookie": True}
    no_cookie(site.http.request("POST", "/api/auth/login", body).expect(401))
    body = {"email": browser.user.email, "password": PASSWORD, "cookie": True}
    no_cookie(site.http.request("POST", "/api/auth/register", body).expect(409))


def test_password_change(browser):
    """With `cookie`, the new session's token comes in a cookie; without, in the body."""
    new = "a new horse, a new battery"
    remember_secret(new)
    old = browser.value
    a = browser.user.call("POST", "/api/auth/password",
                          {"current_password": PASSWORD, "new_password": new, "cookie": True})
    browser.take(a)
    assert "refresh_token" not in a.json
    browser.send(cookie=f"{NAME}={old}").expect(401, "session_ended")
    browser.take(browser.send())
    a = browser.user.call("POST", "/api/auth/password", {"current_password": new,
                          "new_password": PASSWORD}, token=a.json["access_token"]).expect(200)
    assert "refresh_token" in no_cookie(a).json


# --- refreshing by it ---------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, b"", {}, {"refresh_token": None}])
def test_refresh(site, browser, body):
    """A new pair, the token in the cookie again."""
    old = browser.value
    for _ in range(3):
        a = browser.send(body=body)
        browser.take(a)
        assert browser.value != old
        assert "refresh_token" not in a.json and "refresh_expires_at" in a.json
        assert claims_of(a.json["access_token"])["sid"] == browser.user.sid
        assert browser.value not in a.body.decode()
        site.http.request("GET", "/api/me/tasks", token=a.json["access_token"]).expect(200)
        old = browser.value


def test_an_empty_token_in_the_body_is_one(browser):
    """What a client without a token would send: the cookie is not asked."""
    a = browser.send(body={"refresh_token": "garbage"}).expect(401, "invalid_refresh_token")
    assert cookies_of(a) == [] or cookies_of(a)[0][1] == ""
    browser.take(browser.send())


def test_the_body_comes_first(site, browser):
    """A token in the body beats the cookie, and is answered in the body."""
    plain = register(site.http)
    a = browser.send(body={"refresh_token": plain.refresh}).expect(200)
    assert no_cookie(a).json["user"]["id"] == plain.id and a.json["refresh_token"]
    a = browser.send(body={"refresh_token": a.json["refresh_token"]}, headers={}).expect(200)
    assert a.json["user"]["id"] == plain.id  # no cookie is relied on: no rule
    browser.take(browser.send())


def test_replay_inside_the_grace(browser):
    first = browser.value
    a = browser.send()
    browser.take(a)
    again = browser.send(cookie=f"{NAME}={first}")
    assert cookie_of(again.expect(200))[0] == browser.value


def test_theft(site, browser, stack):
    first = browser.value
    browser.take(browser.send())
    stack.sql.run("update taskcell.sessions set rotated_at = rotated_at - interval '31 s' "
                  f"where id = '{browser.user.sid}'")
    browser.send(cookie=f"{NAME}={first}").expect(401, "session_ended")
    browser.send().expect(401, "session_ended")
    assert not browser.user.alive()
    assert site.http.request("GET", "/api/health").status == 200


def test_24_parallel_refreshes(browser, stack):
    """As many tabs, one cookie: all succeed with one successor."""
    for _ in range(3):
        answers = at_once(24, lambda _: browser.send())
        assert [a.status for a in answers] == [200] * 24
        values = {cookie_of(a)[0] for a in answers}
        assert len(values) == 1 and browser.value not in values
        browser.value = values.pop()
    assert stack.sql.run("select id from taskcell.sessions where revoked_at is null "
                         f"and user_id = '{browser.user.id}'") == [[browser.user.sid]]


@pytest.mark.parametrize("cookie", [
    "", "x", "=", ";", "; ;", f"{NAME}", f"{NAME}=", f"{NAME}=garbage", f"x{NAME}=%s",
    f"{NAME}x=%s", f"{PLAIN}=%s", f"{NAME.lower()}=%s", f"a={NAME}=%s", f'{NAME}="%s"',
    f"{NAME}=%s%s", f"{NAME}=" + "a" * 3000, f"{NAME}=%s x", f"{NAME}=\xe9%s", f"{NAME}=other; "
    f"{NAME}=%s", f"{NAME} %s", f"{NAME}:%s", f"__Secure-={NAME}=%s", f"{NAME}=..%s",
])
def test_no_cookie_of_ours(browser, cookie):
    """Only the cookie of that very name and a value of ours counts; of two, the first."""
    text = cookie.replace("%s", browser.value)
    browser.send(cookie=text or " ").expect(401, "invalid_refresh_token")
    browser.take(browser.send())


@pytest.mark.parametrize("cookie", [
    "a=b; %s", "%s; a=b", "a=b;%s", "a=b;  \t%s", "%s;", "a=b; %s; {0}=other", "; ; %s",
    "a; %s", "=a; %s", "taskcell_refresh=other; %s", "a=\"{0}=x\"; %s",
])
def test_among_other_cookies(browser, cookie):
    text = cookie.format(NAME).replace("%s", f"{NAME}={browser.value}")
    browser.take(browser.send(cookie=text))


def test_the_access_token_is_no_cookie(browser):
    """And a cookie opens nothing but refresh and logout."""
    browser.send(cookie=f"{NAME}={browser.user.access}").expect(401, "invalid_refresh_token")
    a = browser.http.request("GET", "/api/auth/session", headers={
        **SAME, "Cookie": f"{NAME}={browser.value}"})
    a.expect(401, "missing_token")
    a = browser.http.request("DELETE", "/api/auth/account", {"password": PASSWORD}, headers={
        **SAME, "Cookie": f"{NAME}={browser.value}"})
    a.expect(401, "missing_token")


# --- the cross-site rule ------------------------------------------------------------------------

RULE = [  # Sec-Fetch-Site, Origin, allowed
    ("same-origin", None, True),
    ("same-origin", SITE, True),
    ("same-origin", "https://evil.example", True),  # the browser's own word comes first
    (None, SITE, True),
    (None, None, False),
    ("same-site", None, False),
    ("same-site", SITE, False),
    ("cross-site", None, False),
    ("cross-site", SITE, False),
    ("none", None, False),
    ("none", SITE, False),
    ("Same-Origin", None, False),
    ("same-origin, cross-site", None, False),
    ("same-originx", None, False),
    ("", None, False),
    (None, "null", False),
    (None, "https://evil.example", False),
    (None, SITE + "/", False),
    (None, SITE + ":443", False),
    (None, SITE + ".evil.example", False),
    (None, "http://tasks.example.org", False),
    (None, "https://TASKS.example.org", False),
    (None, SITE[:-1], False),
    (None, f"{SITE} https://evil.example", False),
    (None, "https://evil.tasks.example.org", False),
    (None, "tasks.example.org", False),
    (None, "", False),
]


@pytest.mark.parametrize("site_header,origin,allowed", RULE)
def test_rule(browser, site_header, origin, allowed):
    headers = {}
    if site_header is not None:
        headers["Sec-Fetch-Site"] = site_header
    if origin is not None:
        headers["Origin"] = origin
    a = browser.send(headers=headers)
    if allowed:
        browser.take(a)
    else:
        no_cookie(a).expect(403, "cross_site")
    # What was refused did nothing: the token is still the current one.
    browser.take(browser.send())
    a = browser.send(LOGOUT, headers=headers)
    if allowed:
        a.expect(200)
        assert not browser.user.alive()
    else:
        a.expect(403, "cross_site")
        assert browser.user.alive()


@pytest.mark.parametrize("host", [
    "tasks.example.org", "evil.example", "127.0.0.1", "",
])
def test_never_by_the_host_header(browser, host):
    """DNS rebinding: what the request says about where it goes proves nothing."""
    head = (f"POST {REFRESH} HTTP/1.1\r\nHost: {host or '127.0.0.1'}\r\nConnection: close\r\n"
            f"Origin: http://{host}\r\nX-Forwarded-Host: {host}\r\nForwarded: host={host}\r\n"
            f"Referer: {SITE}/\r\nCookie: {NAME}={browser.value}\r\n"
            f"Content-Length: 0\r\n\r\n")
    browser.http.raw(head.encode(), "POST", REFRESH).expect(403, "cross_site")


def test_rule_comes_before_the_token(browser):
    """A cookie that is no good is not told apart from a good one."""
    good = browser.send(headers={})
    bad = browser.send(headers={}, cookie=f"{NAME}=garbage")
    assert good.expect(403, "cross_site").bare() == bad.bare()


def test_without_a_cookie_there_is_no_rule(browser):
    """Nothing to rely on: the token is what is missing."""
    browser.http.request("POST", REFRESH, headers={"Sec-Fetch-Site": "cross-site"}).expect(
        401, "invalid_refresh_token")
    browser.http.request("POST", LOGOUT, headers={"Sec-Fetch-Site": "cross-site"}).expect(200)


def test_an_ordinary_session_is_not_bound_by_the_rule(browser):
    """Bearer and body token come from whoever holds them, wherever the page is."""
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    browser.user.call("GET", "tasks", headers=headers).expect(200)
    browser.send(LOGOUT, headers=headers, token=browser.user.access).expect(200)
    assert not browser.user.alive()


def test_a_cookie_shown_at_login(make_stack):
    """Strangers' guessing does not lock out who has a live session's cookie, if the request comes
    from the site; the same without it has to wait."""
    s = make_stack(public_url=SITE, throttle="on", throttle_address_per_minute=1000, workers=1,
                   auth_workers=1)
    b = Browser(s)
    body = {"email": b.user.email, "password": PASSWORD}
    for i in range(6):
        s.http.request("POST", "/api/auth/login", {**body, "password": f"not the password {i}"},
                       source="127.0.7.1").expect(401)
    s.sql.run("update taskcell.throttle set ends_at = now() + interval '10 minutes' "
              "where key like 'account:%' and ends_at > '-infinity'")

    def login(headers, cookie):
        return s.http.request("POST", "/api/auth/login", body, source="127.0.7.2",
                              headers={**headers, "Cookie": f"{NAME}={cookie}"})

    login(SAME, "garbage").expect(429)
    login({"Sec-Fetch-Site": "cross-site"}, b.value).expect(429)
    no_cookie(login(SAME, b.value).expect(200))
    b.user.call("DELETE", f"/api/auth/sessions/{b.user.sid}").expect(204)
    a = s.http.request("POST", "/api/auth/login", body, source="127.0.7.3",
                       headers={**SAME, "Cookie": f"{NAME}={b.value}"})
    a.expect(429)


# --- logging out --------------------------------------------------------------------------------


def cleared(answer):
    value, age = cookie_of(answer.expect(200))
    assert (value, age) == ("", 0)


def test_logout_by_the_cookie(browser):
    cleared(browser.send(LOGOUT))
    assert not browser.user.alive()
    browser.send().expect(401, "session_ended")
    cleared(browser.send(LOGOUT))  # twice is no mistake


def test_logout_clears_a_cookie_that_is_no_good(browser):
    cleared(browser.send(LOGOUT, cookie=f"{NAME}=garbage"))
    assert browser.user.alive()


def test_logout_with_another_token(site, browser):
    """The access token names the session that ends; the cookie goes all the same."""
    plain = register(site.http)
    cleared(browser.send(LOGOUT, token=plain.access))
    assert not plain.alive() and browser.user.alive()


def test_logout_without_a_cookie_sets_none(site):
    no_cookie(site.http.request("POST", LOGOUT, headers=SAME).expect(200))


def test_deletion_and_end_of_the_session(browser):
    browser.user.call("DELETE", f"/api/auth/sessions/{browser.user.sid}").expect(204)
    browser.send().expect(401, "session_ended")


# --- where there is no cookie mode --------------------------------------------------------------


@pytest.mark.parametrize("public_url", [None, f"{SITE}/~alice", f"{SITE}/tasks/"])
def test_refused(make_stack, public_url):
    """On an origin that is shared with strangers a path is no boundary."""
    s = make_stack(public_url=public_url, workers=1, auth_workers=1)
    user = register(s.http)
    body = {"email": user.email, "password": PASSWORD, "cookie": True}
    a = s.http.request("POST", "/api/auth/login", body).expect(422)
    assert no_cookie(a).fields == {"cookie": {"not_available"}}
    a = s.http.request("POST", "/api/auth/register", {**body, "email": fresh_email()}).expect(422)
    assert no_cookie(a).fields == {"cookie": {"not_available"}}
    a = user.call("POST", "/api/auth/password", {
        "current_password": PASSWORD, "new_password": "a horse of its own", "cookie": True})
    assert no_cookie(a).expect(422).fields == {"cookie": {"not_available"}}
    assert user.alive()
    # false asks for nothing; a cookie that is sent counts for nothing.
    s.http.request("POST", "/api/auth/login", {**body, "cookie": False}).expect(200)
    for name in (NAME, PLAIN):
        headers = {**SAME, "Cookie": f"{name}={user.refresh}", "Origin": SITE}
        a = s.http.request("POST", REFRESH, headers=headers).expect(401, "invalid_refresh_token")
        no_cookie(s.http.request("POST", LOGOUT, headers=headers).expect(200))
    assert user.alive()


@pytest.mark.parametrize("public_url,origin", [
    ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("http://localhost/", "http://localhost"),
])
def test_http(make_stack, public_url, origin):
    """Without https there can be no Secure, so the name has no promise in it."""
    s = make_stack(public_url=public_url, workers=1, auth_workers=1)
    a = enter(s.http, "register")
    value, age = cookie_of(a, PLAIN, secure=False)
    assert age > 0
    for headers in (SAME, {"Origin": origin}):
        a = s.http.request("POST", REFRESH, headers={**headers, "Cookie": f"{PLAIN}={value}"})
        value, _ = cookie_of(a.expect(200), PLAIN, secure=False)
    for headers in ({"Origin": public_url + "/x"}, {"Origin": "http://127.0.0.1"}):
        s.http.request("POST", REFRESH, headers={
            **headers, "Cookie": f"{PLAIN}={value}"}).expect(403, "cross_site")
    s.http.request("POST", REFRESH, headers={
        **SAME, "Cookie": f"{NAME}={value}"}).expect(401, "invalid_refresh_token")


def test_mount(make_stack):
    """The cookie's path has the prefix."""
    s = make_stack(with_nginx=False, mount="/todo", public_url=SITE, workers=1, auth_workers=1)
    api, auth = s.settings["listen"], s.settings["listen_auth"]
    wait_for("the sockets", lambda: s.answers(api) and s.answers(auth))
    body = b'{"email":"%s","password":"%s","cookie":true}' % (
        fresh_email().encode(), PASSWORD.encode())
    a = fastcgi.request(auth, "POST", "/todo/api/auth/register", body).expect(201)
    value, _ = cookie_of(a, path="/todo/api/auth")
    a = fastcgi.request(api, "POST", "/todo" + REFRESH, HTTP_COOKIE=f"{NAME}={value}",
                        HTTP_SEC_FETCH_SITE="same-origin")
    value, _ = cookie_of(a.expect(200), path="/todo/api/auth")
    a = fastcgi.request(api, "POST", "/todo" + LOGOUT, HTTP_COOKIE=f"{NAME}={value}",
                        HTTP_ORIGIN=SITE)
    assert cookie_of(a.expect(200), path="/todo/api/auth") == ("", 0)
