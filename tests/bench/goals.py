"""The goals, and the table that has them beside the figures."""

KINDS = {"list": "list of 20", "get": "get one", "patch": "patch", "create": "create",
         "401": "401 on a bad token", "refresh": "refresh"}


class Goal:
    """`figure(found)`: a number, or None when its part was not run. `low`: at least, else at
    most. `why`: what a reader should know when it is missed."""

    def __init__(self, text, figure, limit, form="{:.2f}", low=False, why=""):
        self.text, self.figure, self.limit = text, figure, limit
        self.form, self.low, self.why = form, low, why

    def look(self, found):
        """None, or the figure as text and whether the goal is met."""
        try:
            x = self.figure(found)
        except KeyError:
            return None
        met = x >= self.limit if self.low else x <= self.limit
        return self.form.format(x), met

    @property
    def wanted(self):
        return (">= " if self.low else "<= ") + self.form.format(self.limit)


def ratio(kind, connections, other, name="taskcell"):
    return lambda f: f["loads"][f"{kind} {connections}"][name]["ratio"][other]


def against_pgbench(kind, connections):
    def figure(f):
        lines = f["loads"][f"{kind} {connections}"]
        return max(lines[n]["ratio"]["pgbench"] for n in ("taskcell", "taskcell, kept"))
    return figure


def p99(kind, name="taskcell", other=None):
    def figure(f):
        lines = f["loads"][f"{kind} 256"]
        return lines[name]["p99"] / (lines[other]["p99"] if other else 1)
    return figure


def instructions(kind):
    return lambda f: f["cost"][kind]["taskcell"] / f["cost"][kind]["floor"]


def flat(what, least=min):
    def figure(f):
        values = [line[what] for line in f["flat"].values()]
        if not values:
            raise KeyError(what)
        return 100 * (max(values) / least(values) - 1)
    return figure


def crowd_memory(f):
    m = f["crowd"]["taskcell"]["memory"]
    return (m["worker"]["pss"] + m["web"]["pss"]) / 1024


FLOOR_WHY = """The floor's worker does next to nothing, so most of what is left of a request is
PostgreSQL, and there the fence costs: the session is looked up and its row opens the fence (one
more statement, some 20 us), and every row passes the policy (half a microsecond). The columns of
the processor's time say how much is PostgreSQL's, how much the worker's (reading all values,
escaping, headers, metrics, a log record), and how much the web server's, which sets nine
parameters instead of two. A policy with its setting in a sub-select is worked out once a statement,
which takes 10 us off a list and adds two to a single task: too little for a policy that is harder
to read."""
KEPT_WHY = """With kept connections the web server's share falls for both, and what is left is
PostgreSQL's time for the session and the fence, which the floor does not have. The floor has four
times as many workers here, each with a connection of its own."""
INSTRUCTIONS_WHY = """The floor prints what PostgreSQL sent, as text. taskcell reads each value,
escapes it for JSON, writes the common headers, counts for the metrics and writes a log record."""
CROWD_WHY = "The memory of a worker is mostly libraries and the arena of its largest request."
FASTIFY_WHY = """wrk, nginx and PostgreSQL take most of the two processors here, whoever asks:
of a list taskcell's own worker has about a quarter of the processor's time that Fastify's has, and
a thirtieth of FastAPI's. The peers have no web server in front in this run, and ask PostgreSQL for
less: one statement without a look at the session, so a token works on after a logout."""
PGBENCH_WHY = """pgbench is one process without HTTP, JSON, tokens or a web server, and on this
machine it does not share the processors with wrk and nginx."""
SLOW_WHY = """A time and no ratio, so it is the machine's as well: one whose processor is shared
with other machines may give a run half of what it gives the next. In a run on the same machine with
twice the requests a second ES256 took 83 us, and the first answer 31 ms."""
P99_WHY = """wrk, nginx, the workers and PostgreSQL share two processors; with 256 connections that
never pause, 99 % of the answers wait for a queue of 256, so this is mostly 256 / (requests a
second), and some uneven turns on top."""


