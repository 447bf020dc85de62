"""taskcellctl user: what it does holds for the very next request."""

import hashlib
import os
import pty
import select
import signal
import subprocess
import time

import pytest

import client
from client import PASSWORD, another, fresh_email, login, refresh, register, remember_secret
from ctl import add_user, done, fields, refused, run, set_password
from stack import wait_for

NEW = "quite another passphrase"


def ended(http, user):
    """Whether nothing of a session is of use any more."""
    user.call("GET", "tasks").expect(401, "session_ended")
    assert refresh(http, user.refresh).status == 401
    return True


def shown(stack, who):
    text = done(stack, "user", "show", who)
    return {k.strip(): v.strip() for k, v in (x.split(":", 1) for x in text.splitlines())}


def count(stack, what):
    return int(stack.sql.value(f"select count(*) from taskcell.{what}"))


# --- add


def test_add_then_login(stack, http):
    email = fresh_email("Added")
    id_ = add_user(stack, email, PASSWORD, "--name", "Ann Example")
    a = login(http, email.upper()).expect(200)
    assert a.json["user"]["id"] == id_ and client.UUID7.fullmatch(id_)
    assert a.json["user"]["email"] == email and a.json["user"]["name"] == "Ann Example"
    user = client.User(http, a.json, PASSWORD)
    user.create("first")
    assert shown(stack, email)["tasks"] == "1"


def test_add_without_registration(make_stack):
    s = make_stack(registration="closed", workers=1, auth_workers=1)
    email = fresh_email()
    add_user(s, email)
    login(s.http, email).expect(200)


def test_add_is_normalised_as_logins_are(stack, http):
    email = fresh_email()
    add_user(stack, email, "e\u0301ta\ufb01ll\u00c5ngstro\u0308m")
    login(http, email, "\u00e9tafill\u212bngstr\u00f6m").expect(200)


def test_add_refuses_a_taken_email(stack, user):
    before = count(stack, "users")
    refused(stack, "user", "add", user.email.upper(), line=b"%s\n" % NEW.encode(), says="taken")
    assert count(stack, "users") == before == count(stack, "credentials")
    assert user.alive()


@pytest.mark.parametrize("email", ["", "x", "x@y", "@example.org", "a b@example.org",
                                   "a@example.org\n", "a@ex\u00e4mple.org", "a" * 250 + "@x.org"])
def test_add_refuses_what_is_no_email(stack, email):
    before = count(stack, "users")
    refused(stack, "user", "add", email, line=b"%s\n" % NEW.encode(), says="not an e-mail")
    assert count(stack, "users") == before


@pytest.mark.parametrize("line, says", [
    (b"", "no password"), (b"\n", "too short"), (b"1234567\n", "too short"),
    (b"password123\n", "common"), ("\u00e4".encode() * 129 + b"\n", "too long"),
    (b"x" * 5000 + b"\n", "no password"), (b"no\xff utf-8 at all\n", "UTF-8"),
    (b"a NUL \0 inside\n", "UTF-8"), (b"ctlperson.like\n", "like the e-mail"),
])
def test_passwords_are_judged(stack, http, line, says):
    email = "ctlperson.like@example.org"
    refused(stack, "user", "add", email, line=line, says=says)
    assert stack.sql.value(
        f"select count(*) from taskcell.user_emails where email = '{email}'") == "0"


def test_the_longest_password(stack, http):
    """Without the end of the line, too."""
    email, password = fresh_email(), "\u00e4\U0001f600" * 64
    remember_secret(password)
    done(stack, "user", "add", email, line=password.encode())
    login(http, email, password).expect(200)


@pytest.mark.parametrize("name", ["", "x" * 101, b"\xff\xfe"])
def test_add_refuses_names(stack, name):
    email = fresh_email()
    name = os.fsdecode(name) if isinstance(name, bytes) else name
    refused(stack, "user", "add", email, "--name", name, line=b"%s\n" % NEW.encode(), says="name")
    refused(stack, "user", "show", email, says="there is none")


def test_a_password_is_never_an_argument(stack):
    email = fresh_email()
    for args in ((email, NEW), (email, "--password", NEW), (email, f"--password={NEW}")):
        refused(stack, "user", "add", *args, status=64)
    refused(stack, "user", "show", email, says="there is none")


# --- the terminal


class Terminal:
    """taskcellctl with a terminal of its own, and a person at it."""

    def __init__(self, stack, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(stack.build / "taskcellctl", ["taskcellctl", *args], stack.environment())
        self.seen = ""

    def until(self, text):
        """What is on the screen when `text` has come."""
        deadline = time.monotonic() + 20
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], (text, self.seen)
            try:
                got = os.read(self.fd, 4096)
            except OSError:
                got = b""
            assert got, (text, self.seen)
            self.seen += got.decode()
        seen, self.seen = self.seen, ""
        return seen

    def type(self, text):
        os.write(self.fd, text.encode())

    def rest(self):
        """What else it prints, and how it ended."""
        try:
            while got := os.read(self.fd, 4096):
                self.seen += got.decode()
        except OSError:  # the other end is closed
            pass
        os.close(self.fd)
        return self.seen, os.waitpid(self.pid, 0)[1]


