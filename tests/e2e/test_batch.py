"""Many writes in one request: all of them or none, or each for itself."""

import json
import uuid

import pytest

from client import NEVER, at_once

NO_ID = "00000000-0000-0000-0000-000000000000"


def batch(user, *operations, atomic=None, path="tasks/batch", **kw):
    body = {"operations": list(operations)}
    if atomic is not None:
        body["atomic"] = atomic
    return user.call("POST", path, body, **kw)


def create(title="new", **data):
    return {"op": "create", "data": {"title": title, **data}}


def op(name, task, **members):
    return {"op": name, "id": task if isinstance(task, str) else task["id"], **members}


def items(answer, *statuses):
    """The items, which are as many as the operations and in their order."""
    found = answer.json["items"]
    assert [i["index"] for i in found] == list(range(len(statuses)))
    assert [i["status"] for i in found] == list(statuses), answer
    for item in found:
        assert set(item) == {"index", "status", "task" if item["status"] < 300 else "problem"}
        if "problem" in item:
            assert item["problem"]["status"] == item["status"]
            assert item["problem"]["request_id"] == answer.request_id
    return [i.get("task", i.get("problem")) for i in found]


def state(user):
    """All that a batch could have changed."""
    a = user.call("GET", "tasks").expect(200)
    return a.json, a.header("ETag"), user.call("GET", "trash").expect(200).json, user.call(
        "GET", "changes").expect(200).json


@pytest.mark.parametrize("atomic", [False, True, None])
def test_every_operation(user, atomic):
    changed, done, gone, back = (user.create(t) for t in ("changed", "done", "gone", "back"))
    user.call("DELETE", f"tasks/{back['id']}").expect(200)
    chosen = str(uuid.uuid4())
    a = batch(
        user,
        create("made", description="d", completed=True, priority="low", due_date="2026-03-01",
               tags=["a"]),
        create("chosen", id=chosen),
        op("update", changed, data={"title": " new ", "tags": ["b"]}),
        op("complete", done),
        op("delete", gone),
        op("restore", back),
        atomic=atomic,
    ).expect(200 if atomic else 207)
    made, mine, updated, completed, deleted, restored = items(a, 201, 201, 200, 200, 200, 200)
    assert made["title"] == "made" and made["completed"] and made["tags"] == ["a"]
    assert made["priority"] == "low" and made["due_date"] == "2026-03-01"
    assert mine["id"] == chosen
    assert updated == {**changed, "title": "new", "tags": ["b"], "version": updated["version"],
                       "updated_at": updated["updated_at"]}
    assert completed["completed"] is True and completed["completed_at"]
    assert deleted["id"] == gone["id"] and deleted["deleted_at"]
    assert restored["title"] == "back" and "deleted_at" not in restored
    assert {t["id"]: t for t in user.tasks()} == {
        t["id"]: t for t in (made, mine, updated, completed, restored)}
    assert user.call("GET", "trash").expect(200).json == [deleted]
    versions = [t["version"] for t in (made, mine, updated, completed, deleted, restored)]
    assert versions == sorted(set(versions)) and versions[0] > back["version"]


@pytest.mark.parametrize("atomic", [False, True])
def test_each_sees_what_came_before(user, atomic):
    """A whole life in one request."""
    chosen = str(uuid.uuid4())
    a = batch(user, create("x", id=chosen), op("update", chosen, data={"title": "y"}),
              op("complete", chosen), op("complete", chosen, data={"completed": False}),
              op("delete", chosen), op("restore", chosen), atomic=atomic)
    lives = items(a, 201, 200, 200, 200, 200, 200)
    assert [t["title"] for t in lives] == ["x"] + ["y"] * 5
    assert [t["completed"] for t in lives] == [False, False, True, False, False, False]
    assert user.tasks() == [lives[-1]]


def test_complete_is_no_flip(user):
    """Sent twice, it is done; and a change of nothing moves no version."""
    task = user.create()
    first, second = items(batch(user, op("complete", task), op("complete", task)), 200, 200)
    assert first["completed"] and second == first


