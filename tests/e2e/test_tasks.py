"""The life of a task: T036-T040, T056."""

import time

import pytest

from client import NEVER, TIME, check_task

SMILE = "\U0001f600"


def test_full_crud(http, user):
    """T056: create, list, read, change, complete, delete."""
    a = user.call("POST", "tasks", {"title": "Buy milk", "description": "Two litres"}).expect(201)
    task = check_task(a.json, user)
    assert task["title"] == "Buy milk" and task["description"] == "Two litres"
    assert task["completed"] is False and task["completed_at"] is None
    assert a.header("ETag") == f'"{task["version"]}"'
    assert a.header("Cache-Control") == "private, no-cache"
    where = a.header("Location")
    assert where == f"/api/{user.id}/tasks/{task['id']}"
    got = http.request("GET", where, token=user.access).expect(200)
    assert got.json == task and got.header("ETag") == f'"{task["version"]}"'
    assert got.header("Cache-Control") == "private, no-cache"
    assert user.tasks() == [task]

    put = user.call("PUT", f"tasks/{task['id']}", {"title": "Buy bread"}).expect(200).json
    assert check_task(put)["title"] == "Buy bread" and put["version"] > task["version"]
    assert put["description"] == "Two litres" and put["created_at"] == task["created_at"]
    done = user.call("PATCH", f"tasks/{task['id']}/complete").expect(200).json
    assert check_task(done)["completed"] is True and done["version"] > put["version"]

    deleted = user.call("DELETE", f"tasks/{task['id']}").expect(200)
    assert {**deleted.json, "version": done["version"], "deleted_at": None} == {
        **done, "deleted_at": None}
    assert deleted.json["version"] > done["version"]
    user.call("GET", f"tasks/{task['id']}").expect(404, "not_found")
    user.call("DELETE", f"tasks/{task['id']}").expect(404, "not_found")
    user.call("PUT", f"tasks/{task['id']}", {"title": "x"}).expect(404, "not_found")
    user.call("PATCH", f"tasks/{task['id']}", {"title": "x"}).expect(404, "not_found")
    user.call("PATCH", f"tasks/{task['id']}/complete").expect(404, "not_found")
    assert user.tasks() == []


def test_me(user):
    """`me` stands for the own id in any path."""
    a = user.call("POST", "/api/me/tasks", {"title": "mine"}).expect(201)
    task = check_task(a.json, user)
    assert user.call("GET", a.header("Location")).expect(200).json == task
    at = f"/api/me/tasks/{task['id']}"
    assert user.call("GET", "/api/me/tasks").expect(200).json == [task]
    user.call("PUT", at, {"title": "still mine"}).expect(200)
    user.call("PATCH", at).expect(200)
    user.call("POST", at + "/complete").expect(200)
    user.call("DELETE", at).expect(200)
    user.call("GET", "/api/ME/tasks").expect(404, "not_found")


def test_ids_in_upper_case(user):
    task = user.create()
    assert user.call("GET", f"/api/{user.id.upper()}/tasks/{task['id'].upper()}").expect(
        200).json == task


# --- create -------------------------------------------------------------------------------------


def test_create_with_everything(user):
    task = user.create("All", description="", completed=True)
    assert check_task(task)["completed"] is True and TIME.fullmatch(task["completed_at"])
    assert task["description"] == ""
    assert user.create("None", description=None, completed=False)["description"] is None


def test_create_belongs_to_the_tokens_user(user, other):
    """T042-T046: user_id of the body is ignored, even with strictness."""
    for headers in ({}, {"Prefer": "handling=strict"}):
        a = user.call("POST", "tasks", {"title": "x", "user_id": other.id}, headers=headers)
        check_task(a.expect(201).json, user)
    a = user.call("POST", "tasks", {"title": "x", "user_id": 5, "id": None}).expect(201)
    assert check_task(a.json, user)
    assert other.tasks() == [] and len(user.tasks()) == 3


def test_ids_are_ordered_by_time(user):
    """UUIDv7: the milliseconds since 1970, then chance."""
    ids = [user.create(str(i))["id"] for i in range(5)]
    times = [int(i.replace("-", "")[:12], 16) for i in ids]
    assert times == sorted(times) and abs(times[0] / 1000 - time.time()) < 60
    assert len({i[19:] for i in ids}) == 5


