"""Deleted tasks come back: the trash, undo, and how it empties itself."""

import uuid

import pytest

from client import NEVER, TIME, at_once

FULL = {"description": "two\nlines", "completed": True, "priority": "high",
        "due_date": "2026-03-01",
        "tags": ["a", "B"]}


def trash(user, query=""):
    return user.call("GET", f"trash?{query}").expect(200).json


def delete(user, *tasks):
    return [user.call("DELETE", f"tasks/{t['id']}").expect(200).json for t in tasks]


def restore(user, task):
    return user.call("POST", f"trash/{task['id']}/restore")


def purge(user, task):
    return user.call("DELETE", f"trash/{task['id']}")


def age(stack, user, interval, which="true"):
    stack.sql.run(f"update taskcell.trash set deleted_at = deleted_at - interval '{interval}' "
                  f"where user_id = '{user.id}' and {which}")


def rows(stack, user, what="count(*)"):
    return stack.sql.run(
        f"select {what} from taskcell.trash where user_id = '{user.id}' order by 1")


def test_delete_list_restore(user):
    task = user.create("one", **FULL)
    gone, = delete(user, task)
    assert trash(user) == [gone] and user.tasks() == []
    assert TIME.fullmatch(gone["deleted_at"]) and gone["deleted_at"] >= task["created_at"]
    user.call("GET", f"tasks/{task['id']}").expect(404, "not_found")
    a = restore(user, task).expect(200)
    back = a.json
    assert a.header("ETag") == f'"{back["version"]}"' and back["version"] > gone["version"]
    kept = [k for k in task if k not in ("version", "updated_at")]
    assert {k: back[k] for k in kept} == {k: task[k] for k in kept} and "deleted_at" not in back
    assert user.task(task) == back and user.tasks() == [back] and trash(user) == []


def test_empty(user):
    a = user.call("GET", "trash").expect(200)
    assert a.body == b"[]" and a.header("Link") is None
    assert a.header("Cache-Control") == "private, no-cache"
    user.call("HEAD", "trash").expect(200)


def test_again_and_again(user):
    task = user.create("x")
    versions = [task["version"]]
    for _ in range(3):
        versions.append(delete(user, task)[0]["version"])
        versions.append(restore(user, task).expect(200).json["version"])
    assert versions == sorted(set(versions))
    assert len(user.tasks()) == 1 and trash(user) == []


def test_the_last_deleted_first(user):
    made = [user.create(str(i)) for i in range(7)]
    order = [made[i] for i in (3, 0, 6, 1, 5, 2, 4)]
    delete(user, *order)
    expected = [t["id"] for t in reversed(order)]
    assert [t["id"] for t in trash(user)] == expected
    for limit in (1, 3, 6, 7, 1000):
        pages = list(user.pages(f"trash?limit={limit}"))
        assert [t["id"] for a in pages for t in a.json] == expected
        assert all(len(a.json) == limit for a in pages[:-1]) and pages[-1].json
    user.call("GET", pages[0].target).expect(200)


def test_pages_of_one_moment(stack, user):
    """Clearing deletes many tasks at once: the id decides, nothing is lost between pages."""
    for i in range(12):
        user.create(str(i), completed=True)
    assert user.call("DELETE", "tasks?completed=true").expect(200).json == {"deleted": 12}
    whole = trash(user)
    assert len({t["deleted_at"] for t in whole}) == 1
    assert [t for a in user.pages("trash?limit=5") for t in a.json] == whole


def test_pages_while_tasks_come_back(user):
    made = [user.create(str(i)) for i in range(9)]
    delete(user, *made)
    first = user.call("GET", "trash?limit=3").expect(200)
    restore(user, first.json[2]).expect(200)  # where the next page begins
    delete(user, user.create("later"))
    second = [t["title"] for a in user.pages(first.next) for t in a.json]
    assert [t["title"] for t in first.json] + second == [str(i) for i in range(8, -1, -1)]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=", "limit=x", "cursor=",
                                   "cursor=x",
                                   "cursor=" + "A" * 43, "limit=2&cursor=%00"])
def test_bad_queries(user, query):
    user.call("GET", f"trash?{query}").expect(400, "invalid_query")


def test_methods(user):
    task = user.create()
    delete(user, task)
    for method, path in (("POST", "trash"), ("DELETE", "trash"), ("GET", f"trash/{task['id']}"),
                         ("PUT", f"trash/{task['id']}"), ("GET", f"trash/{task['id']}/restore")):
        user.call(method, path, {"title": "x"} if method != "GET" else None).expect(
            405, "method_not_allowed")
    assert len(trash(user)) == 1


