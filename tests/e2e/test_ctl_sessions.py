"""taskcellctl session, invite, audit, sweep, and how command lines are read."""

import hashlib
import os
import re
import subprocess

import pytest

import client
from client import PASSWORD, User, another, fresh_email, login, refresh, register, remember_secret
from ctl import add_user, done, fields, refused, run

DAY = "interval '1 day'"


# --- sessions


def test_list_sessions(stack, http):
    a = http.request("POST", "/api/auth/register",
                     {"email": fresh_email(), "password": PASSWORD},
                     headers={"User-Agent": "Browser/1  with blanks"}, source="127.0.51.1")
    user = User(http, a.expect(201).json, PASSWORD, "127.0.51.1")
    second = another(user, "127.0.51.2")
    rows = fields(done(stack, "session", "list", user.email))
    assert [r[0] for r in rows] == [second.sid, user.sid], "the last used first"
    assert [r[4] for r in rows] == ["127.0.51.2", "127.0.51.1"]
    assert rows[1][5].startswith("Browser/1")
    refresh(http, user.refresh).expect(200)
    rows = fields(done(stack, "session", "list", user.id))
    assert [r[0] for r in rows] == [user.sid, second.sid]
    http.request("POST", "/api/auth/logout", token=second.access).expect(200)
    assert [r[0] for r in fields(done(stack, "session", "list", user.id))] == [user.sid]
    stack.sql.run(f"update taskcell.sessions set user_agent = E'a\\x1b[2J' where id = '{user.sid}'")
    assert "a?[2J" in done(stack, "session", "list", user.id)
    done(stack, "user", "disable", user.id)
    assert fields(done(stack, "session", "list", user.id)) == []


def test_end_one_session(stack, http, user, other):
    second = another(user)
    refused(stack, "session", "end", user.email, other.sid, says="there is none")
    refused(stack, "session", "end", user.email, client.NEVER, says="there is none")
    refused(stack, "session", "end", user.email, "x", status=64)
    assert user.alive() and second.alive() and other.alive()
    done(stack, "session", "end", user.email, second.sid)
    second.call("GET", "tasks").expect(401, "session_ended")
    refresh(http, second.refresh).expect(401, "session_ended")
    assert user.alive() and other.alive()
    refused(stack, "session", "end", user.email, second.sid, says="there is none")


def test_end_all_of_a_user(stack, http, user, other):
    second = another(user)
    assert done(stack, "session", "end", user.email) == "2 sessions ended\n"
    for u in (user, second):
        u.call("GET", "tasks").expect(401, "session_ended")
        refresh(http, u.refresh).expect(401, "session_ended")
    assert other.alive() and another(user).alive()
    assert done(stack, "session", "end", user.email) == "1 session ended\n"
    assert done(stack, "session", "end", user.email) == "0 sessions ended\n"
    refused(stack, "session", "end", fresh_email(), says="there is none")


def test_end_everyones(scratch, make_stack):
    """More users than a transaction takes; with a row in the audit for those who had a session."""
    url, sql = scratch
    s = make_stack.ctl("migrate", database=url) and make_stack(
        database=url, workers=1, auth_workers=1)
    users = [register(s.http) for _ in range(3)]
    done(s, "session", "end", users[2].id)
    sql.run("""
        create temp table p as select gen_random_uuid() as id from generate_series(1, 2500);
        insert into taskcell.users (id, email) select id, id || '@example.org' from p;
        insert into taskcell.credentials (user_id, password_hash) select id, 'x' from p;
        insert into taskcell.sessions
               (user_id, id, epoch, key_id, idle_expires_at, expires_at, ip)
        select id, id, 0, 'k', now() + interval '1 h', now() + interval '1 h', '' from p limit 2100
        """)
    refused(s, "session", "end", status=64)
    refused(s, "session", "end", users[0].id, "--all", status=64)
    assert users[0].alive()
    assert done(s, "session", "end", "--all") == "2102 sessions ended\n"
    for u in users[:2]:
        u.call("GET", "tasks").expect(401, "session_ended")
        refresh(s.http, u.refresh).expect(401, "session_ended")
        assert another(u).alive()
    assert sql.value("select count(*) from taskcell.credentials where epoch = 0") == "0"
    assert sql.value("select count(*) from taskcell.audit where event = 'sessions_ended' "
                     "and detail = 'taskcellctl'") == "2103"
    assert done(s, "session", "end", "--all") == "2 sessions ended\n"