@pytest.mark.parametrize("body,fields", [
    ({}, {"title": {"required"}}),
    ({"title": None}, {"title": {"invalid_type"}}),
    ({"title": 5}, {"title": {"invalid_type"}}),
    ({"title": ["x"]}, {"title": {"invalid_type"}}),
    ({"title": ""}, {"title": {"too_short"}}),
    ({"title": " \t\n\u00a0\u2003\u3000\u2028"}, {"title": {"too_short"}}),
    ({"title": "x" * 201}, {"title": {"too_long"}}),
    ({"title": SMILE * 201}, {"title": {"too_long"}}),
    ({"title": "x", "description": 5}, {"description": {"invalid_type"}}),
    ({"title": "x", "description": "y" * 10001}, {"description": {"too_long"}}),
    ({"title": "x", "completed": "true"}, {"completed": {"invalid_type"}}),
    ({"title": "x", "completed": 1}, {"completed": {"invalid_type"}}),
    ({"title": "x", "completed": None}, {"completed": {"invalid_type"}}),
    ({"description": {}, "completed": 0},
     {"title": {"required"}, "description": {"invalid_type"}, "completed": {"invalid_type"}}),
])
def test_create_invalid(user, body, fields):
    """All that is wrong is named at once, and nothing is made."""
    a = user.call("POST", "tasks", body).expect(422, "validation_failed")
    assert a.fields == fields
    assert user.tasks() == []


def test_unknown_members(user):
    """Ignored, until strictness is asked for."""
    body = {"title": "x", "Priority": "high", "labels": ["a"], "due": {"a": None}}
    task = user.call("POST", "tasks", body).expect(201).json
    check_task(task)
    for prefer in ("handling=strict", "return=minimal, handling=strict", "Handling=strict",
                   'handling="strict"', "respond-async;a=b, handling=strict;x"):
        a = user.call("POST", "tasks", body, headers={"Prefer": prefer}).expect(422)
        assert a.fields == {k: {"unknown_field"} for k in ("Priority", "labels", "due")}
    for prefer in ("handling=lenient", "strict", "handling=strictly", "return=minimal"):
        user.call("POST", "tasks", body, headers={"Prefer": prefer}).expect(201)
    at = f"tasks/{task['id']}"
    for method, path in (("PUT", at), ("PATCH", at), ("POST", at + "/complete")):
        user.call(method, path, {"title": "x", "completed": True, "zz": 1}).expect(200)
        a = user.call(method, path, {"title": "x", "completed": True, "zz": 1},
                      headers={"Prefer": "handling=strict"}).expect(422)
        assert a.fields["zz"] == {"unknown_field"}


# --- text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("white", [
    " ", "\t", "\n", "\u000b", "\u000c", "\r", "\u0085", "\u00a0", "\u1680", "\u2000", "\u2009",
    "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000",
])
def test_title_is_trimmed_of_unicode_white_space(user, white):
    task = user.create(f"{white}{white}a{white}b{white}")
    assert task["title"] == f"a{white}b"
    got = user.call("PATCH", f"tasks/{task['id']}", {"title": f"{white}new{white}"}).expect(200)
    assert got.json["title"] == "new"


def test_what_is_no_white_space_stays(user):
    for kept in ("\u200b", "\ufeff", "\u2060", "\u180e", "\u0001", "\u007f"):
        assert user.create(f"{kept}a{kept}")["title"] == f"{kept}a{kept}"


def test_lengths_count_code_points(user):
    longest = SMILE * 200
    assert user.create(longest)["title"] == longest
    assert user.create(f"  {'x' * 200}\n")["title"] == "x" * 200
    text = "é" * 10000
    task = user.create("x", description=text)
    assert task["description"] == text and user.task(task) == task
    body = '{"title":"x","description":"%s"}' % (SMILE * 10000)
    got = user.call("POST", "tasks", body.encode()).expect(201)
    assert got.json["description"] == SMILE * 10000


