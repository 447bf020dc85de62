"""A client that only follows the changes has what the server has."""

import random
import threading
import uuid

import pytest

import client

WRITERS = 4
WRITES = 100  # of each
SEEDS = range(1, 11)
PRIORITIES = ("none", "low", "medium", "high")


class Writer(threading.Thread):
    """Does at random what people do. All share the ids, so that they meet at the same tasks."""

    def __init__(self, user, seed, ids):
        super().__init__()
        self.user = user
        self.choice = random.Random(seed)
        self.ids = ids  # of every task that ever was
        self.defect = None
        self.statuses = set()

    def run(self):
        try:
            for _ in range(WRITES):
                self.write()
        except Exception as e:  # pylint: disable=broad-except
            self.defect = e

    def write(self):
        actions = [self.create] * 5 + [self.change] * 5 + [self.complete] * 3 + \
            [self.delete] * 3 + [self.restore] * 3 + [self.batch] * 3 + [self.purge, self.clear]
        self.choice.choice(actions)()

    def call(self, *args, expect, **kw):
        a = self.user.call(*args, **kw)
        assert a.status in expect, a
        self.statuses.add(a.status)
        return a

    def any_id(self):
        return self.choice.choice(self.ids) if self.ids else client.NEVER

    def fields(self):
        c = self.choice
        given = {"title": f"task {c.randrange(1000)}", "description": c.choice((None, "", "d")),
                 "completed": c.random() < 0.3, "priority": c.choice(PRIORITIES),
                 "due_date": c.choice((None, "2030-02-28", "2030-03-01T10:00:00+02:00")),
                 "tags": c.sample(("a", "b", "c", "d"), c.randrange(4))}
        return {k: given[k] for k in c.sample(sorted(given), c.randrange(1, len(given)))}

    def create(self):
        body = {**self.fields(), "title": "new"}
        if self.choice.random() < 0.5:
            a = self.call("POST", "tasks", body, expect={201})
            self.ids.append(a.json["id"])
            return
        chosen = str(uuid.UUID(int=self.choice.getrandbits(128), version=4))
        self.call("PUT", f"tasks/{chosen}", body, headers={"If-None-Match": "*"}, expect={201})
        self.ids.append(chosen)

    def change(self):
        method = self.choice.choice(("PUT", "PATCH"))
        self.call(method, f"tasks/{self.any_id()}", self.fields(), expect={200, 404})

    def complete(self):
        self.call("POST", f"tasks/{self.any_id()}/complete", expect={200, 404})

    def delete(self):
        self.call("DELETE", f"tasks/{self.any_id()}", expect={200, 404})

    def restore(self):
        self.call("POST", f"trash/{self.any_id()}/restore", expect={200, 404})

    def purge(self):
        self.call("DELETE", f"trash/{self.any_id()}", expect={204, 404})

    def clear(self):
        self.call("DELETE", "tasks?completed=true", expect={200})

    def batch(self):
        operations = []
        for _ in range(self.choice.randrange(1, 9)):
            op = self.choice.choice(("create", "update", "delete", "complete", "restore"))
            operation = {"op": op}
            if op != "create":
                operation["id"] = self.any_id()
            if op == "create":
                operation["data"] = {**self.fields(), "title": "of a batch"}
            elif op == "update":
                operation["data"] = self.fields()
            operations.append(operation)
        atomic = self.choice.random() < 0.5
        a = self.call("POST", "tasks/batch", {"atomic": atomic, "operations": operations},
                      expect={200, 404} if atomic else {207})
        for item in a.json.get("items", ()):
            if item["status"] == 201:
                self.ids.append(item["task"]["id"])


class Reader(threading.Thread):
    """Knows nothing but what the feed tells."""

    def __init__(self, user, seed, over):
        super().__init__()
        self.user = user
        self.choice = random.Random(seed)
        self.over = over
        self.tasks = {}
        self.place = None
        self.version = 0
        self.told = self.deletions = 0
        self.defect = None

    def run(self):
        try:
            while not self.over.is_set():
                self.read()
            while self.read():  # what is left
                pass
        except Exception as e:  # pylint: disable=broad-except
            self.defect = e

    def read(self):
        """True when there may be more."""
        path = f"changes?limit={self.choice.choice((1, 2, 7, 100))}"
        if self.place:
            path += f"&since={self.place}"
        body = self.user.call("GET", path).expect(200).json
        for change in body["changes"]:
            assert change["version"] > self.version, (change, self.version)
            self.version = change["version"]
            if change.get("deleted"):
                assert set(change) == {"id", "deleted", "version"}
                self.tasks.pop(change["id"], None)
                self.deletions += 1
            else:
                self.tasks[change["id"]] = change
        self.told += len(body["changes"])
        self.place = body["next"]
        assert body["changes"] or not body["more"], body
        return bool(body["changes"])


@pytest.mark.parametrize("seed", SEEDS)
def test_followers_of_a_storm(http, seed, capsys):
    """One that was there from the beginning, one that comes in the middle of it."""
    user = client.register(http)
    for _ in range(5):
        user.call("DELETE", f"tasks/{user.create('before')['id']}").expect(200)
    ids, over = [], threading.Event()
    readers = [Reader(user, seed, over), Reader(user, seed + 1000, over)]
    writers = [Writer(user, seed * 100 + i, ids) for i in range(WRITERS)]
    readers[0].read()
    for t in (readers[0], *writers):
        t.start()
    while len(ids) < WRITERS * WRITES / 8 and any(w.is_alive() for w in writers):
        writers[0].join(0.01)
    readers[1].start()
    for w in writers:
        w.join()
    over.set()
    for r in readers:
        r.join()
    for t in (*writers, *readers):
        if t.defect:
            raise t.defect
    state = {t["id"]: t for t in user.tasks()}
    with capsys.disabled():
        print(f"\nseed {seed}: {WRITERS * WRITES} writes, {len(ids)} tasks made, "
              f"{len(state)} left; told {[r.told for r in readers]} changes, "
              f"{[r.deletions for r in readers]} deletions", end="")
    assert len(state) > 5 and readers[0].deletions > 5, "too little has happened"
    for r in readers:
        assert r.tasks == state
    # and nothing is told twice
    for r in readers:
        assert not r.read()
