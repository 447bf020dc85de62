"""taskcellctl hash calibrate."""

import os
import re


def test_calibrate_measures_and_recommends(stack, build):
    out = stack.ctl("hash", "calibrate")
    head, _, advice = out.partition("\n\n")
    rows = [[int(x) for x in re.findall(r"\d+", line)] for line in head.splitlines()[1:]]
    assert rows and [r[0] for r in rows] == list(range(15, 15 + len(rows)))
    for cost, n, mebibytes, ms in rows:
        assert n == 2 ** cost and mebibytes == n // 1024 and ms > 0
    assert all(a[3] < b[3] for a, b in zip(rows, rows[1:]))  # each takes twice the one before

    settings = dict(re.findall(r"(?m)^(scrypt_\w+) = (\d+)$", advice))
    assert set(settings) == {"scrypt_cost", "scrypt_concurrency"}
    quick = [r[0] for r in rows if r[3] <= 500]
    assert int(settings["scrypt_cost"]) == max(quick, default=15)
    assert 1 <= int(settings["scrypt_concurrency"]) <= max(1, (os.cpu_count() or 1) // 2)
    # every other line is a comment, so that it can stand in the configuration as it is
    path = stack.dir / "advice.conf"
    path.write_text(f"{advice}\n", encoding="ascii")
    shown = stack.ctl("-c", path, "config", scrypt_cost=None)
    assert re.search(rf"(?m)^scrypt_cost\s*=\s*{settings['scrypt_cost']}\b", shown)