def all_goals():
    goals = []
    for kind in ("list", "get"):
        name = KINDS[kind]
        for c in (16, 256):
            goals.append(Goal(f"{name}, {c} conn.: req/s of the floor's", ratio(kind, c, "floor"),
                              0.85, low=True, why=FLOOR_WHY))
        goals.append(Goal(f"{name}, 16 conn., kept: req/s of the floor's",
                          ratio(kind, 16, "floor, kept", "taskcell, kept"), 0.85, low=True,
                          why=KEPT_WHY))
        for c in (16, 256):
            goals.append(Goal(f"{name}, {c} conn.: times Fastify", ratio(kind, c, "Fastify"), 2.8,
                              low=True, why=FASTIFY_WHY))
            goals.append(Goal(f"{name}, {c} conn.: times FastAPI", ratio(kind, c, "FastAPI"), 20,
                              "{:.1f}", low=True, why=FASTIFY_WHY))
        goals.append(Goal(f"{name}: worker's instructions, times the floor's", instructions(kind),
                          1.3, why=INSTRUCTIONS_WHY))
        goals.append(Goal(f"{name}, 256 conn.: p99, ms", p99(kind), 40, "{:.1f}", why=P99_WHY))
        goals.append(Goal(f"{name}, 256 conn.: p99 of Fastify's", p99(kind, other="Fastify"), 0.1,
                          why=P99_WHY))
    for kind in ("create", "patch"):
        for c in (16, 256):
            goals.append(Goal(f"{KINDS[kind]}, {c} conn.: req/s of pgbench's",
                              against_pgbench(kind, c), 0.8, low=True, why=PGBENCH_WHY))
    for name, limit in (("HS256", 50), ("ES256", 100)):
        goals.append(Goal(f"token never seen, {name}, us",
                          lambda f, name=name: f["cost"]["tokens"][name][1], limit, "{:.1f}",
                          why=SLOW_WHY))
    goals += [
        Goal("token seen before, us",
             lambda f: max(t[2] for t in f["cost"]["tokens"].values()), 2),
        Goal("round trips to PostgreSQL a task request",
             lambda f: max(f["cost"]["round trips"][k]
                           for k in ("list", "get", "create", "patch")), 1, "{:.1f}"),
        Goal("1,000 on 1,000 connections: failed requests",
             lambda f: f["crowd"]["taskcell"]["failed"] + f["crowd"]["taskcell"]["broken"], 0,
             "{:.0f}"),
        Goal("1,000 on 1,000 connections: MiB in all, without PostgreSQL", crowd_memory, 60,
             "{:.1f}", why=CROWD_WHY),
        Goal("list, 50 and 50,000 tasks, few and many users: instructions differ by %",
             flat("instructions"), 5, "{:.1f}"),
        Goal("the same, blocks that PostgreSQL touches: grow by %",
             flat("blocks", lambda values: values[0]), 50, "{:.0f}", why="""The index is a level or
two deeper in a table a thousand times as large."""),
        Goal("start to first answer, ms", lambda f: 1000 * f["cost"]["start"]["taskcell"], 50,
             "{:.0f}", why=SLOW_WHY),
    ]
    return goals


# --- the table ------------------------------------------------------------------------------------


def group_us(line, group):
    return f"{line['cpu'][group]:8.0f}" if group in line["cpu"] else f"{'-':>8}"


def loads_table(found):
    out = [f"{'':34}{'req/s':>8}{'p50':>8}{'p99':>8}{'p99.9':>8}{'worker':>8}{'postgr.':>8}"
           f"{'web':>8}{'wrong':>6}",
           f"{'':34}{'':8}{'ms':>8}{'ms':>8}{'ms':>8}{'us':>8}{'us':>8}{'us':>8}"]
    for load, lines in found["loads"].items():
        kind, connections = load.split()
        for name, r in lines.items():
            title = f"{KINDS[kind]}, {connections}: {name}"
            out.append(f"{title:34}{r['rate']:8.0f}{r['p50']:8.1f}{r['p99']:8.1f}{r['p999']:8.1f}"
                       + "".join(group_us(r, g) for g in ("worker", "postgres", "web"))
                       + f"{r['wrong']:6}")
        if load in found["pgbench"]:
            title = f"{KINDS[kind]}, {connections}: pgbench"
            out.append(f"{title:34}{found['pgbench'][load]:8.0f}")
    return out


