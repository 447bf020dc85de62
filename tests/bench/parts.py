"""The parts of the benchmark. Each takes the run and puts what it found into run.found."""

import json
import os
import pathlib
import re
import statistics
import subprocess
import time

import machine
import pgproxy
import rig
import stack as stacks
import wire
from contestants import (ACCESS_S, PASSWORD, TASK_ROWS, WORKERS, Stack, listening, register, spawn,
                         end, statement)

CONNECTIONS = (16, 256)
PGBENCH_MOST = 64
READS, WRITES, OTHERS = ("list", "get"), ("patch", "create"), ("401", "refresh")
# Who takes part in what. Kept connections pin clients to workers; the floor would starve those
# beyond its number, so that it is asked with 16 only.
PARTS = {
    "list": ("taskcell", "floor", "taskcell, kept", "floor, kept", "FastAPI", "Fastify"),
    "get": ("taskcell", "floor", "taskcell, kept", "floor, kept", "FastAPI", "Fastify"),
    "patch": ("taskcell", "taskcell, kept", "FastAPI", "Fastify"),
    "create": ("taskcell", "taskcell, kept", "FastAPI", "Fastify"),
    "401": ("taskcell", "FastAPI", "Fastify"),
    "refresh": ("taskcell", "FastAPI", "Fastify"),
}


def middle(runs, key):
    return statistics.median(key(r) for r in runs)


def summary(runs):
    """One line of several runs: medians, the highest memory, and all that went wrong."""
    found = {k: middle(runs, lambda r, k=k: r[k]) for k in ("rate", "p50", "p99", "p999")}
    found["wrong"] = sum(r["wrong"] for r in runs)
    found["requests"] = sum(r["requests"] for r in runs)
    found["cpu"] = {g: middle(runs, lambda r, g=g: r["cpu"][g]) for g in runs[0]["cpu"]}
    return found


# --- requests a second ----------------------------------------------------------------------------


def run_load(run, kind, connections, rounds):
    """In turns, so that a machine whose speed drifts favours nobody. Ratios are of pairs."""
    world, runs = run.world, {}
    names = [n for n in PARTS[kind] if n in world.contestants
             and not (n == "floor, kept" and connections > 16)]
    for number in range(rounds):
        for name in names:
            r = machine.load(world.contestants[name], kind, connections, run.seconds,
                             f"{number}-{connections}-{name.replace(', ', '-')}")
            runs.setdefault(name, []).append(r)
            for group, m in r["memory"].items():
                old = run.found["memory"].setdefault(name, {}).get(group)
                if not old or m["pss"] > old["pss"]:
                    run.found["memory"][name][group] = m
            run.say(f"{kind:8}{connections:4}  {name:16}{r['rate']:8.0f}/s")
    lines = {name: summary(r) for name, r in runs.items()}
    for name in names:
        for other in names:
            pairs = [a["rate"] / max(1, b["rate"]) for a, b in zip(runs[name], runs[other])]
            lines[name].setdefault("ratio", {})[other] = statistics.median(pairs)
    run.found["loads"][f"{kind} {connections}"] = lines


def at_rest(run):
    run.found["rest"] = {name: {g: machine.memory_of(pids()) for g, pids in c.groups().items()}
                         for name, c in run.world.contestants.items()}


def warm_up(run):
    """Compilers, plans, pools and caches."""
    for c in run.world.contestants.values():
        machine.wrk(c.port, "list", c.data("list", 16), 16, run.seconds)


def part_list(run):
    for kind in READS:
        for c in CONNECTIONS:
            run_load(run, kind, c, run.rounds)


def part_others(run):
    for kind in OTHERS:
        for c in CONNECTIONS:
            # a refresh token of taskcell's is good for one run
            run_load(run, kind, c, 1)


# --- writes, and pgbench with the same statements -------------------------------------------------


def with_values(name, values):
    """The statement with a text in place of each parameter."""
    return re.sub(r"\$(\d+)", lambda m: values[int(m[1])], statement(name))


