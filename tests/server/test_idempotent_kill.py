"""Workers killed at random moments while tasks are made that must be made once."""

import collections
import contextlib
import http.client
import os
import random
import signal
import threading
import time

import client
from rig import BREAKDOWN

TASKS = 5000
THREADS = 8
WORKERS = 8
TASKS_A_KILL = 250  # at most
PATIENCE_S = 120


class Creator:
    """Makes its share of the tasks, each until it is acknowledged."""

    def __init__(self, user, numbers):
        self.user = user
        self.numbers = numbers
        self.made = {}
        self.counts = collections.Counter()
        self.defect = None

    def send(self, number):
        """None when the connection was lost."""
        try:
            return self.user.call("POST", "tasks", {"title": f"task {number}"},
                                  headers={"Idempotency-Key": f"key-{number}"})
        except (OSError, http.client.HTTPException):
            return None

    def create(self, number):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            a = self.send(number)
            if a is not None and a.status == 201:
                self.counts["replayed"] += a.header("Idempotency-Replayed") == "true"
                assert a.json["title"] == f"task {number}", a
                return a.json["id"]
            assert a is None or a.status in BREAKDOWN, a
            self.counts[a.status if a is not None else "lost"] += 1
        raise AssertionError(f"task {number} cannot be made")

    def run(self):
        try:
            for number in self.numbers:
                self.made[number] = self.create(number)
        except Exception as e:  # pylint: disable=broad-except
            self.defect = e


def kill_until_done(server, threads, creators, choice):
    """After a random number of tasks and a random time inside a request, a random worker. Most are
    left: one that dies young again and again is replaced later and later."""
    kills, goal = 0, 0
    while any(t.is_alive() for t in threads):
        workers = server.workers()
        if sum(len(c.made) for c in creators) < goal or len(workers) < WORKERS / 2:
            threads[0].join(0.002)
            continue
        threads[0].join(choice.uniform(0, 0.01))
        with contextlib.suppress(ProcessLookupError):
            os.kill(choice.choice(workers), signal.SIGKILL)
            kills += 1
        goal = sum(len(c.made) for c in creators) + choice.randrange(1, TASKS_A_KILL)
    return kills


def test_every_task_is_made_once(make, tell):
    seed = random.SystemRandom().randrange(10 ** 6)
    s = make(with_nginx=True, workers=WORKERS)
    user = client.register(s.http)
    creators = [Creator(user, range(i, TASKS, THREADS)) for i in range(THREADS)]
    threads = [threading.Thread(target=c.run) for c in creators]
    began = time.monotonic()
    for t in threads:
        t.start()
    kills = kill_until_done(s, threads, creators, random.Random(seed))
    took = time.monotonic() - began
    for c in creators:
        if c.defect:
            raise c.defect
    counts = sum((c.counts for c in creators), collections.Counter())
    made = {number: task for c in creators for number, task in c.made.items()}
    rows = s.sql.run(f"select id, title from taskcell.tasks where user_id = '{user.id}'")
    tell(f"seed {seed}: {kills} kills in {took:.1f} s, {len(rows)} tasks; {dict(counts)}")
    assert kills > 3 and counts.total() > 0, "nothing was broken: this shows nothing"
    assert len(made) == len(rows) == TASKS
    assert {int(title.split()[1]): task for task, title in rows} == made
    s.wait_settled()