@pytest.mark.parametrize("op_name", ["update", "complete", "delete"])
@pytest.mark.parametrize("atomic", [False, True])
def test_if_match(user, op_name, atomic):
    """A version, or the text of the ETag; 412 shows the task as it is."""
    task = user.create("old")
    now = user.call("PATCH", f"tasks/{task['id']}", {"description": "d"}).expect(200).json
    data = {"data": {"title": "new"}} if op_name == "update" else {}
    for stale in (task["version"], f'"{task["version"]}"', f'W/"{task["version"]}"', 999999):
        a = batch(user, op(op_name, task, if_match=stale, **data), atomic=atomic)
        if atomic:
            assert a.expect(412, "precondition_failed").json["index"] == 0
            assert a.json["current"] == now
        else:
            problem, = items(a.expect(207), 412)
            assert problem["code"] == "precondition_failed" and problem["current"] == now
        assert user.task(task) == now
    for form in (int, '"{}"'.format, 'W/"{}"'.format, '"{}-gzip"'.format):
        task = user.create("old")
        a = batch(user, op(op_name, task, if_match=form(task["version"]), **data), atomic=atomic)
        assert items(a, 200)[0]["version"] > task["version"]


# --- failures -----------------------------------------------------------------------------------

FAILURES = {
    "not_found": lambda taken, gone: op("update", NEVER, data={"title": "x"}),
    "not_found complete": lambda taken, gone: op("complete", NEVER),
    "not_found delete": lambda taken, gone: op("delete", NEVER),
    "not_found restore": lambda taken, gone: op("restore", taken),
    "not_found gone": lambda taken, gone: op("update", gone, data={"title": "x"}),
    "task_exists": lambda taken, gone: create("x", id=taken["id"]),
    "task_exists trash": lambda taken, gone: create("x", id=gone["id"]),
    "precondition_failed": lambda taken, gone: op("delete", taken, if_match=999),
}
STATUS = {"not_found": 404, "task_exists": 409, "precondition_failed": 412}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("place", [0, 3, 5])
def test_atomic_is_all_or_nothing(user, failure, place):
    """The first failure's status, where it was, and nothing changed: not even a version."""
    taken, gone, done = user.create("taken"), user.create("gone"), user.create("done")
    user.call("DELETE", f"tasks/{gone['id']}").expect(200)
    before = state(user)
    operations = [create("a"), op("complete", done), op("update", done, data={"title": "x"}),
                  create("b"), op("update", taken, data={"tags": ["x"]})]
    operations.insert(place, FAILURES[failure](taken, gone))
    operations.append(op("delete", NEVER))  # a second failure, which nobody gets to
    code = failure.split()[0]
    a = batch(user, *operations, atomic=True).expect(STATUS[code], code)
    assert a.json["index"] == place and "items" not in a.json
    current = taken if code != "not_found" and "trash" not in failure else None
    assert a.json.get("current") == current
    assert state(user) == before
    assert user.create("next")["version"] == int(before[1].strip('"')) + 1


def test_current_is_what_is_there_after_the_roll_back(user):
    """Not what an earlier operation of the same batch had written."""
    task = user.create("as it is")
    a = batch(user, op("update", task, data={"title": "undone"}),
              op("delete", task, if_match=task["version"]), atomic=True).expect(412)
    assert a.json["index"] == 1 and a.json["current"] == task
    chosen = str(uuid.uuid4())
    a = batch(user, create("undone", id=chosen), create("again", id=chosen),
              atomic=True).expect(409)
    assert a.json["index"] == 1 and "current" not in a.json
    assert user.tasks() == [task]


@pytest.mark.parametrize("failure", FAILURES)
def test_each_for_itself(user, failure):
    """What fails stands alone; what comes behind it is done."""
    taken, gone = user.create("taken"), user.create("gone")
    user.call("DELETE", f"tasks/{gone['id']}").expect(200)
    code = failure.split()[0]
    bad = FAILURES[failure](taken, gone)
    a = batch(user, create("a"), bad, create("b"), bad, op("delete", taken), atomic=False)
    found = items(a.expect(207), 201, STATUS[code], 201, STATUS[code], 200)
    assert found[1]["code"] == found[3]["code"] == code
    assert [t["title"] for t in user.tasks()] == ["b", "a"]