def pgbench_script(kind):
    """What taskcell sends for this request, in one pipeline. Each client is a user of its own."""
    enter = with_values("session_enter", {1: ":uid", 2: ":sid"})
    if kind == "create":
        values = {1: ":uid", 2: "(lpad(:task::text, 32, '0'))", 3: "'Water the plants'",
                  4: "'Those on the balcony twice, and the lemon tree with rain water'",
                  5: "false", 6: "0", 7: "'2027-03-01'", 8: "'2027-03-01Z'", 9: "'{home}'",
                  10: "null", 11: "null", 12: "null", 13: "null"}
        body = [enter, with_values("user_lock", values), with_values("task_create", values)]
        look = "\\set task :client_id * 1000000000 + random(1, 100000000)"
    else:
        values = {n: "null" for n in range(1, 14)} | {
            1: ":uid", 2: ":tid", 4: "'Changed ' || :n::bigint", 5: "false",
            7: "(:n::bigint % 2 = 0)", 8: "false", 10: "false"}
        body = [enter, with_values("task_change", values)]
        look = "\\set task 0"
    return "\n".join([
        "\\if :ready = 0",
        "select uid, sid, tid from taskcell.bench_people where n = :client_id \\gset",
        look, "\\set ready 1", "\\set n 0", "\\endif",
        "\\set task :task + 1", "\\set n :n + 1",
        "\\startpipeline", *(b + ";" for b in body), "\\endpipeline"]) + "\n"


def prepare_pgbench(world):
    rows = ",".join(f"({i},'{p.id}','{p.sid}','{p.tasks[0]}')"
                    for i, p in enumerate(world.people[:max(CONNECTIONS)]))
    world.postgres.admin.run(f"""
        create table if not exists taskcell.bench_people (n int primary key, uid text, sid text,
                                                          tid text);
        truncate taskcell.bench_people;
        insert into taskcell.bench_people values {rows};
        grant select on taskcell.bench_people to taskcell""")


def pgbench(run, kind, connections):
    """Transactions a second. The role is taskcell's own, behind the same policies. Beyond some
    clients it only gets slower, by connections that prepare statements and wait for each other."""
    clients = min(connections, PGBENCH_MOST)
    world = run.world
    script = world.dir / f"pgbench-{kind}.sql"
    script.write_text(pgbench_script(kind), encoding="utf-8")
    before = set(world.backends())
    done = subprocess.run(
        [f"{world.postgres.bin}/pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "1",
         "-T", str(max(4, run.seconds)), "-D", "ready=0", "-D", "task=0", "-D", "n=0",
         "-f", str(script), world.postgres.url],
        capture_output=True, text=True, check=False)
    m = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or not m:
        raise RuntimeError(f"pgbench: {done.stdout}{done.stderr[-3000:]}")
    # or their time would count for whoever is next; autovacuum has up to three processes
    stacks.wait_for("the end of its backends", lambda: len(set(world.backends()) - before) <= 3)
    return float(m[1])


def part_writes(run):
    prepare_pgbench(run.world)
    for kind in WRITES:
        for c in CONNECTIONS:
            pairs, rates = {}, []
            for _ in range(run.rounds):
                run.found["loads"].pop(f"{kind} {c}", None)
                run_load(run, kind, c, 1)
                lines = run.found["loads"][f"{kind} {c}"]
                rates.append(pgbench(run, kind, c))
                run.say(f"{kind:8}{c:4}  {'pgbench':16}{rates[-1]:8.0f}/s")
                for name, line in lines.items():
                    pairs.setdefault(name, []).append((line, line["rate"] / rates[-1]))
            for name, found in pairs.items():
                line = lines[name] = summary([p[0] for p in found])
                line["ratio"] = {"pgbench": statistics.median(p[1] for p in found)}
            run.found["pgbench"][f"{kind} {c}"] = statistics.median(rates)


# --- cost of a request ----------------------------------------------------------------------------


class Direct:
    """A program with the listening socket as descriptor 0, asked over FastCGI by itself."""

    def __init__(self, directory, start):
        self.path = directory / "cost.sock"
        self.log = directory / "cost.log"
        self.start = start

    def serve(self, prefix=()):
        self.path.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)
        with listening(self.path) as s:
            return self.start(prefix, s, self.log), self.log

    def ask(self, message, status):
        with wire.Connection(self.path, timeout=120) as c:
            c.send(message)
            data = b"".join(r[2] for r in iter(c.next, None) if r[0] == wire.STDOUT)
        if not data.startswith(b"Status: %d" % status):
            raise RuntimeError(f"wanted {status}: {data[:300]!r}")
        return data

    def cost(self, message, status=200, numbers=(100, 300)):
        """`message(i)`: the bytes of a request."""
        return machine.instructions(self.serve, lambda i: self.ask(message(i), status), numbers)


