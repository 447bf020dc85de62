"""What processes cost, and the load generator."""

import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


def cpu_us(pids):
    """Of the processes, and of those children of theirs that have ended."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                fields = f.read().rpartition(")")[2].split()
            total += sum(int(f) for f in fields[11:15])
        except OSError:
            pass  # it has ended
    return total * TICK_US


def memory_kib(pid, what="Pss"):
    """Pss counts what processes share once, Rss in each."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            return int(re.search(rf"^{what}:\s+(\d+)", f.read(), re.M)[1])
    except (OSError, TypeError):
        return 0


def memory_of(pids):
    pids = list(pids)
    return {"n": len(pids), "pss": sum(memory_kib(p) for p in pids),
            "rss": sum(memory_kib(p, "Rss") for p in pids)}


class Watch:
    """Takes memory_of() each group every `pause` seconds until the block ends; keeps the highest
    sum of each."""

    def __init__(self, groups, pause=0.5):
        self.groups, self.pause = groups, pause
        self.peak, self.over = {}, threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.over.wait(self.pause):
            for name, pids in self.groups.items():
                m = memory_of(pids())
                if m["pss"] > self.peak.get(name, {"pss": 0})["pss"]:
                    self.peak[name] = m

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.thread.join()


def wrk(port, kind, data, connections, seconds, number=0):
    """What load.lua prints of one run."""
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
         "-s", str(HERE / "load.lua"), f"http://127.0.0.1:{port}/", "--", kind, str(data),
         str(number)],
        capture_output=True, text=True, check=False)
    if done.returncode or "{" not in done.stdout:
        raise RuntimeError(f"wrk: {done.stdout}{done.stderr}")
    found = json.loads(done.stdout[done.stdout.rindex("{"):])
    found["rate"] = found["requests"] / (found["us"] / 1e6)
    return found


def load(contestant, kind, connections, seconds, number=0):
    """One run, with the processor's time by group and request, and memory on the way."""
    groups = contestant.groups()
    # Whatever has connected by now stays: a group is asked for its processes before and after.
    before = {name: cpu_us(pids()) for name, pids in groups.items()}
    with Watch(groups) as watch:
        found = wrk(contestant.port, kind, contestant.data(kind, connections), connections,
                    seconds, number)
    wanted = found["requests"] if kind == "401" else 0
    found["wrong"] = abs(found["failed"] - wanted) + found["broken"]
    found["cpu"] = {name: (cpu_us(pids()) - before[name]) / max(1, found["requests"])
                    for name, pids in groups.items()}
    found["memory"] = watch.peak
    return found


# --- instructions ---------------------------------------------------------------------------------


def instructions(serve, exchange, numbers=(100, 300), warm=50):
    """User-space instructions a request, as the difference of two runs under callgrind.
    `serve(prefix)` starts the program with these words before it; `exchange(i)` is one request."""
    counts = []
    for n in numbers:
        process, log = serve(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"])
        try:
            for i in range(warm + n):
                exchange(i)
        finally:
            process.terminate()
            process.wait(60)
        text = pathlib.Path(log).read_text(encoding="utf-8", errors="replace")
        m = re.search(r"Collected : (\d+)", text)
        if not m:
            raise RuntimeError(f"callgrind: {text[-2000:]}")
        counts.append(int(m[1]))
    return (counts[1] - counts[0]) / (numbers[1] - numbers[0])


# --- where it ran ---------------------------------------------------------------------------------


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return "none"


def versions(postgres_bin, build):
    """Name and version of all that takes part."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or "nginx"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        cpu = re.search(r"^model name\s*: (.*)", f.read(), re.M)
    packages = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${Version}\n", "python3-fastapi", "python3-uvicorn",
         "python3-uvloop", "python3-sqlalchemy", "python3-asyncpg", "python3-jose", "libfcgi0ldbl",
         "libpq5", "libjwt0"],
        capture_output=True, text=True, check=False).stdout.split("\n")
    npm = json.loads((HERE / "peers/package.json").read_text(encoding="utf-8"))["dependencies"]
    return [
        f"{os.cpu_count()} processors ({cpu[1].strip() if cpu else platform.machine()}), Linux "
        f"{platform.release()}; load average at the start "
        f"{', '.join(f'{x:.1f}' for x in os.getloadavg())}",
        first_line(str(build / "taskcell"), "--version"),
        first_line(f"{postgres_bin}/postgres", "--version"),
        first_line(nginx, "-v"),
        first_line("wrk", "-v").partition(" Copyright")[0],
        first_line("valgrind", "--version"),
        "python " + platform.python_version(),
        "node " + first_line("node", "--version"),
        *(p for p in packages if p),
        *(f"{name} {version}" for name, version in npm.items()),
    ]


def await_answer(ask, seconds=60, pause=0.001):
    """Seconds until `ask` is true."""
    begun = time.perf_counter()
    while True:
        try:
            if ask():
                return time.perf_counter() - begun
        except OSError:
            pass
        if time.perf_counter() - begun > seconds:
            raise RuntimeError("no answer")
        time.sleep(pause)