def test_all_fail(user):
    a = batch(user, *[op("delete", NEVER)] * 3).expect(207)
    assert len({json.dumps(p) for p in items(a, 404, 404, 404)}) == 1


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("operations,expected", [
    ([create(), {}], {"operations[1].op": {"required"}}),
    ([{"op": "upsert"}], {"operations[0].op": {"invalid_value"}}),
    ([{"op": "Create", "data": {"title": "x"}}], {"operations[0].op": {"invalid_value"}}),
    ([{"op": 1}], {"operations[0].op": {"invalid_type"}}),
    ([{"op": None}], {"operations[0].op": {"invalid_type"}}),
    ([create(), "delete"], {"operations[1]": {"invalid_type"}}),
    ([create(), None], {"operations[1]": {"invalid_type"}}),
    ([{"op": "create"}], {"operations[0].data": {"required"}}),
    ([{"op": "create", "data": {}}], {"operations[0].data.title": {"required"}}),
    ([{"op": "create", "data": []}], {"operations[0].data": {"invalid_type"}}),
    ([{"op": "create", "data": None}], {"operations[0].data": {"invalid_type"}}),
    ([create(), create(" ")], {"operations[1].data.title": {"too_short"}}),
    ([create(priority="urgent")], {"operations[0].data.priority": {"invalid_value"}}),
    ([create(due_date="soon")], {"operations[0].data.due_date": {"invalid_value"}}),
    ([create(tags=["a", "a"])], {"operations[0].data.tags[1]": {"duplicate"}}),
    ([create(tags=[""])], {"operations[0].data.tags[0]": {"too_short"}}),
    ([create(id="x")], {"operations[0].data.id": {"invalid_value"}}),
    ([{"op": "delete"}], {"operations[0].id": {"required"}}),
    ([{"op": "restore"}, {"op": "complete"}],
     {"operations[0].id": {"required"}, "operations[1].id": {"required"}}),
    ([{"op": "update", "data": {"title": "x"}}], {"operations[0].id": {"required"}}),
    ([op("update", NEVER)], {"operations[0].data": {"required"}}),
    ([op("update", NEVER, data={"title": None})], {"operations[0].data.title": {"invalid_type"}}),
    ([op("delete", "x")], {"operations[0].id": {"invalid_value"}}),
    ([op("delete", NO_ID)], {"operations[0].id": {"invalid_value"}}),
    ([{"op": "delete", "id": 5}], {"operations[0].id": {"invalid_type"}}),
    ([op("delete", NEVER, if_match="x")], {"operations[0].if_match": {"invalid_value"}}),
    ([op("delete", NEVER, if_match="*")], {"operations[0].if_match": {"invalid_value"}}),
    ([op("delete", NEVER, if_match=1.5)], {"operations[0].if_match": {"invalid_type"}}),
    ([op("delete", NEVER, if_match=-1)], {"operations[0].if_match": {"out_of_range"}}),
    ([op("delete", NEVER, if_match=None)], {"operations[0].if_match": {"invalid_type"}}),
    ([op("restore", NEVER, if_match=1)], {"operations[0].if_match": {"not_allowed"}}),
    ([{**create(), "if_match": 1}], {"operations[0].if_match": {"not_allowed"}}),
])
def test_refusals(user, atomic, operations, expected):
    """Judged before anything is done: each with its place, and nothing happens."""
    a = batch(user, *operations, atomic=atomic).expect(422, "validation_failed")
    assert a.fields == expected
    assert user.tasks() == []


@pytest.mark.parametrize("body,expected", [
    ({}, {"operations": {"required"}}),
    ({"operations": []}, {"operations": {"too_few"}}),
    ({"operations": None}, {"operations": {"invalid_type"}}),
    ({"operations": create()}, {"operations": {"invalid_type"}}),
    ({"operations": [create()], "atomic": "yes"}, {"atomic": {"invalid_type"}}),
    ({"operations": [create()], "atomic": None}, {"atomic": {"invalid_type"}}),
    ({"operations": [create()] * 101}, {"operations": {"too_many"}}),
    ({"operations": [{}] * 5000}, {"operations": {"too_many"}}),
])
def test_bad_bodies(user, body, expected):
    a = user.call("POST", "tasks/batch", body).expect(422, "validation_failed")
    assert a.fields == expected
    assert user.tasks() == []


def test_what_is_no_batch(user):
    for body in (b"", b"[]", b'[{"op":"delete"}]', b"{", b'{"operations":[}'):
        user.call("POST", "tasks/batch", body).expect(400, "invalid_json")
    user.call("POST", "tasks/batch", b"op=delete", media="text/plain").expect(415)
    user.call("POST", "tasks/batch",
              {"operations": [create("x" * 200, description="y" * 9000)] * 8}).expect(
        413, "body_too_large")
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        user.call(method, "tasks/batch", {} if method != "GET" else None).expect(405)
    assert user.tasks() == []