def taskcell_alone(world, database=None):
    stack = world.stack
    env = stack.environment(**({"database": database} if database else {}))

    def start(prefix, sock, log):
        return spawn([*prefix, str(world.build / "taskcell"), "--worker"], log, stdin=sock, env=env)

    return start


def floor_alone(world):
    def start(prefix, sock, log):
        return spawn([*prefix, str(world.build / "tests/bench/floor"), "0",
                      statement("task_list_newest"), statement("task_get")], log, stdin=sock,
                     env={**os.environ, "DATABASE_URL": world.peer_url})

    return start


def messages(world):
    """By kind: the message number i, and the status that answers it. Ten people take turns."""
    people = world.people[:10]

    def who(i):
        return people[i % len(people)]

    def body(i):
        return json.dumps({"title": f"Number {i} of {time.monotonic_ns()}"}).encode()

    def tasks(i):
        return f"/api/{who(i).id}/tasks"

    return {
        "list": (lambda i: wire.message("GET", tasks(i) + "?limit=20", token=who(i).access), 200),
        "get": (lambda i: wire.message("GET", f"{tasks(i)}/{who(i).tasks[0]}",
                                       token=who(i).access), 200),
        "create": (lambda i: wire.message("POST", tasks(i), body(i), who(i).access), 201),
        "patch": (lambda i: wire.message("PATCH", f"{tasks(i)}/{who(i).tasks[0]}", body(i),
                                         who(i).access), 200),
        "401": (lambda i: wire.message("GET", tasks(i) + "?limit=20",
                                       token=who(i).access[:-6] + "AAAAAA"), 401),
    }


def part_cost(run):
    world, found = run.world, run.found["cost"]
    ours, floor = (Direct(world.dir, f(world)) for f in (taskcell_alone, floor_alone))
    kinds = messages(world)
    for kind, (message, status) in kinds.items():
        found[kind] = {"taskcell": ours.cost(message, status)}
        if kind in READS:
            found[kind]["floor"] = floor.cost(message)
        run.say(f"instructions, {kind}: {found[kind]}")
    found["round trips"] = round_trips(world, kinds)
    found["start"] = starts(world, ours, floor, kinds["list"][0](0))
    done = subprocess.run([str(world.build / "tests/bench/tokens")], capture_output=True, text=True,
                          check=True)
    found["tokens"] = {line.split()[0]: [float(x) for x in line.split()[1:]]
                       for line in done.stdout.splitlines()[1:]}


def round_trips(world, kinds):
    """Counted between taskcell and PostgreSQL, by who speaks when and by Syncs."""
    proxy = pgproxy.Proxy(world.dir / "proxy", world.postgres.url)
    d = Direct(world.dir, taskcell_alone(world, proxy.url))
    process, _ = d.serve()
    found = {}
    try:
        d.ask(kinds["get"][0](0), 200)  # connects
        for kind, (message, status) in kinds.items():
            before = proxy.counts()
            for i in range(5):
                d.ask(message(i), status)
            after = proxy.counts()
            found[kind] = max(after[0] - before[0], after[1] - before[1]) / 5
    finally:
        end(process)
    return found


def starts(world, ours, floor, message):
    """Seconds from start to the first list, the median of some. Of taskcell both as one process and
    as a master with its workers."""
    found = {}
    for name, d in (("taskcell, one process", ours), ("floor", floor)):
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            process, _ = d.serve()
            d.ask(message, 200)
            times.append(time.perf_counter() - begun)
            end(process)
        found[name] = statistics.median(times)
    times = []
    for i in range(5):
        s = Stack(world.postgres, world.dir / f"start{i}", world.build, with_nginx=False,
                  workers=WORKERS, auth_workers=2, access_token_lifetime=ACCESS_S)
        path = s.settings["listen"]
        begun = time.perf_counter()
        s.start_taskcell()
        machine.await_answer(lambda path=path: first_answer(path, message))
        times.append(time.perf_counter() - begun)
        s.stop()
    found["taskcell"] = statistics.median(times)
    found |= {name: c.start_s for name, c in world.contestants.items() if c.start_s}
    return found