def test_the_terminal_shows_no_password(stack, http):
    remember_secret(NEW)
    email = fresh_email()
    t = Terminal(stack, "user", "add", email)
    assert NEW not in t.until("New password: ")
    t.type(NEW + "\n")
    assert NEW not in t.until("Again: ")
    t.type(NEW + "\n")
    text, status = t.rest()
    assert NEW not in text and os.waitstatus_to_exitcode(status) == 0, text
    login(http, email, NEW).expect(200)


def test_the_terminal_wants_it_twice(stack):
    email = fresh_email()
    t = Terminal(stack, "user", "add", email)
    t.until("New password: ")
    t.type(NEW + "\n")
    t.until("Again: ")
    t.type(NEW + "x\n")
    text, status = t.rest()
    assert "not the same" in text and os.waitstatus_to_exitcode(status) == 1
    refused(stack, "user", "show", email, says="there is none")


def test_an_interrupt_gives_the_echo_back(stack):
    """A shell would go on with a terminal that shows nothing."""
    primary, secondary = pty.openpty()
    email = fresh_email()
    stty = ["stty", "-a"]
    echo = subprocess.run(stty, stdin=secondary, capture_output=True, text=True, check=True).stdout
    p = subprocess.Popen(
        [str(stack.build / "taskcellctl"), "user", "add", email], env=stack.environment(),
        stdin=secondary, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # what a shell ignores for a job in the background would stay ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    prompt = b""
    while not prompt.endswith(b"New password: "):
        prompt += os.read(p.stderr.fileno(), 100)
    now = subprocess.run(stty, stdin=secondary, capture_output=True, text=True, check=True).stdout
    assert "-echo " in now
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=20)
    assert p.returncode == -signal.SIGINT
    assert subprocess.run(stty, stdin=secondary, capture_output=True, text=True,
                          check=True).stdout == echo
    os.close(primary)
    os.close(secondary)
    refused(stack, "user", "show", email, says="there is none")


# --- disable, enable, password


def test_disable_acts_on_the_next_request(stack, http, user, other):
    second = another(user)
    user.create("kept")
    done(stack, "user", "disable", user.email)
    assert ended(http, user) and ended(http, second)
    login(http, user.email).expect(401, "invalid_credentials")
    assert login(http, user.email).bare() == login(http, fresh_email()).bare()
    assert other.alive() and shown(stack, user.email)["disabled"] != "-"
    done(stack, "user", "disable", user.id)  # as it is

    done(stack, "user", "enable", user.email)
    assert shown(stack, user.id)["disabled"] == "-"
    assert ended(http, user), "enabling brings no session back"
    back = another(user)
    assert [t["title"] for t in back.tasks()] == ["kept"]
    assert shown(stack, user.email)["sessions"] == "1"


def test_password_ends_all_sessions(stack, http, user, other):
    second = another(user)
    set_password(stack, user.email, NEW)
    assert ended(http, user) and ended(http, second) and other.alive()
    login(http, user.email).expect(401, "invalid_credentials")
    login(http, user.email, NEW).expect(200)


def test_password_is_judged(stack, http, user):
    refused(stack, "user", "password", user.email, line=b"password123\n", says="common")
    refused(stack, "user", "password", user.email, line=user.email.encode() + b"\n", says="e-mail")
    refused(stack, "user", "password", fresh_email(), line=NEW.encode(), says="there is none")
    assert user.alive()
    login(http, user.email).expect(200)


def test_password_forgets_failures(throttled):
    """Who has forgotten it has tried in vain before."""
    user = register(throttled.http, source="127.0.41.1")
    stranger = "127.0.41.2"
    for _ in range(6):
        login(throttled.http, user.email, "wrong " + PASSWORD, stranger)
    login(throttled.http, user.email, PASSWORD, stranger).expect(429)
    set_password(throttled, user.email, NEW)
    login(throttled.http, user.email, NEW, stranger).expect(200)


# --- delete


def everywhere(sql, text):
    """In how many rows of which tables a text is."""
    found = {}
    for (name,) in sql.run("select relname from pg_class where relkind = 'r' "
                           "and relnamespace = 'taskcell'::regnamespace"):
        n = int(sql.value(f"select count(*) from taskcell.{name} t "
                          f"where position('{text}' in t::text) > 0"))
        if n:
            found[name] = n
    return found


