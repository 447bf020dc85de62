"""The own account: reading, changing, deleting and taking it away. T069, T070, T078-T080."""

import json

import pytest

from client import NEVER, PASSWORD, TIME, User, another, at_once, check_task, claims_of, fresh_email
from client import login, refresh, register, remember_secret

ACCOUNT = "/api/auth/account"
CHANGE = "/api/auth/password"
EXPORT = "/api/auth/export"
WRONG = "certainly not the password"
NEW = "a new horse, a new battery"


def account(user):
    return user.call("GET", ACCOUNT).expect(200).json


def patch(user, body, **kw):
    return user.call("PATCH", ACCOUNT, body, **kw)


def change_email(user, email, password=None, **members):
    return patch(user, {"email": email, "current_password": password or user.password, **members})


def change_password(user, old=None, new=NEW, **members):
    if len(new) > 12:  # shorter ones are words that occur in a log anyway
        remember_secret(new)
    body = {"current_password": old or user.password, "new_password": new, **members}
    return user.call("POST", CHANGE, body)


def delete(user, password=None):
    return user.call("DELETE", ACCOUNT, {"password": password or user.password})


def living(user):
    """Access and refresh both work."""
    assert user.alive()
    user.take(refresh(user.http, user.refresh).expect(200).json)


def dead(user):
    """Access and refresh both are over, at the very next request."""
    user.call("GET", "tasks").expect(401, "session_ended")
    user.call("GET", ACCOUNT).expect(401, "session_ended")
    refresh(user.http, user.refresh).expect(401, "session_ended")


def events(stack, user):
    return [r[0] for r in stack.sql.run(
        f"select event from taskcell.audit where user_id = '{user.id}' order by at, event")]


# --- reading ------------------------------------------------------------------------------------


