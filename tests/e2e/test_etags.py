"""What has not changed is not sent again: entity-tags of tasks and of lists."""

import re
import uuid

import pytest

from client import NEVER, PASSWORD, User, at_once, login, register
from frontends import CHOSEN, FRONT

LISTS = ["tasks", "tasks?limit=1", "tasks?status=pending&q=a&sort=-title&count=true",
         "tasks?priority=high",
         "tasks?status=pending&completed=true", "/api/me/tasks"]


def etag(user, path="tasks"):
    return user.call("GET", path).expect(200).header("ETag")


def again(user, path, tag):
    return user.call("GET", path, headers={"If-None-Match": tag})


# --- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LISTS)
def test_an_unchanged_list_is_304(user, path):
    for title in "abc":
        user.create(title)
    a = user.call("GET", path).expect(200)
    for _ in range(2):
        b = again(user, path, a.header("ETag")).expect(304)
        assert b.header("ETag") == a.header("ETag")
        assert b.header("Cache-Control") == "private, no-cache"
        assert b.header("Content-Type") is None
    b = user.call("HEAD", path, headers={"If-None-Match": a.header("ETag")}).expect(304)
    assert b.header("ETag") == a.header("ETag")


def test_the_empty_list_of_a_new_account(user):
    a = user.call("GET", "tasks").expect(200)
    assert a.json == []
    again(user, "tasks", a.header("ETag")).expect(304)
    user.create()
    again(user, "tasks", a.header("ETag")).expect(200)


@pytest.mark.parametrize("form", [
    "{t}", "W/{t}", "{gzip}", "W/{gzip}", '"x", {t}', '{t}, "999999"', 'W/"1" , W/{t}', "*",
    "  {t}  ",
    '"abc-def",{gzip}, "y"',
])
def test_forms_that_match(user, form):
    """Also as web servers rewrite what they compress; the comparison is the weak one."""
    task = user.create()
    for path in ("tasks", f"tasks/{task['id']}"):
        tag = etag(user, path)
        header = form.format(t=tag, gzip=tag[:-1] + '-gzip"')
        again(user, path, header).expect(304)


@pytest.mark.parametrize("form", [
    '"{v}0"', '"0{v}"', "{v}", '"{v}', "'{v}'", '"{v} "', '"-{v}"', '"*"', "", '""', ",,", '"+{v}"',
    '"{v}.0"',
    '"99999999999999999999999999"', '"{v}-gzip0"', "**", "W/*",
])
def test_forms_that_do_not(user, form):
    task = user.create()
    for path in ("tasks", f"tasks/{task['id']}"):
        a = user.call("GET", path).expect(200)
        b = again(user, path, form.format(v=a.header("ETag").strip('"'))).expect(200)
        assert b.json == a.json


def test_too_many_tags_are_answered_all_the_same(user):
    user.create()
    tag = etag(user)
    many = ", ".join(f'"{n}"' for n in range(1_000_000, 1_000_200))
    a = again(user, "tasks", f"{many}, {tag}")
    assert a.status in (200, 304) and a.header("ETag") == tag


def writes(user):
    """Every kind of write, each a function."""
    task, done = user.create("one"), user.create("two", completed=True)
    gone, never = user.create("three"), str(uuid.uuid4())
    user.call("DELETE", f"tasks/{gone['id']}").expect(200)
    at = f"tasks/{task['id']}"
    create = {"op": "create", "data": {"title": "of a batch"}}
    none = {"If-None-Match": "*"}
    return [
        ("POST", "tasks", {"title": "new"}, {}, 201),
        ("POST", "tasks", {"title": "new"}, {"Idempotency-Key": never}, 201),
        ("PUT", f"tasks/{never}", {"title": "new"}, none, 201),
        ("PUT", at, {"title": "changed"}, {}, 200),
        ("PATCH", at, {"tags": ["x"]}, {}, 200), ("PATCH", at, {"priority": "low"}, {}, 200),
        ("PATCH", at, {"due_date": "2030-01-01"}, {}, 200),
        ("PATCH", at, {"due_date": "2030-01-01T00:00:00Z"}, {}, 200), ("PATCH", at, None, {}, 200),
        ("PATCH", at + "/complete", None, {}, 200),
        ("POST", at + "/complete", {"completed": True}, {}, 200),
        ("DELETE", "tasks?completed=true", None, {}, 200),
        ("POST", f"trash/{done['id']}/restore", None, {}, 200),
        ("DELETE", f"tasks/{done['id']}", None, {}, 200),
        ("POST", f"trash/{gone['id']}/restore", None, {}, 200),
        ("DELETE", f"tasks/{gone['id']}", None, {"Prefer": "return=minimal"}, 204),
        ("POST", "tasks/batch", {"operations": [create]}, {}, 207),
        ("POST", "tasks/batch", {"operations": [create], "atomic": True}, {}, 200),
        ("POST", "tasks/import", b'[{"title":"imported"}]', {}, 200),
    ]