def test_delete_leaves_nothing(throttled):
    http, sql = throttled.http, throttled.sql
    user = register(http, source="127.0.42.1")
    other = register(http, source="127.0.42.1")
    user.create("gone")
    other.create("kept")
    for _ in range(2):
        login(http, user.email, "wrong " + PASSWORD, "127.0.42.2").expect(401)
    before = everywhere(sql, user.id)
    assert {"users", "user_emails", "credentials", "sessions", "tasks", "audit"} <= set(before)
    failures = hashlib.sha256(user.email.encode()).hexdigest()
    assert everywhere(sql, failures) == {"throttle": 1}

    done(throttled, "user", "delete", user.email.upper())
    assert everywhere(sql, failures) == {}
    user.call("GET", "tasks").expect(401, "session_ended")
    refresh(http, user.refresh).expect(401)
    login(http, user.email, source="127.0.42.3").expect(401, "invalid_credentials")
    assert everywhere(sql, user.id) == {"audit": 1} and everywhere(sql, user.email) == {}
    assert sql.run("select event, ip, user_agent, request_id from taskcell.audit "
                   f"where user_id = '{user.id}'") == [["account_deleted", "", "", ""]]
    assert [t["title"] for t in other.tasks()] == ["kept"]

    again = register(http, email=user.email, source="127.0.42.4")
    assert again.id != user.id and again.tasks() == []
    refused(throttled, "user", "delete", user.id, says="there is none")
    assert again.alive()


def test_delete_waits_for_a_login_under_way(stack, http, user):
    """Its session and its row in the audit, with an address, go as well."""
    sid = "01890000-0000-7000-8000-00000000abcd"
    sql = f"""insert into taskcell.sessions
                     (user_id, id, epoch, key_id, idle_expires_at, expires_at, ip)
              values ('{user.id}', '{sid}', 0, 'k', now() + interval '1 h',
                      now() + interval '1 h', '192.0.2.77');
              insert into taskcell.audit (user_id, event, session_id, ip)
              values ('{user.id}', 'login', '{sid}', '192.0.2.77')"""
    with stack.sql.holding(sql) as login_under_way:
        p = subprocess.Popen([str(stack.build / "taskcellctl"), "user", "delete", user.id],
                             env=stack.environment(), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        wait_for("the deletion to wait", lambda: stack.sql.value(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
            "and query like '%account_deleted%'") == "1")
        login_under_way.psql.communicate("commit;\n\\q\n", timeout=20)
        out, err = p.communicate(timeout=20)
    assert p.returncode == 0, (out, err)
    assert everywhere(stack.sql, user.id) == {"audit": 1}
    assert everywhere(stack.sql, "192.0.2.77") == {}


# --- list and show


def test_list(stack, http, user):
    stem = f"lister{os.getpid()}"
    users = [register(http, email=f"{c}.{stem}@Example.org") for c in "cab"]
    users[0].create()
    another(users[0])
    done(stack, "user", "disable", users[1].email)
    rows = fields(done(stack, "user", "list", stem.upper()))
    assert [r[6] for r in rows] == [f"{c}.{stem}@Example.org" for c in "abc"]
    by_id = {r[0]: r for r in rows}
    assert by_id[users[0].id][3:6] == ["2", "1", "active"]
    assert by_id[users[1].id][3:6] == ["0", "0", "disabled"]
    assert client.TIME.fullmatch(rows[0][1]) and client.TIME.fullmatch(rows[0][2])
    assert fields(done(stack, "user", "list", "nobody.has.this@")) == []
    assert fields(done(stack, "user", "list", f"%{stem}")) == [], "a text, not a pattern of SQL"


def test_list_more_than_a_page(stack):
    """All of them, once, in order."""
    stem = f"pager{os.getpid()}"
    stack.sql.run(f"""
        create temp table p as select gen_random_uuid() as id,
               'p' || lpad(i::text, 4, '0') || '.{stem}@example.org' as email
          from generate_series(1, 401) i;
        insert into taskcell.users (id, email) select id, email from p;
        insert into taskcell.user_emails (user_id, email) select id, email from p;
        insert into taskcell.credentials (user_id, password_hash) select id, 'x' from p""")
    found = [r[6] for r in fields(done(stack, "user", "list", stem))]
    assert found == [f"p{i:04}.{stem}@example.org" for i in range(1, 402)]
    stack.sql.run(f"delete from taskcell.user_emails where email like '%{stem}@example.org'; "
                  f"delete from taskcell.users where email like '%{stem}@example.org'")


def test_show_what_is_odd(stack, http):
    """A name may hold anything; a terminal must not obey it."""
    user = register(http, name="a\u001b[2Jb\u009bc\nd")
    text = done(stack, "user", "show", user.id.upper())
    assert "name:      a?[2Jb?c?d\n" in text and user.email in text
    assert shown(stack, user.id) == shown(stack, user.email)
    for who in (fresh_email(), client.NEVER, "", "'", "%", "x" * 10000):
        refused(stack, "user", "show", who, says="there is none")


def test_without_a_database(stack, user):
    nowhere = "postgresql://taskcell@127.0.0.1:1/taskcell?connect_timeout=1"
    for args in (("user", "list"), ("user", "disable", user.email), ("session", "end", "--all")):
        p = run(stack, *args, database=nowhere)
        assert p.returncode == 1 and b"no connection" in p.stderr
    assert user.alive()
