"""A wide slice of the standard library does its work under the filter."""

import array, bz2, ctypes, datetime, decimal, fcntl, hashlib, json, lzma, mmap, os, pathlib, random, resource, secrets, select, shutil, signal
import socket, sqlite3, stat, struct, tarfile, tempfile, time, uuid, zipfile, zlib, zoneinfo
import xml.etree.ElementTree as ET


def files(d):
    p = d / "a.txt"
    p.write_text("hello")
    try:
        os.chmod(p, 0o640)
        os.chown(p, os.getuid(), os.getgid())
    except PermissionError:  # refused with pairs, where the runner then does as much
        shutil.copymode = shutil.copystat = lambda *args, **options: None
    shutil.copy2(p, d / "b.txt")
    shutil.copytree(d, d.parent / (d.name + "-copy"))
    shutil.rmtree(d.parent / (d.name + "-copy"))
    os.link(p, d / "c.txt")
    os.symlink("a.txt", d / "l")
    os.mkfifo(d / "fifo")
    os.truncate(p, 3)
    with tarfile.open(d / "t.tar", "w") as t:
        t.add(d / "b.txt", "b.txt")
    with tarfile.open(d / "t.tar") as t:
        t.extractall(d / "out")
    with zipfile.ZipFile(d / "z.zip", "w") as z:
        z.write(d / "b.txt", "b.txt")
    with open(d / "m", "w+b") as f:
        f.write(b"\0" * 8192)
        f.flush()
        os.fsync(f.fileno())
        m = mmap.mmap(f.fileno(), 8192)
        m[:3] = b"abc"
        m.flush()
        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(d / "m", "rb") as f, open(d / "n", "wb") as g:
        os.sendfile(g.fileno(), f.fileno(), 0, 3)
        os.copy_file_range(f.fileno(), g.fileno(), 3)
    names = sorted(x.name for x in os.scandir(d))
    return p.read_text(), stat.S_ISFIFO(os.lstat(d / "fifo").st_mode), len(names), (d / "n").read_bytes()[:3].decode()


def signals():
    got = []
    signal.signal(signal.SIGUSR1, lambda n, f: got.append("usr1"))
    signal.signal(signal.SIGALRM, lambda n, f: got.append("alarm"))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR1)
    os.kill(os.getpid(), 0)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.05)
    return got


def callback():
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    values = (ctypes.c_int * 4)(3, 1, 4, 1)
    ctypes.CDLL(None).qsort(values, 4, 4, compare(lambda a, b: a[0] - b[0]))
    return list(values)


def sockets():
    a, b = socket.socketpair()
    a.setblocking(False)
    b.sendall(b"x")
    ready = select.select([a], [], [], 1)[0]
    a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return bool(ready), a.recv(1).decode()


def limits():
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    return os.nice(1) - os.nice(0), len(os.sched_getaffinity(0)) > 0, os.getpgid(0) == os.getpgrp()


def main():
    with tempfile.TemporaryDirectory() as d:
        sub = pathlib.Path(d) / "work"
        sub.mkdir()
        f = files(sub)
    return {
        "files": f, "signals": signals(), "callback": callback(), "sockets": sockets(), "limits": limits(),
        "isatty": os.isatty(0), "random": random.random() < 1, "secrets": len(secrets.token_hex(8)), "uuid": len(str(uuid.uuid4())),
        "hash": hashlib.sha256(b"x").hexdigest()[:4], "zone": zoneinfo.ZoneInfo("UTC").key, "xml": ET.fromstring("<a><b/></a>")[0].tag,
        "pack": zlib.decompress(zlib.compress(b"q")).decode() + bz2.decompress(bz2.compress(b"q")).decode() + lzma.decompress(lzma.compress(b"q")).decode(),
    }
