"""taskcellctl backup and restore: nothing is lost, nothing is left half-way, and no token of before
is of use after."""

import os
import pathlib
import shlex
import shutil
import stat
import subprocess

import pytest

from client import PASSWORD, User, another, login, refresh, register
from ctl import done, refused, run

COUNTS = """select c.relname, substring(query_to_xml(format('select count(*) as n from taskcell.%I',
    relname), false, false, '')::text from '<n>(\\d+)')
  from pg_class c where relnamespace = 'taskcell'::regnamespace and relkind = 'r' order by 1"""


def counts_of(sql):
    return {name: int(n) for name, n in sql.run(COUNTS)}


def counts_in(text):
    return {k: int(v) for k, v in (x.split() for x in text.splitlines()[:-1])}


def data_of(path):
    return subprocess.run(["pg_restore", "--data-only", "-f", "-", str(path)],
                          capture_output=True, text=True, check=True, timeout=60).stdout


def program(directory, name, script):
    """A program of that name to stand before the real one: `$real`."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\nreal={shutil.which(name)}\n{script}\n")
    path.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


def test_back_and_forth(scratch, make_stack, stack, http, tmp_path):
    """Two users with tasks; one refreshes after the dump, one before."""
    url, sql = scratch
    ann, bob = register(http, name="Ann\t\\N\n\\."), register(http)
    ann.create("a task\nCOPY taskcell.tasks (x) FROM stdin;", description="\\.\n\\N\tx")
    bob.create("another")
    before = ann.refresh
    ann.take(refresh(http, ann.refresh).expect(200).json)
    tasks = {u.id: u.tasks() for u in (ann, bob)}

    file = tmp_path / "dump"
    printed = done(stack, "backup", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and os.listdir(tmp_path) == ["dump"]
    counts = counts_of(stack.sql)
    assert dict((k, int(v)) for k, v in (x.split() for x in printed.splitlines())) == counts
    after = refresh(http, bob.refresh).expect(200).json["refresh_token"]

    printed = done(stack, "restore", file, database=url)
    assert "All sessions have been ended" in printed
    got = counts_of(sql)
    assert got.pop("audit") == counts.pop("audit") + 1 and got == counts
    s = make_stack(database=url, workers=2, auth_workers=1)
    for u in (ann, bob):
        s.http.request("GET", "/api/auth/session", token=u.access).expect(401, "session_ended")
    for token in (before, ann.refresh, bob.refresh, after):
        assert refresh(s.http, token).status == 401
    for u in (ann, bob):
        a = login(s.http, u.email).expect(200)
        back = User(s.http, a.json, PASSWORD)
        assert back.id == u.id and back.tasks() == tasks[u.id]
        assert a.json["user"] == u.auth["user"]
        back.create("it goes on")
        u.call("GET", "tasks").expect(200)  # in the old database nothing has changed
    assert sql.value("select count(*) from taskcell.audit where event = 'sessions_ended' "
                     "and detail = 'restored'") == "1"


def test_clients_notice(scratch, make_stack, stack, http, tmp_path):
    """Who knows what was written since the backup is not told that nothing has changed, however
    much is written after."""
    url, _ = scratch
    user = register(http)
    task = user.create("kept")
    file = tmp_path / "dump"
    done(stack, "backup", file)
    lost = user.call("PATCH", f"tasks/{task['id']}", {"title": "lost"}).expect(200)
    listed = user.call("GET", "tasks").expect(200).header("ETag")
    since = user.call("GET", "changes").expect(200).json["next"]
    done(stack, "restore", file, database=url)
    s = make_stack(database=url, workers=2, auth_workers=1)
    back = User(s.http, login(s.http, user.email).expect(200).json, PASSWORD)
    for title in ("kept", "written since"):
        back.call("PATCH", f"tasks/{task['id']}", {"title": title}).expect(200)
        a = back.call("GET", "tasks", headers={"If-None-Match": listed}).expect(200)
        assert [t["title"] for t in a.json] == [title]
        back.call("GET", f"changes?since={since}").expect(410, "gone")
        back.call("PATCH", f"tasks/{task['id']}", {"title": "x"},
                  headers={"If-Match": lost.header("ETag")}).expect(412)
    start = back.call("GET", "changes").expect(200).json
    assert [c["title"] for c in start["changes"]] == [title]
    back.call("GET", f"changes?since={start['next']}").expect(200)


def test_a_dump_by_hand_has_no_rows(stack, user, tmp_path):
    """Why there is a command: the fence holds for the tables' owner."""
    user.create("seen by administrators alone")
    url = stack.settings["database"]
    plain = subprocess.run(["pg_dump", "--schema=taskcell", "-d", url], capture_output=True,
                           text=True, check=False, timeout=60)
    assert plain.returncode != 0 and "row-level security" in plain.stderr
    fenced = subprocess.run(
        ["pg_dump", "--schema=taskcell", "--enable-row-security", "-d", url],
        capture_output=True, text=True, check=True, timeout=60).stdout
    assert "COPY taskcell.tasks" in fenced and "seen by administrators" not in fenced
    done(stack, "backup", tmp_path / "dump")
    assert "seen by administrators" in data_of(tmp_path / "dump")


