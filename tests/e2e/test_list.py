"""Lists: order, filters, pages."""

import pytest

from client import b64url, check_task

WHEN = "2024-05-06T07:08:09.{:06d}Z"


def fill(stack, user, n, created="now() - g * interval '1 second'", completed="false"):
    """Many tasks at once, as the requests would have left them."""
    stack.sql.run(f"""
        insert into taskcell.tasks
               (user_id, id, title, version, created_at, completed, completed_at)
        select '{user.id}', ('01890000-0000-7000-8000-' || lpad(to_hex(g), 12, '0'))::uuid,
               'task ' || g, g, {created}, {completed}, case when {completed} then now() end
          from generate_series(1, {n}) g;
        update taskcell.users set revision = {n} where id = '{user.id}'""")


def walk(user, target):
    """All tasks, page by page, and the sizes of the pages."""
    pages = [a.json for a in user.pages(target)]
    return [task for page in pages for task in page], [len(page) for page in pages]


def test_a_limit_with_many_zeros(user):
    """What a client may write at any length is not written back."""
    for i in range(2):
        user.create(f"task {i}")
    a = user.call("GET", "tasks?limit=" + "0" * 3200 + "1").expect(200)
    assert len(a.json) == 1 and "&limit=1>" in a.header("Link")


def test_empty(user):
    a = user.call("GET", "tasks").expect(200)
    assert a.body == b"[]" and a.header("Link") is None
    assert a.header("Cache-Control") == "private, no-cache"


def test_newest_first(user):
    made = [user.create(str(i)) for i in range(4)]
    assert user.tasks() == made[::-1]
    user.call("PATCH", f"tasks/{made[0]['id']}").expect(200)  # a change moves nothing
    assert [t["id"] for t in user.tasks()] == [t["id"] for t in made[::-1]]


def test_order_uses_the_microseconds_and_then_the_id(stack, user):
    """Output is cut to milliseconds; the order is not."""
    fill(stack, user, 6, f"'{WHEN.format(123000)}'::timestamptz + (g % 3) * interval '1 us'")
    got = user.tasks()
    assert {t["created_at"] for t in got} == {"2024-05-06T07:08:09.123Z"}
    assert [t["title"] for t in got] == [f"task {n}" for n in (5, 2, 4, 1, 6, 3)]
    assert walk(user, f"/api/{user.id}/tasks?limit=1")[0] == got


def test_time_is_cut_not_rounded(stack, user):
    fill(stack, user, 1, f"'{WHEN.format(999999)}'")
    assert user.tasks()[0]["created_at"] == "2024-05-06T07:08:09.999Z"


@pytest.mark.parametrize("query,titles", [
    ("", "dcba"), ("completed=true", "db"), ("completed=false", "ca"), ("status=all", "dcba"),
    ("status=pending", "ca"), ("status=completed", "db"), ("completed=true&status=all", "db"),
    ("completed=true&status=completed", "db"), ("completed=true&status=pending", ""),
    ("completed=false&status=completed", ""), ("limit=2", "dc"), ("limit=1000", "dcba"),
    ("status=completed&limit=1", "d"), ("foo=bar&limit=&x", None), ("foo=bar&x&&=", "dcba"),
    ("limit=%32", "dc"), ("l%69mit=2", "dc"), ("status=p%65nding", "ca"), ("search=%00", None),
])
def test_filters(user, query, titles):
    for title, completed in (("a", False), ("b", True), ("c", False), ("d", True)):
        user.create(title, completed=completed)
    a = user.call("GET", f"tasks?{query}")
    if titles is None:
        a.expect(400, "invalid_query")
    else:
        assert "".join(t["title"] for t in a.expect(200).json) == titles


@pytest.mark.parametrize("query", [
    "limit=0", "limit=1001", "limit=abc", "limit=", "limit=-1", "limit=%2B5", "limit=1.0",
    "limit=1e2", "limit=0x10", "limit=%205", "limit=5%20", "limit=99999999999999999999",
    "limit=4294967297", "limit=%2535", "limit=%zz", "limit=5%", "limit=%D9%A3",
    "completed=", "completed=1", "completed=TRUE", "completed=yes", "completed=null",
    "status=", "status=done", "status=ALL", "status=pending,completed",
    "cursor=", "cursor=x", "cursor=!!!!", "cursor=null", "cursor=%FF", "cursor=" + "A" * 33,
    "cursor=" + "A" * 31, "cursor=" + "A" * 3000, "limit=5&completed=maybe",
])
def test_bad_values(user, query):
    """An unknown value, an empty number, an unreadable cursor: 400, never a silent cap."""
    user.call("GET", f"tasks?{query}").expect(400, "invalid_query")