def memory_table(found):
    out = ["", f"{'memory, MiB':34}{'each':>8}{'each':>8}{'in all':>8}{'processes':>11}",
           f"{'':34}{'rss':>8}{'pss':>8}{'pss':>8}"]

    def line(name, m):
        n = max(1, m["n"])
        return (f"{name:34}{m['rss'] / n / 1024:8.1f}{m['pss'] / n / 1024:8.1f}"
                f"{m['pss'] / 1024:8.1f}{m['n']:11}")

    for when in ("rest", "memory"):
        for name, groups in found[when].items():
            if name == "taskcell, kept" or not groups:
                continue
            word = "at rest" if when == "rest" else "under load"
            out.append(line(f"{name}, {word}", groups["worker"]))
            if name == "taskcell" and "web" in groups:
                out.append(line(f"nginx, {word}", groups["web"]))
    return out


def crowd_table(found):
    out = ["", f"{'1,000 connections, mixed':34}{'req/s':>8}{'p50':>8}{'p99':>8}{'p99.9':>8}"
               f"{'failed':>8}{'MiB':>8}"]
    for name, r in found["crowd"].items():
        mib = sum(m["pss"] for g, m in r["memory"].items() if g != "postgres") / 1024
        title = f"{name}, {r['seconds']} s"
        out.append(f"{title:34}{r['rate']:8.0f}{r['p50']:8.1f}{r['p99']:8.1f}{r['p999']:8.1f}"
                   f"{r['failed'] + r['broken']:8}{mib:8.1f}")
    return out


def cost_table(found):
    cost, out = found["cost"], ["", f"{'worker, user-space instructions':34}{'taskcell':>10}"
                                    f"{'floor':>10}{'round trips':>13}"]
    for kind in ("list", "get", "create", "patch", "401"):
        c = cost[kind]
        floor = f"{c['floor']:10.0f}" if "floor" in c else f"{'-':>10}"
        out.append(f"{KINDS[kind]:34}{c['taskcell']:10.0f}{floor}{cost['round trips'][kind]:13.1f}")
    out += ["", f"{'access tokens, us a call':34}{'issue':>8}{'new':>8}{'seen':>8}{'refused':>8}"]
    for name, t in cost["tokens"].items():
        out.append(f"{name:34}{t[0]:8.1f}{t[1]:8.1f}{t[2]:8.2f}{t[3]:8.1f}")
    out += ["", f"{'start to the first list, ms':34}"]
    out += [f"{name:34}{1000 * s:8.0f}" for name, s in cost["start"].items()]
    return out


def flat_table(found):
    out = ["", f"{'a list of 20':34}{'instructions':>14}{'blocks':>8}"]
    for name, c in found["flat"].items():
        out.append(f"{name:34}{c['instructions']:14.0f}{c['blocks']:8}")
    return out


def table(found):
    out = []
    for part, make in (("loads", loads_table), ("rest", memory_table), ("crowd", crowd_table),
                       ("cost", cost_table), ("flat", flat_table)):
        if found[part]:
            out += make(found)
    rows = [(g, seen) for g in all_goals() if (seen := g.look(found))]
    out += ["", f"{'goals':72}{'goal':>10}{'found':>8}"]
    for g, (text, met) in rows:
        out.append(f"{g.text:72}{g.wanted:>10}{text:>8}  {'met' if met else 'MISSED'}")
    return "\n".join(out).lstrip("\n")


def missed(found):
    """What the document says of goals that were missed: the same reason once."""
    reasons = {}
    for g in all_goals():
        seen = g.look(found)
        if seen and not seen[1]:
            reasons.setdefault(" ".join(g.why.split()), []).append(
                f"{g.text}: {seen[0]}, the goal is {g.wanted}")
    out = []
    for why, lines in reasons.items():
        out += [f"- {line}" for line in lines] + ["", why or "Not looked into yet.", ""]
    return "\n".join(out).rstrip() or "None."