def test_what_is_in_the_trash_cannot_be_changed(user):
    task = user.create("x", **FULL)
    gone, = delete(user, task)
    at = f"tasks/{task['id']}"
    for method, path, body in (("PUT", at, {"title": "y"}), ("PATCH", at, {"title": "y"}),
                               ("PATCH", at, None), ("POST", at + "/complete", None),
                               ("DELETE", at, None)):
        user.call(method, path, body).expect(404, "not_found")
    assert trash(user) == [gone]


def test_restoring_needs_no_body_and_ignores_one(user):
    task = user.create("x")
    for kw in ({}, {"body": b""}, {"body": {"title": "y"}},
               {"body": b"no json", "media": "text/plain"}):
        delete(user, task)
        assert user.call("POST", f"trash/{task['id']}/restore",
                         **kw).expect(200).json["title"] == "x"


def test_delete_for_good(stack, user):
    task, other_task = user.create("secret", **FULL), user.create("stays")
    delete(user, task, other_task)
    a = purge(user, task).expect(204)
    assert a.body == b""
    assert [t["id"] for t in trash(user)] == [other_task["id"]]
    purge(user, task).expect(404, "not_found")
    restore(user, task).expect(404, "not_found")
    # what was written is gone from the disk's rows as well, but for the fact that it was there
    assert "secret" not in str(rows(stack, user, "to_jsonb(trash)"))
    assert rows(stack, user) == [["2"]]
    restore(user, other_task).expect(200)


def test_a_living_task_is_not_in_the_trash(user):
    task = user.create()
    purge(user, task).expect(404, "not_found")
    restore(user, task).expect(404, "not_found")
    assert user.tasks() == [task]


def test_at_once(user):
    """Restored once, deleted once; nobody sees a 5xx."""
    for _ in range(4):
        task = user.create()
        delete(user, task)
        answers = at_once(8, lambda i, t=task: restore(user, t) if i % 2 else purge(user, t))
        assert {a.status for a in answers} <= {200, 204, 404}
        assert sum(a.status in (200, 204) for a in answers) == 1
        restored = any(a.status == 200 for a in answers)
        user.call("GET", f"tasks/{task['id']}").expect(200 if restored else 404)
    assert trash(user) == []


# --- expiry -------------------------------------------------------------------------------------


def test_30_days(stack, user):
    """Then the task is gone by itself, without any cron."""
    old, young = user.create("old"), user.create("young")
    delete(user, old, young)
    age(stack, user, "29 days 23:59:00")
    assert len(trash(user)) == 2
    age(stack, user, "1 minute", f"id = '{old['id']}'")
    assert [t["id"] for t in trash(user)] == [young["id"]]
    assert user.call("GET", "stats").expect(200).json["trash"] == 1
    restore(user, old).expect(404, "not_found")
    purge(user, old).expect(404, "not_found")
    user.call("POST", "tasks", {"title": "x", "id": old["id"]}).expect(409, "task_exists")
    assert restore(user, young).expect(200).json["title"] == "young"


def test_what_is_expired_is_erased_by_later_deletions(stack, user):
    for i in range(5):
        delete(user, user.create(f"secret {i}", **FULL))
    age(stack, user, "30 days")
    assert "secret" in str(rows(stack, user, "to_jsonb(trash)"))
    delete(user, user.create("later"))
    assert "secret" not in str(rows(stack, user, "to_jsonb(trash)"))
    assert rows(stack, user) == [["6"]] and [t["title"] for t in trash(user)] == ["later"]


def test_90_days(stack, user):
    """Then its tombstone goes too, the id is free, and a reader of the feed from before is told."""
    chosen = str(uuid.uuid4())
    task = user.create("x", id=chosen)
    place = user.call("GET", "changes").expect(200).json["next"]
    delete(user, task)
    age(stack, user, "90 days")
    for _ in range(2):  # first the content, then the row
        delete(user, user.create("later"))
    assert stack.sql.value(f"select count(*) from taskcell.trash where id = '{chosen}'") == "0"
    user.call("GET", f"changes?since={place}").expect(410, "gone")
    assert user.create("again", id=chosen)["id"] == chosen