def test_a_dump_that_lacks_rows_is_refused(stack, user, tmp_path):
    user.create()
    path = program(tmp_path / "bin", "pg_dump", 'unset PGOPTIONS; exec "$real" "$@"')
    refused(stack, "backup", tmp_path / "dump", path=path, says="the dump has 0 rows of tasks")
    assert os.listdir(tmp_path) == ["bin"]


def test_one_moment(stack, user, tmp_path):
    """What is written while it runs is not in it, and does not disturb it."""
    title = "written meanwhile"
    insert = (f"insert into taskcell.tasks (user_id, id, title, version) values ('{user.id}', "
              f"gen_random_uuid(), '{title}', 1)")
    psql = " ".join(map(shlex.quote, [*stack.sql.command, "-c", insert]))
    path = program(tmp_path / "bin", "pg_dump",
                   f'env -u PGOPTIONS {psql} || exit 1\nexec "$real" "$@"')
    done(stack, "backup", tmp_path / "dump", path=path)
    assert [t["title"] for t in user.tasks()] == [title]
    assert title not in data_of(tmp_path / "dump")


def test_no_secret_in_the_arguments(stack, tmp_path):
    """They are for all to see; the environment is not."""
    url = stack.settings["database"].replace("taskcell@", "taskcell:pass%20wor%27d@")
    assert url != stack.settings["database"]
    path = program(tmp_path / "bin", "pg_dump",
                   f'printf "%s\\n" "$@" >{tmp_path}/args; env >{tmp_path}/env; exec "$real" "$@"')
    done(stack, "backup", tmp_path / "dump", path=path,
         database=url + "&application_name=x&sslmode=prefer")
    args = (tmp_path / "args").read_text()
    env = dict(x.split("=", 1) for x in (tmp_path / "env").read_text().splitlines())
    assert "wor'd" not in args and "host" not in args and str(tmp_path) not in args
    assert env["PGPASSWORD"] == "pass wor'd" and env["PGUSER"] == env["PGDATABASE"] == "taskcell"
    assert env["PGHOST"].startswith("/") and env["PGAPPNAME"] == "x"
    assert env["PGSSLMODE"] == "prefer" and "taskcell.admin=on" in env["PGOPTIONS"]


def test_the_same_server_of_a_list(stack, tmp_path):
    """A snapshot is known to one of them alone."""
    path = program(tmp_path / "bin", "pg_dump",
                   f'echo "$PGHOST" >{tmp_path}/host; exec "$real" "$@"')
    head, host = stack.settings["database"].split("host=")
    done(stack, "backup", tmp_path / "dump", path=path,
         database=f"{head}host={tmp_path},{host}&port=5432,5432")
    assert (tmp_path / "host").read_text().strip() == host


def test_options_of_the_configuration_stay(stack, tmp_path):
    path = program(tmp_path / "bin", "pg_dump",
                   f'echo "$PGOPTIONS" >{tmp_path}/options; exec "$real" "$@"')
    url = stack.settings["database"] + "&options=-c%20work_mem%3D5MB"
    done(stack, "backup", tmp_path / "dump", path=path, database=url)
    assert (tmp_path / "options").read_text().split() == [
        "-c", "work_mem=5MB", "-c", "taskcell.admin=on"]


@pytest.mark.parametrize("script, says", [
    ("exit 1", "pg_dump failed"),
    ("kill -KILL $$", "pg_dump failed"),
    ("kill -INT $PPID; kill -INT $$", "pg_dump failed"),  # as a terminal's Control-C
    ("echo nonsense", "pg_restore"),
    ('"$real" "$@" | head -c 3000', "pg_restore"),
    ('"$real" "$@" --exclude-table=taskcell.throttle', "throttle"),
    ('"$real" "$@" --exclude-table-data=taskcell.users', "0 rows of users"),
], ids=range(7))
def test_nothing_is_left_of_a_failure(stack, user, tmp_path, script, says):
    path = program(tmp_path / "bin", "pg_dump", script)
    stack.sql.run("insert into taskcell.throttle values ('backup', 1, now(), now()) "
                  "on conflict do nothing")
    refused(stack, "backup", tmp_path / "dump", path=path, says=says)
    assert os.listdir(tmp_path) == ["bin"]