# --- invitations


def test_invitations(stack, make_stack):
    s = make_stack(registration="invite", workers=1, auth_workers=1)
    code = done(s, "invite", "add", "--uses", "2", "--note", "for \x1b[1mAnn").strip()
    remember_secret(code)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", code)
    digest = hashlib.sha256(code.encode()).hexdigest()
    rows = {r[0]: r for r in fields(done(s, "invite", "list"))}
    assert rows[digest[:12]][3:] == ["2", "for ?[1mAnn"]
    assert code not in stack.sql.value("select string_agg(i::text, '') from taskcell.invites i")

    register(s.http, invite=code)
    assert {r[0]: r[3] for r in fields(done(s, "invite", "list"))}[digest[:12]] == "1"
    for wrong in (digest[:7], digest.upper(), "zzzzzzzz", "%%%%%%%%", ""):
        refused(s, "invite", "delete", wrong, status=64)
    refused(s, "invite", "delete", "0" * 64, says="there is none")
    done(s, "invite", "delete", digest[:12])
    body = {"email": fresh_email(), "password": PASSWORD, "invite": code}
    s.http.request("POST", "/api/auth/register", body).expect(403, "invalid_invite")
    refused(s, "invite", "delete", digest, says="there is none")


def test_an_invitation_is_good_once_and_for_a_week(stack, make_stack):
    s = make_stack(registration="invite", workers=1, auth_workers=1)
    code = done(s, "invite", "add").strip()
    remember_secret(code)
    digest = hashlib.sha256(code.encode()).hexdigest()
    assert stack.sql.run(
        "select uses_left, round(extract(epoch from expires_at - created_at) / 86400) "
        f"from taskcell.invites where digest = '{digest}'") == [["1", "7"]]
    register(s.http, invite=code)
    body = {"email": fresh_email(), "password": PASSWORD, "invite": code}
    s.http.request("POST", "/api/auth/register", body).expect(403, "invalid_invite")


def test_a_digest_that_is_not_unique(stack):
    stack.sql.run("insert into taskcell.invites (digest, expires_at, uses_left) select "
                  f"'deadbeef' || i, now() + {DAY}, 1 from generate_series(1, 3) i")
    refused(stack, "invite", "delete", "deadbeef", says="several")
    assert stack.sql.value(
        "select count(*) from taskcell.invites where digest like 'deadbeef%'") == "3"
    for i in (1, 2, 3):
        stack.sql.run(f"delete from taskcell.invites where digest = 'deadbeef{i}'")


@pytest.mark.parametrize("options", [
    ["--uses", "0"], ["--uses", "-1"], ["--uses", "x"], ["--uses", "1000001"], ["--uses", ""],
    ["--days", "0"], ["--days", "3651"], ["--days", "99999999999999999999"], ["--note", "\udcff"],
])
def test_bad_invitations(stack, options):
    before = stack.sql.value("select count(*) from taskcell.invites")
    refused(stack, "invite", "add", *options, status=64)
    assert stack.sql.value("select count(*) from taskcell.invites") == before


# --- audit


def test_audit_shows_the_acts(stack, http):
    email = fresh_email("audited")
    id_ = add_user(stack, email)
    a = http.request("POST", "/api/auth/login", {"email": email, "password": PASSWORD},
                     headers={"User-Agent": "Agent/7"}, source="127.0.52.1").expect(200)
    user = User(http, a.json, PASSWORD, "127.0.52.1")
    failed = login(http, email, "wrong " + PASSWORD, "127.0.52.2").expect(401)
    done(stack, "session", "end", email, user.sid)
    done(stack, "user", "disable", email)
    done(stack, "user", "disable", email)
    done(stack, "user", "enable", email)
    login(http, email).expect(200)
    done(stack, "session", "end", email)
    rows = fields(done(stack, "audit", email))
    assert [r[1] for r in reversed(rows)] == [
        "registered", "login", "login_failed", "session_ended", "account_disabled",
        "account_enabled", "login", "sessions_ended"]
    assert all(r[3] == id_ and r[7] == email and client.TIME.fullmatch(r[0]) for r in rows)
    by_event = {r[1]: r for r in reversed(rows[1:])}
    assert by_event["login_failed"][2] == "127.0.52.2"
    assert by_event["login_failed"][5] == failed.request_id
    first = rows[-2]
    assert first[2] == "127.0.52.1" and first[4] == user.sid and first[8] == "Agent/7"
    for event in ("registered", "session_ended", "account_disabled"):
        assert by_event[event][2] == "-" and by_event[event][6] == "taskcellctl"
    assert by_event["session_ended"][4] == user.sid

    assert [r[1] for r in fields(done(stack, "audit", id_, "--event", "login"))] == ["login"] * 2
    assert len(fields(done(stack, "audit", "--limit=3", id_))) == 3
    assert fields(done(stack, "audit", id_, "--event=nonsense")) == []
    done(stack, "user", "delete", email)
    (row,) = fields(done(stack, "audit", id_))
    assert row[1] == "account_deleted" and row[7] == "-"
    refused(stack, "audit", email, says="there is none")