def test_expiry_is_for_the_own_trash(stack, user, other):
    for person in (user, other):
        delete(person, person.create("x"))
    age(stack, other, "30 days")
    delete(user, user.create("y"))
    assert len(trash(user)) == 2 and trash(other) == []
    assert stack.sql.value(
        f"select title from taskcell.trash where user_id = '{other.id}'") == "x"


def test_it_goes_with_the_account(stack, user):
    delete(user, user.create("x"))
    user.call("DELETE", "/api/auth/account", {"password": user.password}).expect(204)
    assert rows(stack, user) == [["0"]]


# --- clear completed ----------------------------------------------------------------------------


def test_clear_completed(user, other):
    mine = [user.create(str(i), completed=i % 2 == 0) for i in range(7)]
    theirs = other.create("theirs", completed=True)
    assert user.call("DELETE", "tasks?completed=true").expect(200).json == {"deleted": 4}
    assert [t["title"] for t in user.tasks()] == ["5", "3", "1"]
    found = trash(user)
    assert {t["title"] for t in found} == {"0", "2", "4", "6"}
    assert all(t["completed"] and t["completed_at"] for t in found)
    versions = [t["version"] for t in found]
    assert len(set(versions)) == 4 and min(versions) > max(t["version"] for t in mine)
    assert user.call("DELETE", "tasks?completed=true").expect(200).json == {"deleted": 0}
    assert restore(user, mine[2]).expect(200).json["completed"] is True
    assert user.call("DELETE", "/api/me/tasks?completed=true").expect(200).json == {"deleted": 1}
    assert other.tasks() == [theirs]


def test_clear_with_prefer_minimal(user):
    """A number is an answer of its own: it is always given."""
    user.create(completed=True)
    a = user.call("DELETE", "tasks?completed=true", headers={"Prefer": "return=minimal"})
    assert a.expect(200).json == {"deleted": 1}


@pytest.mark.parametrize("query", [
    "", "?", "?completed=", "?completed=false", "?completed=TRUE", "?completed=1", "?completed",
    "?completed=true&completed=false", "?completed=false&completed=true", "?status=completed",
    "?all=true",
    "?completed=true&status=pending", "?completed=true&priority=high", "?completed=true&q=x",
    "?completed=true&tag=a", "?completed=true&limit=1", "?completed=true&due_before=2026-01-01",
    "?completed=true%00", "?Completed=true", "?completed=%74rue%20", "?completed=all",
])
def test_a_forgotten_parameter_deletes_nothing(user, query):
    made = [user.create("x", completed=True, **{"priority": "high"}), user.create("y")]
    user.call("DELETE", f"tasks{query}").expect(400, "invalid_query")
    assert user.tasks() == made[::-1] and trash(user) == []


# --- whose --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method,tail", [("POST", "/restore"), ("DELETE", "")])
def test_another_users_trash_is_one_that_never_existed(user, other, method, tail):
    """The same bytes apart from the request's id, whatever is wrong."""
    theirs, alive, mine = other.create("theirs"), other.create("alive"), user.create("mine")
    delete(other, theirs)
    delete(user, mine)
    never = user.call(method, f"trash/{NEVER}{tail}")
    never.expect(404, "not_found")
    for target in (
            f"trash/{theirs['id']}{tail}", f"trash/{alive['id']}{tail}", f"trash/x{tail}",
            f"/api/me/trash/{theirs['id']}{tail}", f"/api/{other.id}/trash/{theirs['id']}{tail}",
            f"/api/{other.id}/trash/{mine['id']}{tail}", f"/api/{NEVER}/trash/{theirs['id']}{tail}",
            f"/api/x/trash/{theirs['id']}{tail}", f"trash/{theirs['id']}0{tail}"):
        assert user.call(method, target).bare() == never.bare(), target
    assert len(trash(other)) == len(trash(user)) == 1


def test_collections_of_others(user, other):
    delete(other, other.create("theirs", completed=True))
    done = other.create("done", completed=True)
    for method, tail in (("GET", "trash"), ("HEAD", "trash"), ("DELETE", "tasks?completed=true"),
                         ("DELETE", "tasks")):
        never = user.call(method, f"/api/{NEVER}/{tail}").expect(404)
        for who in (other.id, other.id.upper(), "x", "ME"):
            assert user.call(method, f"/api/{who}/{tail}").bare() == never.bare()
    assert other.tasks() == [done] and len(trash(other)) == 1 and trash(user) == []