def first_answer(path, message):
    with wire.Connection(path) as c:
        c.send(message)
        return any(r[0] == wire.STDOUT for r in iter(c.next, None))


# --- a cost that stays flat -----------------------------------------------------------------------


def part_flat(run):
    """A user with 50 tasks among 1,000 users, one with 50,000, and the first among 1,000,000."""
    world, found = run.world, run.found["flat"]
    url = world.postgres.url.replace("/taskcell?", "/flat?")
    world.postgres.admin.run("create database flat owner taskcell")
    sql = stacks.Database(world.postgres, world.postgres.admin_url.replace("/taskcell?", "/flat?"))
    s = rig.Server(world.postgres, world.dir / "flat", world.build, workers=2, auth_workers=0,
                   listen_auth="", database=url, access_token_lifetime=ACCESS_S)
    s.migrate()
    s.start()
    try:
        few, many = (s.http.request("POST", "/api/auth/register", {
            "email": f"{name}@example.org", "password": PASSWORD}).expect(201).json
            for name in ("few", "many"))
    finally:
        world.wrong += s.stop()
    d = Direct(world.dir, taskcell_alone(world, url))

    def cost(who):
        sent = wire.message("GET", f"/api/{who['user']['id']}/tasks?limit=20",
                            token=who["access_token"])
        n = d.cost(lambda i: sent, numbers=(50, 150))
        return {"instructions": n, **database_cost(sql, who)}

    big(sql, others(998) + TASK_ROWS % (50, "true") + "; analyze")
    found["50 tasks, 1,000 users"] = cost(few)
    big(sql, TASK_ROWS % (50000 - 50, f"u.id = '{many['user']['id']}'") + "; analyze")
    found["50,000 tasks, 1,000 users"] = cost(many)
    users = run.many_users
    big(sql, others(users - 1000) + TASK_ROWS % (1, "u.email = 'other'") + "; analyze")
    found[f"50 tasks, {users:,} users"] = cost(few)
    run.say(f"flat: {found}")


def big(sql, text):
    """Like Database.run(), but it may take its time."""
    done = subprocess.run(sql.command, input="set synchronous_commit = off;" + text,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)


def others(n):
    return f"""
        with made as (
            insert into taskcell.users (id, email)
              select gen_random_uuid(), 'other' from generate_series(1, {n}) returning id)
        insert into taskcell.credentials (user_id, password_hash) select id, '' from made;
        """


EXPLAIN = """
        explain (analyze, buffers, timing off) execute s ('%s', null, null, null, null, null, null,
            null, 21, 'infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff');"""


def database_cost(sql, who):
    """The blocks that the statement touches, once its plan is made."""
    out = "\n".join(r[0] for r in sql.run(f"""
        set role taskcell;
        prepare s as {statement("task_list_newest")};
        begin; select set_config('taskcell.user_id', '{who["user"]["id"]}', true);
        {EXPLAIN % who["user"]["id"] * 2}
        commit"""))
    last = out[out.rindex("Limit  ("):]
    m = re.search(r"Buffers: shared((?: \w+=\d+)+)", last)
    return {"blocks": sum(int(n) for n in re.findall(r"(?:hit|read)=(\d+)", m[1]))}


# --- a thousand people ----------------------------------------------------------------------------


def part_crowd(run):
    """All people on as many held connections, reading and writing."""
    c = run.world.contestants["taskcell"]
    n, found = len(run.world.people), run.found["crowd"]
    for name in ("taskcell", "taskcell, kept", "Fastify", "FastAPI"):
        if name not in run.world.contestants:
            continue
        c = run.world.contestants[name]
        seconds = run.crowd_seconds if name == "taskcell" else run.seconds
        with machine.Watch(c.groups()) as watch:
            r = machine.wrk(c.port, "mixed", c.data("mixed", n), n, seconds, f"crowd-{name}")
        r["memory"] = watch.peak
        r["seconds"] = seconds
        found[name] = r
        run.say(f"crowd, {name}: {r}")


ALL = {"list": part_list, "writes": part_writes, "others": part_others, "crowd": part_crowd,
       "cost": part_cost, "flat": part_flat}