def test_audit_since(stack, user):
    stack.sql.run("insert into taskcell.audit (user_id, event, at) select "
                  f"'{user.id}', 'login', t::timestamptz from unnest(array["
                  "'2026-01-31 23:59:59Z', '2026-02-01 00:00:00Z']) t")
    stack.sql.run(f"insert into taskcell.audit (user_id, event, at) values "
                  f"('{user.id}', 'logout', now() - interval '90 min')")
    def n(*since):
        return len(fields(done(stack, "audit", user.id, "--since", *since)))
    whole = len(fields(done(stack, "audit", user.id)))
    assert (n("2026-02-01"), n("2026-01-31"), n("2026-02-02")) == (whole - 1, whole, whole - 2)
    assert (n("80m"), n("2h"), n("1d")) == (whole - 3, whole - 2, whole - 2)
    for bad in ("", "1", "d", "1y", "-1d", "2026-02-30", "2026-13-01", "2026-1-1", "now",
                "1969-12-31", "2026-01-31T00:00:00Z", "999999999d"):
        refused(stack, "audit", "--since", bad, status=64)
    for bad in ("0", "-1", "x", "100001"):
        refused(stack, "audit", "--limit", bad, status=64)


# --- sweeping


WHAT = ["trash", "tombstones", "idempotency", "sessions", "throttle", "audit", "invites"]


def fill_trash(stack, user):
    """By version: 1 to 1002 from before 90 days (the last with its content, since nobody has swept
    for long), then 2001 from before 30, and the last one of today."""
    stack.sql.run(f"""
        insert into taskcell.trash
               (user_id, id, title, version, created_at, updated_at, deleted_at)
        select '{user.id}', gen_random_uuid(), case when i = 3004 then 'fresh'
                                                    when i > 1001 then 'old' end, i, now(), now(),
               case when i <= 1002 then now() - interval '90 days 1 minute'
                    when i <= 3003 then now() - interval '30 days 1 minute' else now() end
          from generate_series(1, 3004) i;
        update taskcell.users set revision = 3004 where id = '{user.id}';
        insert into taskcell.idempotency (user_id, key, digest, task_id, version, created_at)
        values ('{user.id}', 'old', '', gen_random_uuid(), 1, now() - interval '25 h'),
               ('{user.id}', 'new', '', gen_random_uuid(), 1, now() - interval '23 h')""")