def test_strict(user):
    """Unknown members, in the operations as well."""
    operation = {**create(extra=1), "more": 2}
    body = {"operations": [operation], "other": 3}
    user.call("POST", "tasks/batch", body).expect(207)
    a = user.call("POST", "tasks/batch", body, headers={"Prefer": "handling=strict"}).expect(422)
    assert a.fields == {k: {"unknown_field"} for k in (
        "other", "operations[0].more", "operations[0].data.extra")}
    assert len(user.tasks()) == 1


@pytest.mark.parametrize("atomic", [False, True])
def test_100_operations(user, atomic):
    a = batch(user, *[create(f"task {i}") for i in range(100)], atomic=atomic)
    made = items(a, *[201] * 100)
    assert [t["title"] for t in made] == [f"task {i}" for i in range(100)]
    assert len({t["id"] for t in made}) == 100
    assert {t["id"] for t in user.tasks()} == {t["id"] for t in made}
    found = items(batch(user, *[op("delete", t) for t in made], atomic=atomic), *[200] * 100)
    assert all(t["deleted_at"] for t in found) and user.tasks() == []


def test_100_large_operations(user):
    """An answer much larger than the request: each of a hundred tasks is shown whole."""
    task = user.create("x", description="\u0001" * 10000)
    a = batch(user, *[op("complete", task, data={"completed": i % 2 == 0}) for i in range(100)],
              atomic=True)
    found = items(a, *[200] * 100)
    assert len(a.body) > 6_000_000 and found[-1] == user.task(task)


# --- whose, and at once -------------------------------------------------------------------------


def test_the_tasks_of_others_were_never_there(user, other):
    theirs, thrown = other.create("theirs"), other.create("thrown")
    other.call("DELETE", f"tasks/{thrown['id']}").expect(200)
    before = state(other)

    def operations(alive, dead):
        return [op("update", alive, data={"title": "taken"}), op("complete", alive),
                op("delete", alive), op("delete", alive, if_match=theirs["version"]),
                op("restore", dead)]

    a = batch(user, *operations(theirs, thrown)).expect(207)
    b = batch(user, *operations(NEVER, NEVER)).expect(207)
    assert a.bare() == b.bare() or (
        a.body.replace(a.request_id.encode(), b"") == b.body.replace(b.request_id.encode(), b""))
    assert {p["code"] for p in items(a, *[404] * 5)} == {"not_found"}
    for i, operation in enumerate(operations(theirs, thrown)):
        x = batch(user, operation, atomic=True).expect(404, "not_found")
        y = batch(user, operations(NEVER, NEVER)[i], atomic=True)
        assert x.bare() == y.bare()
    # an id that somebody else has is free
    items(batch(user, create("mine", id=theirs["id"]), create("mine", id=thrown["id"])), 201, 201)
    assert state(other) == before


def test_somebody_elses_path(user, other):
    never = batch(user, create(), path=f"/api/{NEVER}/tasks/batch").expect(404)
    for who in (other.id, "x", "ME"):
        assert batch(user, create(), path=f"/api/{who}/tasks/batch").bare() == never.bare()
    assert other.tasks() == user.tasks() == []
    items(batch(user, create(), path="/api/me/tasks/batch"), 201)


def test_an_ended_session_does_nothing(user):
    user.call("POST", "/api/auth/logout").expect(200)
    for atomic in (False, True):
        batch(user, create(), create(), atomic=atomic).expect(401, "session_ended")


def test_opposite_orders_at_once(user):
    """Two batches that want the same rows from both ends: neither fails."""
    tasks = [user.create(str(i)) for i in range(10)]

    def one(i):
        order = tasks if i % 2 else tasks[::-1]
        return batch(user, *[op("update", t, data={"description": f"by {i}"}) for t in order],
                     atomic=True)

    for a in at_once(8, one):
        items(a.expect(200), *[200] * 10)
    assert len({t["description"] for t in user.tasks()}) == 1  # the last one's, in all of them


def test_readers_never_see_half_of_an_atomic_batch(user):
    tasks = [user.create(str(i)) for i in range(10)]

    def one(i):
        for k in range(15):
            if i == 0:
                batch(user, *[op("update", t, data={"description": str(k)}) for t in tasks],
                      atomic=True).expect(200)
            else:
                assert len({t["description"] for t in user.tasks()}) == 1

    at_once(3, one)