def test_files_in_the_way(stack, tmp_path):
    file, part = tmp_path / "dump", tmp_path / "dump.part"
    file.write_text("an older one")
    refused(stack, "backup", file, says="not overwritten")
    assert file.read_text() == "an older one"
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    refused(stack, "backup", file, says="not overwritten")
    file.unlink()
    part.write_text("of another run")
    refused(stack, "backup", file, says=".part")
    assert part.read_text() == "of another run" and not file.exists()
    refused(stack, "backup", tmp_path / "none" / "dump", says="No such file")
    refused(stack, "backup", file, path=str(tmp_path), says="")
    part.unlink()
    refused(stack, "backup", file, path=str(tmp_path), says="pg_dump: No such file")
    assert os.listdir(tmp_path) == []


def test_backup_without_a_schema(scratch, stack, tmp_path):
    url, _ = scratch
    refused(stack, "backup", tmp_path / "dump", database=url, says="no tables")
    assert os.listdir(tmp_path) == []


def test_restore_refuses(scratch, stack, user, tmp_path):
    """And leaves the database as it was."""
    url, sql = scratch
    file = tmp_path / "dump"
    done(stack, "backup", file)
    refused(stack, "restore", file, says="has a schema taskcell already")
    assert user.alive()
    whole = file.read_bytes()

    def bad(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path
    script = subprocess.run(["pg_restore", "-f", "-", str(file)], capture_output=True, check=True,
                            timeout=60).stdout
    for path in (tmp_path / "none", bad("empty", b""), bad("script", script),
                 bad("cut", whole[:len(whole) // 2]), bad("header", whole[:100]),
                 pathlib.Path("/dev/null"), tmp_path):
        refused(stack, "restore", path, database=url)
        assert sql.value("select to_regnamespace('taskcell') is null") == "t", path
    sql.run("create schema other; create table other.t (x int)")
    other = tmp_path / "other"
    subprocess.run(["pg_dump", "-Fc", "-f", str(other), "-d", sql.command[-1]], check=True,
                   timeout=60)
    refused(stack, "restore", other, database=url, says="not a back-up of taskcell")
    sql.run("drop schema other cascade")
    done(stack, "restore", file, database=url)


def test_restore_is_all_or_nothing(scratch, stack, user, tmp_path):
    url, sql = scratch
    file = tmp_path / "dump"
    done(stack, "backup", file)
    # Indexes come behind the rows.
    sql.run("create function refuse() returns event_trigger language plpgsql as "
            "$$ begin raise 'no'; end $$; "
            "create event trigger refuse on ddl_command_end when tag in ('CREATE INDEX') "
            "execute function refuse()")
    refused(stack, "restore", file, database=url, says="pg_restore failed")
    assert sql.value("select to_regnamespace('taskcell') is null") == "t"
    sql.run("drop event trigger refuse")
    done(stack, "restore", file, database=url)


def test_restore_of_an_older_schema(scratch, stack, user, tmp_path):
    """Migrates what it brings, and only then the server may use it."""
    url, sql = scratch
    old = tmp_path / "old"
    assert stack.program("taskcellctl", "migrate", database=url).returncode == 0
    sql.run("""
        drop table taskcell.trash, taskcell.idempotency;
        drop index taskcell.tasks_by_version;
        alter table taskcell.tasks drop column priority, drop column due_date, drop column due_at,
            drop column tags, drop column title_key, drop column search;
        alter table taskcell.users drop column feed_floor;
        drop table taskcell.audit, taskcell.invites;
        alter table taskcell.sessions drop column network;
        drop index taskcell.throttle_oldest_first;
        delete from taskcell.migrations where version > 1;
        insert into taskcell.users (id, email)
        values ('01890000-0000-7000-8000-000000000001', 'old@example.org');
        insert into taskcell.credentials (user_id, password_hash)
        values ('01890000-0000-7000-8000-000000000001', 'x')""")
    done(stack, "backup", old, database=url)
    sql.run("drop schema taskcell cascade")
    printed = done(stack, "restore", old, database=url)
    assert "0002_audit_and_invitations applied" in printed
    assert "0003_tasks_that_cannot_be_lost applied" in printed
    assert sql.run("select epoch from taskcell.credentials") == [["1"]]
    assert run(stack, "migrate", "--dry-run", database=url).returncode == 0


def test_another_session_survives_a_backup(stack, http, user, tmp_path):
    second = another(user)
    done(stack, "backup", tmp_path / "dump")
    assert user.alive() and second.alive()
    refresh(http, user.refresh).expect(200)
