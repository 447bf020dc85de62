"""What is kept of logins and changes: each act leaves its row, in the transaction of the act, and
no row has a secret in it. (`taskcellctl audit` reads them: test_ctl*.)"""

from client import PASSWORD, User, another, at_once, fresh_email, login, refresh, register
from client import remember_secret

NEW = "a new horse, a new battery"
WRONG = "certainly not the password"
NOBODY = "00000000-0000-0000-0000-000000000000"


def rows(stack, where):
    found = stack.sql.run(
        "select event, coalesce(session_id::text, ''), coalesce(ip, ''), coalesce(user_agent, ''), "
        f"coalesce(request_id, ''), coalesce(detail, '') from taskcell.audit where {where} "
        "order by at, id")
    names = ("event", "session", "ip", "agent", "request", "detail")
    return [dict(zip(names, r)) for r in found]


def row_of(stack, answer):
    """The one row that a request has left."""
    (row,) = rows(stack, f"request_id = '{answer.request_id}'")
    return row


def test_each_act_has_its_row(stack, http):
    remember_secret(NEW)
    body = {"email": fresh_email(), "password": PASSWORD}
    a = http.request("POST", "/api/auth/register", body, headers={"User-Agent": "Agent/1"},
                     source="127.0.3.1").expect(201)
    user = User(http, a.json, PASSWORD, "127.0.3.1")
    seen = [(a, "registered", user.sid)]

    a = login(http, user.email, source="127.0.3.2").expect(200)
    second = User(http, a.json, PASSWORD, "127.0.3.2")
    seen.append((a, "login", second.sid))
    seen.append((login(http, user.email, WRONG, "127.0.3.3").expect(401), "login_failed", ""))
    a = second.call("PATCH", "/api/auth/account",
                    {"email": fresh_email(), "current_password": WRONG}).expect(403)
    seen.append((a, "password_refused", None))
    a = second.call("PATCH", "/api/auth/account",
                    {"email": fresh_email(), "current_password": PASSWORD}).expect(200)
    seen.append((a, "email_changed", second.sid))
    second.email = a.json["email"]
    third = another(second)
    a = second.call("DELETE", f"/api/auth/sessions/{third.sid}").expect(204)
    seen.append((a, "session_ended", third.sid))
    another(second)
    seen.append((second.call("DELETE", "/api/auth/sessions").expect(204), "sessions_ended", None))
    a = http.request("POST", "/api/auth/logout", token=another(second).access).expect(200)
    seen.append((a, "logout", None))
    fourth = another(second)
    pair = refresh(http, fourth.refresh).expect(200).json
    refresh(http, pair["refresh_token"]).expect(200)
    a = refresh(http, fourth.refresh, "127.0.3.9").expect(401, "session_ended")
    seen.append((a, "refresh_theft", fourth.sid))
    a = second.call("POST", "/api/auth/password",
                    {"current_password": PASSWORD, "new_password": NEW}).expect(200)
    seen.append((a, "password_changed", None))

    for answer, event, sid in seen:
        row = row_of(stack, answer)
        assert row["event"] == event, (row, event)
        assert row["ip"].startswith("127.0."), row
        assert sid is None or row["session"] == sid, (row, sid)
    assert row_of(stack, seen[0][0])["agent"] == "Agent/1"
    assert row_of(stack, seen[2][0])["ip"] == "127.0.3.3"
    text = str(rows(stack, f"user_id = '{user.id}'"))
    for secret in (PASSWORD, WRONG, NEW, user.refresh, user.access, pair["refresh_token"]):
        assert secret not in text


def test_an_unknown_account(stack, http):
    """Under no id, and without what was typed."""
    email = fresh_email("typed-by-mistake")
    a = login(http, email).expect(401)
    (row,) = rows(stack, f"request_id = '{a.request_id}' and user_id = '{NOBODY}'")
    assert row["event"] == "login_failed" and row["detail"]
    assert email not in str(row) and PASSWORD not in str(row)


def test_what_did_not_happen_has_no_row(stack, http, user, other):
    """Conflicts, refused fields, sessions that are not there, requests of ended sessions."""
    http.request("POST", "/api/auth/logout", token=other.access).expect(200)
    for a in (http.request("POST", "/api/auth/register",
                           {"email": user.email, "password": PASSWORD}).expect(409),
              user.call("PATCH", "/api/auth/account", {
                  "email": other.email, "current_password": PASSWORD}).expect(409),
              user.call("DELETE", f"/api/auth/sessions/{other.sid}").expect(404),
              other.call("DELETE", "/api/auth/sessions").expect(401),
              other.call("DELETE", "/api/auth/account", {"password": PASSWORD}).expect(401),
              other.call("POST", "/api/auth/password", {
                  "current_password": PASSWORD, "new_password": NEW}).expect(401),
              http.request("POST", "/api/auth/logout", token=other.access).expect(200),
              user.call("GET", "/api/auth/sessions").expect(200),
              refresh(http, user.refresh).expect(200)):
        assert rows(stack, f"request_id = '{a.request_id}'") == [], a


def test_racers_leave_one_row_an_act(stack, http, user):
    second = another(user)
    path = f"/api/auth/sessions/{second.sid}"
    at_once(6, lambda _: user.call("DELETE", path))
    at_once(6, lambda _: http.request("POST", "/api/auth/logout", token=second.access))
    found = [r["event"] for r in rows(stack, f"session_id = '{second.sid}'")]
    assert found == ["login", "session_ended"]


def test_old_rows_go_with_new_ones(stack, http, user):
    """No cron job: after audit_retention, with the user's own next act."""
    stack.sql.run("insert into taskcell.audit (user_id, event, at) select "
                  f"'{user.id}', 'login', now() - interval '20 years' from generate_series(1, 5)")
    login(http, user.email).expect(200)
    assert stack.sql.value("select count(*) from taskcell.audit where user_id = "
                           f"'{user.id}' and at < now() - interval '10 years'") == "0"
    assert register(http).alive()