def test_any_write_changes_it(user):
    """And no tag ever comes back."""
    seen = []
    for method, path, body, headers, status in writes(user):
        tag = etag(user)
        again(user, "tasks?limit=2&count=true", tag).expect(304)
        user.call(method, path, body, headers=headers).expect(status)
        a = again(user, "tasks", tag)
        a.expect(200)
        assert a.header("ETag") != tag, (method, path, body)
        again(user, "tasks", ", ".join(seen + [tag])).expect(200)
        seen.append(tag)
    assert len(set(seen)) == len(seen)


def test_what_changes_nothing_keeps_it(user, other):
    task = user.create("one", tags=["x"])
    at = f"tasks/{task['id']}"
    tag = etag(user)
    user.call("PATCH", at, {"title": "one", "tags": ["x"]}).expect(200)
    user.call("PATCH", at, {}).expect(200)
    user.call("POST", at + "/complete", {"completed": False}).expect(200)
    user.call("PATCH", at, {"title": ""}).expect(422)
    user.call("PATCH", at, {"title": "new"}, headers={"If-Match": '"9999"'}).expect(412)
    user.call("PUT", at, {"title": "new"}, headers={"If-None-Match": "*"}).expect(412)
    user.call("POST", "tasks", {"title": "new", "id": task["id"]}).expect(409)
    user.call("DELETE", f"tasks/{NEVER}").expect(404)
    user.call("DELETE", "tasks?completed=true").expect(200)
    failing = {"atomic": True, "operations": [{"op": "create", "data": {"title": "undone"}},
                                              {"op": "delete", "id": NEVER}]}
    user.call("POST", "tasks/batch", failing).expect(404)
    user.call("POST", "tasks/import?dry_run=true", b'[{"title":"not imported"}]').expect(200)
    for path in ("tasks", "trash", "stats", "changes", at):
        user.call("GET", path).expect(200)
    other.create("somebody else's")
    again(user, "tasks", tag).expect(304)


def test_another_users_tag(user, other):
    """A revision says nothing about whose it is, so it must not open anything either."""
    for person in (user, other):
        person.create("x")
    assert etag(user) == etag(other)  # one write each
    theirs = other.call("GET", "tasks").expect(200)
    assert again(user, f"/api/{other.id}/tasks", theirs.header("ETag")).expect(404)


def test_the_list_is_never_newer_than_its_tag(user):
    """While it is being written: who comes again with the tag sees what the list lacked."""
    def work(i):
        if i % 2:
            for k in range(30):
                user.create(f"{i} {k}")
            return
        for _ in range(30):
            a = user.call("GET", "tasks").expect(200)
            newest = max((t["version"] for t in a.json), default=0)
            assert newest >= int(a.header("ETag").strip('"'))

    at_once(4, work)


# --- single tasks -------------------------------------------------------------------------------


def test_a_single_task(user):
    task = user.create()
    at = f"tasks/{task['id']}"
    a = again(user, at, f'"{task["version"]}"').expect(304)
    assert a.header("ETag") == f'"{task["version"]}"'
    user.create("another task")
    again(user, at, f'"{task["version"]}"').expect(304)  # it is the task that counts
    now = user.call("PATCH", at).expect(200).json
    assert again(user, at, f'"{task["version"]}"').expect(200).json == now
    again(user, at, f'"{task["version"]}", "{now["version"]}"').expect(304)
    user.call("HEAD", at, headers={"If-None-Match": "*"}).expect(304)
    user.call("DELETE", at).expect(200)
    for header in ("*", f'"{now["version"]}"'):
        again(user, at, header).expect(404, "not_found")