@pytest.mark.parametrize("text", [
    "\u0001\u001f\u007f\u0080", '"\\/\b\f\n\r\t', "\u2028\u2029", "\ufeff\ufffe\uffff",
    "\U0010ffff\U0001f468\u200d\U0001f469", "e\u0301 \u00e9", "\ue000", "</script>", "'; drop --",
    "\\u0000", "%s%n", " leading and trailing ", "\u202e",
])
def test_strings_are_kept_as_sent(user, text):
    """Any scalar value but U+0000, no normalisation; the description is not trimmed."""
    task = user.create("x" + text.strip() + "x", description=text)
    assert task["description"] == text and task["title"] == "x" + text.strip() + "x"
    assert user.tasks() == [task]


def test_nul_is_refused(user):
    for body in (b'{"title":"a\\u0000b"}', b'{"title":"a\x00b"}', b'{"title":"x","n\\u0000":1}',
                 b'{"title":"x","description":"\\u0000"}'):
        user.call("POST", "tasks", body).expect(400, "invalid_json")
    assert user.tasks() == []


# --- change -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_members_present_are_set_and_absent_are_kept(user, method):
    task = user.create("one", description="two")
    at = f"tasks/{task['id']}"
    now = user.call(method, at, {"completed": True}).expect(200).json
    assert (now["title"], now["description"], now["completed"]) == ("one", "two", True)
    now = user.call(method, at, {"title": "three"}).expect(200).json
    assert (now["title"], now["description"], now["completed"]) == ("three", "two", True)
    now = user.call(method, at, {"description": None}).expect(200).json
    assert (now["title"], now["description"], now["completed"]) == ("three", None, True)
    now = user.call(method, at, {"completed": False, "description": "four"}).expect(200)
    assert now.header("ETag") == f'"{now.json["version"]}"'
    assert check_task(now.json, user)["completed_at"] is None
    assert user.task(task) == now.json
    assert user.call(method, at, {}).expect(200).json == now.json
    assert now.json["id"] == task["id"] and now.json["created_at"] == task["created_at"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("body,field", [
    ({"title": None}, "title"), ({"title": ""}, "title"), ({"title": " "}, "title"),
    ({"title": "x" * 201}, "title"), ({"title": 1}, "title"), ({"completed": None}, "completed"),
    ({"completed": "yes"}, "completed"), ({"description": "x" * 10001}, "description"),
    ({"description": False}, "description"),
])
def test_change_invalid(user, method, body, field):
    task = user.create("kept")
    a = user.call(method, f"tasks/{task['id']}", body).expect(422, "validation_failed")
    assert set(a.fields) == {field}
    assert user.task(task) == task


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_id_and_owner_do_not_change(user, other, method):
    task = user.create("kept")
    body = {"id": other.id, "user_id": other.id, "version": 99, "created_at": "2000-01-01"}
    assert user.call(method, f"tasks/{task['id']}", body).expect(200).json == task


def test_put_strict_is_a_full_replacement(user):
    task = user.create("one", description="two", completed=True)
    at = f"tasks/{task['id']}"
    strict = {"Prefer": "handling=strict"}
    a = user.call("PUT", at, {"description": "x"}, headers=strict).expect(422)
    assert a.fields == {"title": {"required"}}
    assert user.task(task) == task
    now = user.call("PUT", at, {"title": "three"}, headers=strict).expect(200).json
    assert (now["title"], now["description"], now["completed"]) == ("three", None, False)
    # A PATCH stays a patch.
    now = user.call("PATCH", at, {"description": "x"}, headers=strict).expect(200).json
    assert (now["title"], now["description"]) == ("three", "x")
    # What a client read can be sent back: id and user_id are never unknown.
    mine = {k: now[k] for k in ("id", "user_id", "title", "description", "completed")}
    assert user.call("PUT", at, mine, headers=strict).expect(200).json == now


def test_put_needs_a_body(user):
    task = user.create()
    user.call("PUT", f"tasks/{task['id']}").expect(400, "invalid_json")
    user.call("PUT", f"tasks/{task['id']}", b"").expect(400, "invalid_json")
    assert user.task(task) == task


def test_patch_is_a_merge_patch(user):
    task = user.create("one", description="two")
    now = user.call("PATCH", f"tasks/{task['id']}", {"description": None},
                    media="application/merge-patch+json").expect(200).json
    assert now["description"] is None and now["title"] == "one"


def test_patch_with_an_empty_body_flips(user):
    task = user.create()
    at = f"tasks/{task['id']}"
    for expected in (True, False, True):
        now = user.call("PATCH", at).expect(200).json
        assert check_task(now)["completed"] is expected
    assert user.call("PATCH", at, b"").expect(200).json["completed"] is False
    assert user.call("PATCH", at, {}).expect(200).json["completed"] is False  # no flip


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_complete(user, method):
    """T040."""
    task = user.create()
    at = f"tasks/{task['id']}/complete"
    for expected in (True, False, True):
        now = user.call(method, at).expect(200)
        assert check_task(now.json)["completed"] is expected
        assert now.header("ETag") == f'"{now.json["version"]}"'
    assert user.call(method, at, b"").expect(200).json["completed"] is False
    one = user.call(method, at, {"completed": True}).expect(200).json
    assert one["completed"] is True
    assert user.call(method, at, {"completed": True}).expect(200).json == one
    assert user.call(method, at, {"completed": False}).expect(200).json["completed"] is False
    a = user.call(method, at, {"completed": "no"}).expect(422)
    assert a.fields == {"completed": {"invalid_type"}}
    assert user.task(task)["completed"] is False


def test_completed_at_is_the_time_of_completion(user, stack):
    task = user.create(completed=True)
    stack.sql.run("update taskcell.tasks set completed_at = '2020-02-03T04:05:06.789Z' "
                  f"where user_id = '{user.id}'")
    at = f"tasks/{task['id']}"
    changed = user.call("PATCH", at, {"completed": True, "title": "new"}).expect(200).json
    assert changed["completed_at"] == "2020-02-03T04:05:06.789Z"
    user.call("PATCH", at).expect(200)
    assert user.call("PATCH", at).expect(200).json["completed_at"] > "2020-02-04"


def test_a_change_of_nothing_keeps_the_version(user):
    """version, updated_at, completed_at: all as they were."""
    task = user.create("same", description="text", completed=True)
    at = f"tasks/{task['id']}"
    same = {"title": " same ", "description": "text", "completed": True}
    for method in ("PUT", "PATCH"):
        a = user.call(method, at, same).expect(200)
        assert a.json == task and a.header("ETag") == f'"{task["version"]}"'
    user.call("POST", at + "/complete", {"completed": True}).expect(200)
    assert user.task(task) == task


def test_version_counts_all_writes_of_the_owner(user):
    """Strictly increasing over all tasks of one person."""
    seen = []
    a, b = user.create("a"), user.create("b")
    seen += [a["version"], b["version"]]
    for task in (a, b, a):
        seen.append(user.call("PATCH", f"tasks/{task['id']}").expect(200).json["version"])
    user.call("DELETE", f"tasks/{b['id']}").expect(200)
    seen.append(user.create("c")["version"])
    assert seen == sorted(set(seen))


# --- delete -------------------------------------------------------------------------------------


def test_delete_minimal(user):
    task = user.create()
    a = user.call("DELETE", f"tasks/{task['id']}", headers={"Prefer": "return=minimal"})
    a.expect(204)
    assert a.body == b"" and user.tasks() == []


def test_delete_returns_the_task_as_it_was(user):
    """With the version of its deletion, and when that was."""
    task = user.create("bye", description="text", completed=True, priority="low", tags=["x"],
                       due_date="2030-01-01")
    for prefer in ({}, {"Prefer": "return=representation"}):
        a = user.call("DELETE", f"tasks/{task['id']}", headers=prefer).expect(200)
        gone = dict(a.json)
        assert TIME.fullmatch(gone.pop("deleted_at")) and gone.pop("version") > task["version"]
        assert gone == {k: v for k, v in task.items() if k != "version"}
        task = user.create("again")
    assert len(user.tasks()) == 1


def test_delete_ignores_its_body(user):
    task = user.create()
    user.call("DELETE", f"tasks/{task['id']}", b"not json", media="text/plain").expect(200)


def test_never_there(user):
    for bad in (NEVER, "x", "1", NEVER[:-1], NEVER + "0", NEVER.replace("-", ""),
                "{" + NEVER + "}", "batches", "%F0%9F%98%80", "complete"):
        user.call("GET", f"tasks/{bad}").expect(404, "not_found")
    # what is another resource has other methods
    user.call("GET", "tasks/batch").expect(405, "method_not_allowed")
