"""Nobody sees, changes or even learns of another's tasks: T041-T046, T055."""

import pytest

from client import NEVER, at_once

BODY = {"title": "taken over", "completed": True}
# What a client can do to one task, and whether it sends a body.
ONE = [("GET", "", None), ("HEAD", "", None), ("PUT", "", BODY), ("PATCH", "", BODY),
       ("PATCH", "", None), ("PATCH", "/complete", None),
       ("POST", "/complete", {"completed": True}), ("DELETE", "", None)]
HEADERS = [{}, {"If-Match": "*"}, {"If-Match": '"1"'}, {"Prefer": "return=minimal"},
           {"Prefer": "handling=strict"}]


@pytest.mark.parametrize("method,tail,body", ONE)
def test_another_users_task_is_a_row_that_never_existed(user, other, method, tail, body):
    """T055: 404, never 403: the same bytes apart from the request's id."""
    theirs = other.create("theirs", description="private")
    mine = user.create("mine")
    own = f"/api/{user.id}/tasks"
    for headers in HEADERS:
        never = user.call(method, f"{own}/{NEVER}{tail}", body, headers=headers)
        never.expect(404)
        others = [
            f"{own}/{theirs['id']}{tail}",  # not mine, under my path
            f"/api/me/tasks/{theirs['id']}{tail}",
            f"/api/{other.id}/tasks/{theirs['id']}{tail}",  # theirs, under their path
            f"/api/{other.id}/tasks/{NEVER}{tail}",
            f"/api/{other.id}/tasks/{mine['id']}{tail}",  # mine, under their path
            f"/api/{NEVER}/tasks/{theirs['id']}{tail}",  # nobody's path
            f"/api/x/tasks/{theirs['id']}{tail}",  # no ids at all
            f"{own}/x{tail}",
            f"{own}/{theirs['id'][:-1]}{tail}",
            f"{own}/{theirs['id']}0{tail}",
            f"{own}/%00x{tail}".replace("%00", "%01"),
        ]
        for target in others:
            a = user.call(method, target, body, headers=headers)
            assert a.bare() == never.bare(), (target, headers)
    assert other.tasks() == [theirs]
    assert user.tasks() == [mine]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_another_users_list(user, other, method):
    """T041, T043: the list and the creation too."""
    other.create("theirs")
    never = user.call(method, f"/api/{NEVER}/tasks", BODY if method == "POST" else None)
    never.expect(404)
    for who in (other.id, other.id.upper(), "x", "ME", "1", "%6De%20", other.email):
        a = user.call(method, f"/api/{who}/tasks", BODY if method == "POST" else None)
        assert a.bare() == never.bare(), who
    assert len(other.tasks()) == 1 and user.tasks() == []


@pytest.mark.parametrize("method,tail,body", [
    ("GET", "trash", None), ("GET", "changes", None), ("GET", "stats", None),
    ("DELETE", "tasks?completed=true", None), ("GET", "tasks?format=csv", None),
    ("POST", "tasks/batch", {"operations": [{"op": "create", "data": BODY}]}),
    ("POST", "tasks/import", [BODY]), ("PUT", f"tasks/{NEVER}", BODY),
])
def test_another_users_collections(user, other, method, tail, body):
    """What else there is about tasks: nobody else's can be seen, and nothing be put there."""
    theirs = [other.create("theirs"), other.create("done", completed=True)]
    headers = {"If-None-Match": "*"} if method == "PUT" else {}
    never = user.call(method, f"/api/{NEVER}/{tail}", body, headers=headers).expect(404)
    for who in (other.id, other.id.upper(), "x", "ME", other.email):
        a = user.call(method, f"/api/{who}/{tail}", body, headers=headers)
        assert a.bare() == never.bare(), who
    assert other.tasks() == theirs[::-1] and user.tasks() == []


def test_path_comes_before_the_body(user, other):
    """What a stranger's path would say about the body stays unsaid."""
    for data, media in ((b"{", "application/json"), (b"x", "text/plain"), (b"", None),
                        (b'{"title":5}', "application/json")):
        for target in (f"/api/{other.id}/tasks", f"/api/{NEVER}/tasks"):
            user.call("POST", target, data, media=media).expect(404, "not_found")
    user.call("GET", f"/api/{other.id}/tasks?limit=0").expect(404, "not_found")


def test_lists_hold_the_own_tasks_only(user, other):
    mine = [user.create(f"mine {i}") for i in range(3)]
    theirs = [other.create(f"theirs {i}") for i in range(3)]
    assert user.tasks() == mine[::-1] and other.tasks() == theirs[::-1]


def test_workers_keep_nothing_of_the_former_user(http, user, other):
    """Two people at once through the same workers and connections."""
    people = [user, other]
    for p in people:
        p.create(p.email)

    def look(i):
        p = people[i % 2]
        return [(p, user_task) for _ in range(15) for user_task in p.tasks()]

    for seen in at_once(8, look):
        assert all(t["user_id"] == p.id and t["title"] == p.email for p, t in seen)
    assert http.request("GET", "/api/me/tasks").status == 401


def test_versions_tell_nothing_about_others(user, other):
    """Each person counts alone."""
    first = user.create()["version"]
    for i in range(5):
        other.create(str(i))
    assert user.create()["version"] == first + 1


def test_fence_in_the_database(stack, user, other):
    """The server's own role sees no row that no session has been entered for."""
    user.create("x")
    other.create("y")
    as_server = f"set role taskcell; set taskcell.user_id = '{user.id}'; "
    assert stack.sql.run("set role taskcell; select * from taskcell.tasks") == []
    assert stack.sql.run("set role taskcell; select * from taskcell.users") == []
    seen = stack.sql.run(as_server + "select distinct user_id from taskcell.tasks")
    assert seen == [[user.id]]