def test_read(user):
    a = user.call("GET", ACCOUNT).expect(200)
    assert a.header("Cache-Control") == "no-store"
    assert a.json == user.auth["user"] == user.call("GET", "/api/auth/session").json["user"]
    user.call("HEAD", ACCOUNT).expect(200)
    allow = user.http.request("OPTIONS", ACCOUNT).expect(204).header("Allow")
    assert set(allow.split(", ")) == {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"}
    allow = user.http.request("OPTIONS", CHANGE).expect(204).header("Allow")
    assert set(allow.split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize("method,path,body", [
    ("GET", ACCOUNT, None), ("PATCH", ACCOUNT, {"name": "x"}),
    ("DELETE", ACCOUNT, {"password": PASSWORD}), ("GET", EXPORT, None),
    ("POST", CHANGE, {"current_password": PASSWORD, "new_password": NEW}),
])
def test_a_live_session_is_needed(http, user, method, path, body):
    http.request(method, path, body).expect(401, "missing_token")
    http.request(method, path, body, token=user.refresh).expect(401, "invalid_token")
    living(user)
    http.request("POST", "/api/auth/logout", token=user.access).expect(200)
    user.call(method, path, body).expect(401, "session_ended")
    login(http, user.email).expect(200)


# --- the name -----------------------------------------------------------------------------------


def test_name(user):
    """Needs no password. null clears it, absent keeps it."""
    second = another(user)
    for body, name in (({"name": "Ada"}, "Ada"), ({}, "Ada"), ({"name": "\U0001f469" * 100},
                       "\U0001f469" * 100), ({"name": None}, None), ({"name": " as sent "},
                       " as sent "), ({"other": 1}, " as sent ")):
        a = patch(user, body).expect(200)
        assert a.json == {**user.auth["user"], "name": name}
        assert a.header("Cache-Control") == "no-store"
        assert account(user) == a.json
    living(second)
    living(user)


def test_name_refused(user):
    for name, code in (("", "too_short"), ("x" * 101, "too_long"), (5, "invalid_type"),
                       (["a"], "invalid_type"), (True, "invalid_type")):
        assert patch(user, {"name": name}).expect(422).fields == {"name": {code}}
    assert account(user)["name"] is None


def test_merge_patch_media_type(user):
    patch(user, {"name": "M"}, media="application/merge-patch+json").expect(200)
    patch(user, {"name": "N"}, media="text/plain").expect(415)
    patch(user, b"[]").expect(400, "invalid_json")
    patch(user, b'{"name":"a","name":"b"}').expect(400, "invalid_json")
    assert account(user)["name"] == "M"


def test_strict(user):
    a = patch(user, {"name": "x", "password": "y"}, headers={"Prefer": "handling=strict"})
    assert a.expect(422).fields == {"password": {"unknown_field"}}
    assert account(user)["name"] is None


# --- the e-mail ---------------------------------------------------------------------------------


def test_email(http, stack, user):
    """All other sessions end, this one goes on; the old e-mail opens nothing."""
    second, old, new = another(user), user.email, fresh_email("Moved.To")
    a = change_email(user, f" {new}\t").expect(200)
    assert a.json == {**user.auth["user"], "email": new}
    dead(second)
    assert user.alive()
    living(user)
    assert user.email == new and claims_of(user.access)["email"] == new
    login(http, old).expect(401, "invalid_credentials")
    for form in (new, new.upper()):
        assert login(http, form).expect(200).json["user"]["email"] == new
    register(http, email=old)  # it is free again
    assert "email_changed" in events(stack, user)
    assert stack.sql.run(f"select email from taskcell.user_emails where user_id = '{user.id}'") \
        == [[new.lower()]]


def test_email_with_name(user):
    new = fresh_email()
    a = change_email(user, new, name="Both").expect(200)
    assert (a.json["email"], a.json["name"]) == (new, "Both")
    assert account(user) == a.json


def test_letter_case_only(http, user):
    second = another(user)
    new = user.email.upper()
    assert change_email(user, new).expect(200).json["email"] == new
    living(user)
    assert account(user)["email"] == new
    login(http, new.lower()).expect(200)
    assert not second.alive()


def test_the_same_email_again(http, user):
    assert change_email(user, user.email).expect(200).json == user.auth["user"]
    living(user)
    login(http, user.email).expect(200)


def test_back_and_forth(http, user):
    first, second = user.email, fresh_email()
    for email in (second, first, second, first):
        change_email(user, email).expect(200)
    living(user)
    login(http, first).expect(200)
    login(http, second).expect(401)


def test_email_needs_the_password(http, user):
    second, new = another(user), fresh_email()
    for body in ({"email": new}, {"email": new, "name": "x"}, {"email": user.email}):
        assert patch(user, body).expect(422).fields == {"current_password": {"required"}}
    for wrong in (WRONG, "x", user.password + " ", user.password.upper()):
        change_email(user, new, wrong).expect(403, "wrong_password")
    a = patch(user, {"email": new, "current_password": 5}).expect(422)
    assert a.fields == {"current_password": {"invalid_type"}}
    assert account(user) == user.auth["user"]
    living(second)
    login(http, user.email).expect(200)
    login(http, new).expect(401)


@pytest.mark.parametrize("email,code", [
    ("", None), ("nobody", "invalid_format"), ("@example.org", "invalid_format"),
    ("a b@example.org", "invalid_format"), ("a@localhost", "invalid_format"),
    ("ü@example.org", "invalid_format"), ("a" * 65 + "@example.org", "invalid_format"),
    ("a@" + "d" * 300 + ".org", "too_long"), (5, "invalid_type"), (None, None),
    ("a@example.org\r\nBcc: b@example.org", "invalid_format"),
])
def test_email_refused(user, email, code):
    a = patch(user, {"email": email, "current_password": user.password}).expect(422)
    assert set(a.fields) == {"email"}
    assert code is None or a.fields == {"email": {code}}
    assert account(user) == user.auth["user"]


def test_a_taken_email(http, user, other):
    second = another(user)
    for form in (other.email, other.email.upper(), f" {other.email} "):
        change_email(user, form, name="Not kept").expect(409, "email_taken")
    assert account(user) == user.auth["user"]
    living(user)
    living(second)
    living(other)
    login(http, user.email).expect(200)
    # Whether it is taken is told to nobody who does not know the password.
    taken = change_email(user, other.email, WRONG)
    free = change_email(user, fresh_email(), WRONG)
    assert taken.bare() == free.bare()


def test_racers_for_one_email(http, stack):
    for _ in range(3):
        people = [register(http) for _ in range(6)]
        email = fresh_email("wanted")

        def work(i):
            if i == 6:
                return http.request("POST", "/api/auth/register",
                                    {"email": email, "password": PASSWORD})  # noqa: B023
            return change_email(people[i], email)  # noqa: B023

        statuses = sorted(a.status for a in at_once(7, work))
        assert statuses[0] in (200, 201) and statuses[1:] == [409] * 6
        owner = stack.sql.value(f"select user_id from taskcell.user_emails where email = '{email}'")
        who = login(http, email).expect(200).json["user"]
        assert (who["id"], who["email"]) == (owner, email)
        for p in people:
            assert p.alive()
            mine = account(p)["email"]
            assert (mine == email) == (p.id == owner)
            assert login(http, mine).expect(200).json["user"]["id"] == p.id
        assert stack.sql.value(
            "select count(*) from taskcell.users u full join taskcell.user_emails e "
            "on e.user_id = u.id where lower(u.email) is distinct from e.email") == "0"


def test_two_swap_at_once(http, stack):
    """Neither may take what the other still has, and no deadlock is answered."""
    for _ in range(3):
        a, b = register(http), register(http)
        answers = at_once(2, lambda i: change_email((a, b)[i], (b, a)[i].email))  # noqa: B023
        assert [x.status for x in answers] == [409, 409] or \
            sorted(x.status for x in answers) in ([200, 409], [409, 503])
        assert stack.sql.value(
            "select count(*) from taskcell.users u full join taskcell.user_emails e "
            "on e.user_id = u.id where lower(u.email) is distinct from e.email") == "0"


def test_changes_of_one_account_that_race(http, stack, user):
    """From two sessions: one ends the other, so one wins, and there is one e-mail afterwards."""
    for _ in range(3):
        pair = [another(user), another(user)]
        emails = [fresh_email("race"), fresh_email("race")]
        answers = at_once(2, lambda i: change_email(pair[i], emails[i]))  # noqa: B023
        won = [i for i in (0, 1) if answers[i].status == 200]
        assert len(won) == 1, answers
        lost = answers[1 - won[0]]
        assert lost.status in (401, 403, 503) and (lost.status != 401 or lost.code ==
                                                   "session_ended"), lost
        user = User(http, login(http, emails[won[0]]).expect(200).json, PASSWORD)
        login(http, emails[1 - won[0]]).expect(401)
        assert stack.sql.run("select email from taskcell.user_emails "
                             f"where user_id = '{user.id}'") == [[emails[won[0]]]]


# --- the password -------------------------------------------------------------------------------


def test_password(http, stack, user):
    """Every session ends, the caller's too; the answer is a new one."""
    second, task = another(user), user.create("kept")
    fourth = refresh(http, second.refresh).expect(200).json  # second.refresh is in the grace now
    a = change_password(user).expect(200)
    assert a.header("Cache-Control") == "no-store"
    assert set(a.json) == set(user.auth) and a.json["user"] == user.auth["user"]
    fresh = User(http, a.json, NEW)
    assert fresh.sid not in (user.sid, second.sid)
    for token in (user.refresh, second.refresh, fourth["refresh_token"]):
        refresh(http, token).expect(401, "session_ended")
    for token in (user.access, second.access, fourth["access_token"]):
        http.request("GET", "/api/me/tasks", token=token).expect(401, "session_ended")
    assert fresh.tasks() == [task]
    living(fresh)
    login(http, user.email).expect(401, "invalid_credentials")
    login(http, user.email, NEW).expect(200)
    assert "password_changed" in events(stack, user)
    assert stack.sql.value("select changed_at > now() - interval '1 minute' from "
                           f"taskcell.credentials where user_id = '{user.id}'") == "t"


def test_old_refresh_token_inside_the_grace_gets_nothing_new(http, user):
    """The token was advanced a moment ago: the grace must not lead into the new session."""
    old = user.refresh
    living(user)
    fresh = User(http, change_password(user).expect(200).json, NEW)
    for token in (old, user.refresh):
        a = refresh(http, token).expect(401, "session_ended")
        assert fresh.access not in a.body.decode()
    living(fresh)


def test_the_current_password_is_needed(http, stack, user):
    before = stack.sql.run(f"select * from taskcell.credentials where user_id = '{user.id}'")
    for wrong in (WRONG, "x", user.password.upper(), user.password + " "):
        change_password(user, wrong).expect(403, "wrong_password")
    assert user.call("POST", CHANGE, {}).expect(422).fields == {
        "current_password": {"required"}, "new_password": {"required"}}
    a = user.call("POST", CHANGE, {"current_password": 5, "new_password": []}).expect(422)
    assert a.fields == {"current_password": {"invalid_type"}, "new_password": {"invalid_type"}}
    assert user.call("POST", CHANGE, {"current_password": user.password}).expect(422).fields == {
        "new_password": {"required"}}
    user.call("POST", CHANGE).expect(400)
    assert stack.sql.run(
        f"select * from taskcell.credentials where user_id = '{user.id}'") == before
    living(user)
    assert "password_refused" in events(stack, user)


@pytest.mark.parametrize("new,code", [
    ("short12", "too_short"), ("x9" * 64 + "y", "too_long"), ("password", "too_common"),
    ("PassWord1", "too_common"), ("", "too_short"),
])
def test_new_password_refused(http, user, new, code):
    a = change_password(user, new=new).expect(422)
    assert a.fields == {"new_password": {code}}
    living(user)
    login(http, user.email).expect(200)


def test_new_password_with_the_name_of_the_email(http):
    user = register(http, email=fresh_email("bartholomew"))
    name = user.email.split("@", maxsplit=1)[0]
    assert change_password(user, new=f"My{name}!").expect(422).fields == {
        "new_password": {"contains_email"}}


def test_unicode_forms_are_one_password(http, user):
    """NFKC: what another keyboard composes differently."""
    composed, decomposed, wide = "Gr\u00fc\u00dfe-an-\u00c5se", "Gru\u0308\u00dfe-an-A\u030ase", \
        "\uff27r\u00fc\u00dfe-an-\u212bse"
    change_password(user, new=composed).expect(200)
    for form in (composed, decomposed, wide):
        login(http, user.email, form).expect(200)
    login(http, user.email, "Gruße-an-Ase").expect(401)


def test_changes_that_race(http, user):
    """One wins; whoever lost has changed nothing."""
    for _ in range(3):
        pair = [another(user), another(user)]
        words = ["first new pass phrase", "second new pass phrase"]
        answers = at_once(2, lambda i: change_password(pair[i], new=words[i]))  # noqa: B023
        won = [i for i in (0, 1) if answers[i].status == 200]
        assert len(won) == 1, answers
        assert answers[1 - won[0]].status in (401, 403)
        login(http, user.email, words[1 - won[0]]).expect(401)
        user = User(http, login(http, user.email, words[won[0]]).expect(200).json, words[won[0]])
        assert user.alive(answers[won[0]].json["access_token"])
        change_password(user, new=PASSWORD).expect(200)
        user = User(http, login(http, user.email).expect(200).json, PASSWORD)


def test_logins_that_race_a_change(http, user):
    """Of sessions that began with the old password none is left."""
    for _ in range(2):
        got = at_once(8, lambda i: change_password(user) if i == 4  # noqa: B023
                      else login(http, user.email))  # noqa: B023
        fresh = User(http, got.pop(4).expect(200).json, NEW)
        assert {a.status for a in got} <= {200, 401}
        assert not any(user.alive(a.json["access_token"]) for a in got if a.status == 200)
        living(fresh)
        user = User(http, change_password(fresh, new=PASSWORD).expect(200).json, PASSWORD)


def test_change_that_races_a_rehash(http, make_stack, user):
    """A login that rehashes meanwhile changes the hash but not the password."""
    strong = make_stack(scrypt_cost=11, workers=1, auth_workers=2)
    got = at_once(4, lambda i: change_password(user) if i == 2 else login(strong.http, user.email))
    fresh = User(http, got.pop(2).expect(200).json, NEW)
    living(fresh)
    assert {a.status for a in got} <= {200, 401}


# --- deleting -----------------------------------------------------------------------------------


def tables_with_a_user(stack):
    found = [r[0] for r in stack.sql.run(
        "select table_name from information_schema.columns where table_schema = 'taskcell' "
        "and column_name = 'user_id' order by 1")]
    assert {"tasks", "sessions", "credentials", "user_emails", "audit"} <= set(found)
    return found


def rows_of(stack, user):
    counts = {t: int(stack.sql.value(
        f"select count(*) from taskcell.{t} where user_id = '{user.id}'"))
        for t in tables_with_a_user(stack)}
    counts["users"] = int(stack.sql.value(
        f"select count(*) from taskcell.users where id = '{user.id}'"))
    return counts


def test_delete(http, stack, user, other):
    second = another(user)
    for i in range(5):
        user.create(f"t{i}")
    kept = other.create("stays")
    patch(user, {"name": "Somebody To Forget"}).expect(200)
    others = rows_of(stack, other)
    assert rows_of(stack, user)["tasks"] == 5
    a = delete(user).expect(204)
    assert a.header("Cache-Control") == "no-store"
    # One row says that it happened, without an address.
    left = rows_of(stack, user)
    assert left.pop("audit") == 1 and set(left.values()) == {0}, left
    (row,) = stack.sql.run("select event, ip, user_agent, session_id, detail from taskcell.audit "
                           f"where user_id = '{user.id}'")
    assert row[:3] == ["account_deleted", "", ""] and user.email not in "".join(row)
    # Nowhere in the database is the e-mail any more, or the name.
    for table in stack.sql.run("select table_name from information_schema.tables "
                               "where table_schema = 'taskcell'"):
        found = stack.sql.value(f"select count(*) from taskcell.{table[0]} t "
                                f"where t::text ilike '%{user.email}%' "
                                "or t::text like '%Somebody To Forget%'")
        assert found == "0", table
    for s in (user, second):
        s.call("GET", "tasks").expect(401, "session_ended")
        s.call("POST", "tasks", {"title": "x"}).expect(401, "session_ended")
        refresh(http, s.refresh).expect(401)
    login(http, user.email).expect(401, "invalid_credentials")
    # Others have what they had; the e-mail is free, and it is somebody new who takes it.
    assert rows_of(stack, other) == others and other.tasks() == [kept]
    living(other)
    again = register(http, email=user.email)
    assert again.id != user.id and again.tasks() == []
    assert not user.alive()


def test_delete_needs_the_password(http, stack, user):
    task = user.create()
    for wrong in (WRONG, "x", user.password.upper()):
        delete(user, wrong).expect(403, "wrong_password")
    assert user.call("DELETE", ACCOUNT, {}).expect(422).fields == {"password": {"required"}}
    assert user.call("DELETE", ACCOUNT, {"password": None}).status == 422
    assert user.call("DELETE", ACCOUNT, {"password": 5}).expect(422).fields == {
        "password": {"invalid_type"}}
    user.call("DELETE", ACCOUNT).expect(400)
    user.call("DELETE", ACCOUNT, {"current_password": user.password}).expect(422)
    assert user.tasks() == [task]
    living(user)
    assert events(stack, user).count("password_refused") == 3
    login(http, user.email).expect(200)


def test_deletions_that_race(user):
    answers = at_once(4, lambda _: delete(user))
    statuses = sorted(a.status for a in answers)
    assert statuses == [204, 401, 401, 401], statuses


def test_writes_that_race_a_deletion(http, stack):
    """Each is done before it or refused after it; nothing of the user is left."""
    for _ in range(3):
        user = register(http)

        def work(i):
            if i == 3:
                return delete(user)  # noqa: B023
            if i % 3 == 0:
                return login(http, user.email)  # noqa: B023
            if i % 3 == 1:
                return refresh(http, user.refresh)  # noqa: B023
            return user.call("POST", "tasks", {"title": "race"})  # noqa: B023

        answers = at_once(12, work)
        answers[3].expect(204)
        assert {a.status for a in answers} <= {200, 201, 204, 401}, answers
        left = rows_of(stack, user)
        left.pop("audit")
        assert set(left.values()) == {0}, left


def test_delete_with_the_email_that_was_changed(http, stack, user):
    """The row of the e-mail that goes is the present one."""
    old, new = user.email, fresh_email()
    change_email(user, new).expect(200)
    taker = register(http, email=old)
    delete(user).expect(204)
    assert rows_of(stack, user)["user_emails"] == 0
    living(taker)
    assert login(http, old).expect(200).json["user"]["id"] == taker.id
    register(http, email=new)


# --- export -------------------------------------------------------------------------------------


def test_export(http, stack, user, other):
    """Everything that is kept, but no secret and nobody else."""
    tasks = [user.create(f"Tâche {i} \"quoted\"", description="line\n\u2028" if i else None,
                         completed=bool(i % 2)) for i in range(4)]
    ended, second = another(user, "127.0.0.8"), another(user)
    user.call("DELETE", f"/api/auth/sessions/{ended.sid}").expect(204)
    login(http, user.email, WRONG).expect(401)
    patch(user, {"name": "Ada"}).expect(200)
    other.create("not yours")
    gone = user.create("gone")
    user.call("DELETE", f"tasks/{gone['id']}").expect(200)
    a = user.call("GET", EXPORT).expect(200)
    assert a.header("Cache-Control") == "no-store"
    doc = a.json
    text = a.body.decode()
    assert set(doc) == {"user", "account", "sessions", "tasks", "trash", "audit"}
    (trashed,) = doc["trash"]
    assert trashed["id"] == gone["id"] and trashed["title"] == "gone" and trashed["deleted_at"]
    assert set(doc["account"]) == {"updated_at", "password_changed_at"}
    assert all(set(e) == {"at", "event", "session_id", "ip", "user_agent", "detail"}
               for e in doc["audit"])
    assert doc["user"]["id"] == user.id and doc["user"]["name"] == "Ada"
    assert doc["user"]["email"] == user.email
    assert sorted(t["id"] for t in doc["tasks"]) == sorted(t["id"] for t in tasks)
    by_id = {t["id"]: t for t in doc["tasks"]}
    for t in tasks:
        assert {k: by_id[t["id"]][k] for k in t} == t
        check_task(by_id[t["id"]], user)
    assert {s["id"] for s in doc["sessions"]} == {user.sid, second.sid, ended.sid}
    assert {s["ip"] for s in doc["sessions"]} == {"127.0.0.1", "127.0.0.8"}
    # What the audit holds of the person is part of it.
    assert {"registered", "login", "login_failed", "session_ended"} == \
        {e["event"] for e in doc["audit"]}
    assert "127.0.0.8" in {e["ip"] for e in doc["audit"]}
    (row,) = stack.sql.run("select password_hash from taskcell.credentials "
                           f"where user_id = '{user.id}'")
    hidden = [row[0], row[0].split("$")[-1], user.access, user.refresh, user.password, other.id,
              other.email, "not yours", "scrypt"]
    assert not [h for h in hidden if h in text]
    assert all(TIME.fullmatch(x) for k, x in _members(doc) if k.endswith("_at") and x), doc


def _members(value):
    if isinstance(value, dict):
        for k, v in value.items():
            if isinstance(v, (str, type(None))):
                yield k, v
            else:
                yield from _members(v)
    elif isinstance(value, list):
        for v in value:
            yield from _members(v)


def test_export_of_a_new_account(user):
    doc = user.call("GET", EXPORT).expect(200).json
    assert doc["tasks"] == doc["trash"] == [] and len(doc["sessions"]) == 1
    user.call("HEAD", EXPORT).expect(200)


def test_export_of_many(user, stack):
    """More than pages of each kind, in one document."""
    stack.sql.run(
        "insert into taskcell.tasks (user_id, id, title, description, version) "
        f"select '{user.id}', gen_random_uuid(), 'task ' || i, repeat('ü', 200), i "
        "from generate_series(1, 2500) i")
    stack.sql.run(f"""
        insert into taskcell.trash
               (user_id, id, title, version, created_at, updated_at, deleted_at)
        select '{user.id}', gen_random_uuid(), case when i > 9 then 'gone ' || i end, 2500 + i,
               now(), now(), now() - i / 3 * interval '1 h' from generate_series(1, 1209) i;
        insert into taskcell.audit (user_id, event, at, detail)
        select '{user.id}', 'login', now() + i / 3 * interval '1 s', i
          from generate_series(1, 1200) i""")
    doc = user.call("GET", EXPORT).expect(200).json
    assert sorted(int(t["title"].split()[1]) for t in doc["trash"]) == list(range(10, 1210))
    assert sorted(int(e["detail"] or 0) for e in doc["audit"]) == list(range(1201))
    assert len(doc["tasks"]) == 2500
    assert {t["title"] for t in doc["tasks"]} == {f"task {i}" for i in range(1, 2501)}


def test_nobody_elses(user, other):
    """There is no way to name another account in these routes."""
    for method, path, body in (("GET", ACCOUNT, None), ("GET", EXPORT, None),
                               ("PATCH", ACCOUNT, {"name": "mine", "id": other.id,
                                                   "user_id": other.id})):
        a = user.call(method, f"{path}?user_id={other.id}", body).expect(200)
        assert other.id not in a.body.decode() and user.id in a.body.decode()
    assert account(other) == other.auth["user"]
    user.http.request("GET", f"/api/{other.id}/account", token=user.access).expect(404)
    assert json.dumps(account(user)).count(NEVER) == 0