@pytest.mark.parametrize("byte", [0x00, 0x7F, 0x80, 0xFF])
def test_cursors_of_a_clients_own_making(user, byte):
    """Whatever is in them: no error of ours, and nobody else's tasks."""
    user.create()
    a = user.call("GET", "tasks?cursor=" + b64url(bytes([byte] * 24)))
    if a.status != 200:
        a.expect(400, "invalid_query")
    else:
        assert all(t["user_id"] == user.id for t in a.json)


def test_no_limit_gives_1000_and_a_link(stack, user):
    fill(stack, user, 1003)
    a = user.call("GET", "tasks").expect(200)
    assert len(a.json) == 1000
    for task in a.json[:3]:
        check_task(task, user)
    rest = user.call("GET", a.next).expect(200)
    assert len(rest.json) == 3 and rest.next is None
    assert [t["title"] for t in a.json + rest.json] == [f"task {i}" for i in range(1, 1004)]


def test_exactly_1000_has_no_link(stack, user):
    fill(stack, user, 1000)
    a = user.call("GET", "tasks").expect(200)
    assert len(a.json) == 1000 and a.next is None
    a = user.call("GET", "tasks?limit=1000").expect(200)
    assert len(a.json) == 1000 and a.next is None


def test_walk_over_tasks_of_the_same_moment(stack, user):
    """The cursor holds the id as well: nothing is lost or seen twice."""
    fill(stack, user, 1050, f"'{WHEN.format(5)}'::timestamptz + (g / 400) * interval '1 us'")
    for base in (f"/api/{user.id}/tasks?limit=100", "/api/me/tasks?limit=349"):
        tasks, sizes = walk(user, base)
        assert len(tasks) == 1050
        assert len({t["id"] for t in tasks}) == 1050
        assert [int(t["title"][5:]) for t in tasks] == list(range(1050, 0, -1))
        assert all(s == sizes[0] for s in sizes[:-1])


def test_pages_keep_the_filters(stack, user):
    fill(stack, user, 50, completed="g % 2 = 0")
    for query, odd in (("completed=true", 0), ("status=pending", 1),
                       ("status=completed&completed=true", 0)):
        tasks, sizes = walk(user, f"/api/{user.id}/tasks?{query}&limit=10")
        assert [int(t["title"][5:]) for t in tasks] == [i for i in range(1, 51) if i % 2 == odd]
        assert sizes == [10, 10, 5]


def test_pages_while_tasks_come_and_go(stack, user):
    """A place in the order, not a number of rows: new tasks do not shift the pages."""
    fill(stack, user, 20)
    first = user.call("GET", "tasks?limit=10").expect(200)
    user.create("newest")
    user.call("DELETE", f"tasks/{first.json[9]['id']}").expect(200)  # the cursor's own
    second = user.call("GET", first.next).expect(200)
    assert [t["title"] for t in second.json] == [f"task {i}" for i in range(11, 21)]


def test_another_users_cursor_shows_nothing_of_theirs(stack, user, other):
    fill(stack, other, 5)
    user.create("mine")
    link = other.call("GET", "tasks?limit=2").expect(200).next
    cursor = link.split("cursor=")[1].split("&")[0]
    user.call("GET", f"tasks?cursor={cursor}").expect(400, "invalid_query")
    user.call("GET", link).expect(404, "not_found")


def test_the_greatest_list(stack, user):
    """1000 tasks of the greatest size, each character escaped six-fold."""
    fill(stack, user, 1000)
    stack.sql.run("update taskcell.tasks set description = repeat(chr(1), 10000) "
                  f"where user_id = '{user.id}'")
    a = user.call("GET", "tasks").expect(200)
    assert len(a.json) == 1000 and len(a.body) > 60_000_000
    assert all(t["description"] == "\u0001" * 10000 for t in a.json)