def test_sweep(stack, http, user):
    """In bounded steps, what is past and nothing else."""
    second = another(user)
    stack.sql.run(f"""
        insert into taskcell.sessions
               (user_id, id, epoch, key_id, idle_expires_at, expires_at, ip)
        select '{user.id}', gen_random_uuid(), 0, 'k', now() + {DAY} * (i % 2 * 2 - 1),
               now() - {DAY} * (i % 2 * 2 - 1), '' from generate_series(1, 2300) i;
        insert into taskcell.throttle (key, hits, counted_at, ends_at) values
               ('sweep:old', 1, now() - interval '25 h', now() - interval '24 h'),
               ('sweep:new', 1, now() - interval '23 h', now() - interval '22 h');
        insert into taskcell.audit (user_id, event, at) values
               ('{user.id}', 'login', now() - interval '91 days'),
               ('{user.id}', 'login', now() - interval '89 days');
        insert into taskcell.invites (digest, expires_at, uses_left) values
               ('sweep1', now(), 1), ('sweep2', now() + {DAY}, 0), ('sweep3', now() + {DAY}, 1)""")
    fill_trash(stack, user)
    swept = dict(line.split() for line in done(stack, "sweep").splitlines())
    assert list(swept) == WHAT
    assert int(swept["trash"]) >= 2001 and int(swept["tombstones"]) >= 1002
    assert int(swept["idempotency"]) >= 1
    # content goes after 30 days, the rest after 90, and the feed says so
    assert stack.sql.run(f"""
        select version, title is not null from taskcell.trash where user_id = '{user.id}'
         order by version limit 3""") == [["1003", "f"], ["1004", "f"], ["1005", "f"]]
    assert stack.sql.run(f"""
        select count(*), max(version), count(title), max(title)
          from taskcell.trash where user_id = '{user.id}'""") == [["2002", "3004", "1", "fresh"]]
    assert stack.sql.run(f"select feed_floor from taskcell.users where id = '{user.id}'") == [
        ["1002"]]
    assert [x["title"] for x in user.call("GET", "trash").expect(200).json] == ["fresh"]
    assert stack.sql.run(f"select key from taskcell.idempotency where user_id = '{user.id}'") == [
        ["new"]]
    assert int(swept["sessions"]) >= 2300 and int(swept["throttle"]) >= 1
    assert int(swept["audit"]) >= 1 and int(swept["invites"]) >= 2
    assert user.alive() and second.alive()
    assert stack.sql.value(
        f"select count(*) from taskcell.sessions where user_id = '{user.id}'") == "2"
    assert stack.sql.run("select key from taskcell.throttle where key like 'sweep:%'") == [
        ["sweep:new"]]
    assert stack.sql.value(f"select count(*) from taskcell.audit where user_id = '{user.id}' "
                           "and at < now() - interval '80 days'") == "1"
    assert stack.sql.run("select digest from taskcell.invites where digest like 'sweep%'") == [
        ["sweep3"]]
    assert done(stack, "sweep").split() == [x for what in WHAT for x in (what, "0")]
    stack.sql.run("delete from taskcell.invites where digest = 'sweep3'; "
                  "delete from taskcell.throttle where key = 'sweep:new'")


# --- command lines


@pytest.mark.parametrize("args", [
    [], ["nonsense"], ["user"], ["user", "nonsense"], ["user", "list", "a", "b"], ["user", "show"],
    ["user", "show", "a", "b"], ["user", "show", "--all", "a"], ["user", "show", "-a"],
    ["user", "add"], ["user", "add", "a@example.org", "--name"], ["session", "end", "a", "b", "c"],
    ["session", "end", "--all=1"], ["session", "end", "--al"], ["session", "end", "--", "--all"],
    ["audit", "--limit"], ["sweep", "now"], ["backup"], ["restore"], ["config", "x"],
    ["migrate", "--dry"], ["-x"], ["-c"], ["--nonsense"], ["invite", "list", "-"],
    ["audit"] + ["--limit=1"] * 17, ["session", "end"] + ["x"] * 40,
])
def test_wrong_use(stack, user, args):
    if args[-2:] == ["--", "--all"]:
        refused(stack, *args, status=1, says="there is none")  # a user of that name
    else:
        assert "Try: taskcellctl help" in refused(stack, *args, status=64)
    assert user.alive()


def test_options_stand_anywhere(stack, user):
    for args in (("--limit", "1", user.email), (user.email, "--limit", "1"),
                 (user.email, "--limit=1"), ("--limit=5", "--", user.email)):
        assert fields(done(stack, "audit", *args))[0][1] == "registered"


def test_help_names_every_command(stack):
    text = done(stack, "help")
    for words in ("user list", "user password", "session end", "invite add", "audit", "sweep",
                  "backup FILE", "restore FILE", "key rotate", "hash calibrate",
                  "import better-auth"):
        assert f"  {words}" in text
    assert max(map(len, text.splitlines())) <= 100


def test_output_that_cannot_be_written(stack):
    with open("/dev/full", "wb") as full:
        p = subprocess.run([str(stack.build / "taskcellctl"), "user", "list"],
                           env=stack.environment(), stdout=full, stderr=subprocess.PIPE,
                           check=False, timeout=60)
    assert p.returncode == 1 and os.strerror(28).encode() in p.stderr


def test_settings_are_wanted(stack):
    assert run(stack, "user", "list", database=None).returncode == 1
    assert run(stack, "user", "list", jwt_secret=None).returncode == 0, "needs no key"