def test_the_tags_of_writes_are_those_of_reads(user):
    a = user.call("POST", "tasks", {"title": "x"}).expect(201)
    at = f"tasks/{a.json['id']}"
    for _ in range(3):
        again(user, at, a.header("ETag")).expect(304)
        a = user.call("PATCH", at).expect(200)


@pytest.mark.parametrize("header", ['"1"', 'W/"1"', '"x"', '"*"', "nonsense", '*, "1"'])
def test_put_knows_no_other_if_none_match(user, header):
    """With a version it would be a condition that nobody looks at."""
    task = user.create()
    for at in (f"tasks/{task['id']}", f"tasks/{uuid.uuid4()}"):
        user.call("PUT", at, {"title": "new"}, headers={"If-None-Match": header}).expect(
            400, "invalid_request")
    assert user.tasks() == [task]


@pytest.mark.skipif(CHOSEN == "lighttpd", reason="its module is a package of its own")
def test_compressed_answers(make_stack):
    """A compressing web server makes the tags weak, or others; they serve all the same."""
    s = make_stack(
        workers=1, auth_workers=1,
        nginx={"server_tokens off;": "gzip on; gzip_types application/json; gzip_min_length 1;"},
        apache={"MaxRanges none": "MaxRanges none\nAddOutputFilterByType DEFLATE application/json"})
    user = register(s.http)
    task = user.create("x" * 100)
    for path in ("tasks", f"tasks/{task['id']}"):
        a = user.call("GET", path, headers={"Accept-Encoding": "gzip"}, check=False).expect(200)
        assert a.header("Content-Encoding") == "gzip"
        assert re.fullmatch(FRONT.compressed_tag.format(r"\d+"), a.header("ETag"))
        user.call("GET", path, headers={"If-None-Match": a.header("ETag"),
                                        "Accept-Encoding": "gzip"}, check=False).expect(304)


# --- what it costs ------------------------------------------------------------------------------


def test_an_unchanged_list_costs_one_round_trip(counted, user):
    for i in range(20):
        user.create(f"task {i}", description="x" * 1000)
    tag = etag(user)
    for path in LISTS[:-1]:
        uri = f"/api/{user.id}/{path}"
        a, n = counted.cost("GET", uri, token=user.access)
        assert (a.status, n) == (200, 1)
        a, n = counted.cost("GET", uri, token=user.access, HTTP_IF_NONE_MATCH=tag)
        assert (a.status, n) == (304, 1)


def rows_read(sql):
    """Of all tasks, by any plan, since the database was made; of backends that have ended, which
    those of a pooler do not by themselves."""
    sql.run("select pg_terminate_backend(pid, 10000) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()")
    return int(sql.value(
        "select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) "
        "from pg_stat_user_tables where schemaname = 'taskcell' and relname like 'tasks%'"))


def test_an_unchanged_list_reads_no_task(make_stack, scratch, stack):
    """The database counts the rows that it looks at. A backend tells when it ends, so taskcell is
    started for each count."""
    url, sql = scratch
    assert stack.program("taskcellctl", "migrate", database=url).returncode == 0

    def read_by(work):
        s = make_stack(database=url, workers=1, auth_workers=1)
        before = rows_read(sql)
        result = work(s.http)
        assert s.stop() == []
        return rows_read(sql) - before, result

    def fill(http):
        user = register(http)
        for i in range(30):
            user.create(f"task {i}")
        return user

    _, user = read_by(fill)

    def look(http, tag=None):
        me = User(http, login(http, user.email).expect(200).json, PASSWORD)
        for path in LISTS:
            a = me.call("GET", path, headers={"If-None-Match": tag} if tag else {})
            a.expect(304 if tag else 200)
        return a.header("ETag")

    full, tag = read_by(look)
    assert full >= 30 * 4
    assert read_by(lambda http: look(http, tag))[0] == 0
