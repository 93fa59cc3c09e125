"""sqlite works in memory and on disk, in both journal modes."""

import os
import sqlite3
import tempfile


def use(path, mode):
    db = sqlite3.connect(path)
    got = db.execute(f"pragma journal_mode={mode}").fetchone()[0]
    db.execute("create table t(a)")
    with db:
        db.executemany("insert into t values (?)", [(i,) for i in range(100)])
    other = sqlite3.connect(path) if path != ":memory:" else db
    total = other.execute("select sum(a) from t").fetchone()[0]
    db.close()
    return [got, total]


def main():
    with tempfile.TemporaryDirectory() as d:
        return [use(":memory:", "memory"), use(os.path.join(d, "a"), "delete"), use(os.path.join(d, "b"), "wal")]
