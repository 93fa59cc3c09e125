# Run at start as user code in a real child, with the policy off: tries what a
# hostile script would, and tells what it reached. The server compares that
# with what the level promises.
import ctypes
import os
import socket

libc = ctypes.CDLL(None, use_errno=True)
REACHED, REFUSED = "reached", "refused"


def call(function, *args):
    """REACHED when a C function returns anything but -1."""
    function.restype = ctypes.c_long
    return REFUSED if function(*args) == -1 else REACHED


def python(function, *args):
    """REACHED when a Python function does not raise OSError."""
    try:
        function(*args)
    except OSError:
        return REFUSED
    return REACHED


def read(path):
    with open(path, "rb") as f:
        f.read(1)


def write(path):
    with open(path, "wb") as f:
        f.write(b"")
    os.unlink(path)


def connect(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        s.connect(("127.0.0.1", port))


def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def namespaces():
    found = {}
    for name in ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup"):
        try:
            found[name] = os.readlink("/proc/self/ns/" + name)
        except OSError:
            pass
    return found


def status():
    try:
        with open("/proc/self/status") as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    except OSError:
        return {}


def others():
    """Processes that a probe signal finds, beside this one."""
    found = 0
    for pid in range(1, 400):
        if pid != os.getpid():
            try:
                os.kill(pid, 0)
                found += 1
            except OSError:
                pass
    return found


def main(given):
    parent = os.getppid() or 1
    cpu = os.uname().machine == "x86_64"
    attempts = {
        "fork": python(fork),
        "exec": python(os.execv, "/bin/sh", ["sh", "-c", "exit 9"]),
        "exec_python": python(os.execv, given["python"], ["python", "-c", "0"]),
        "unshare_user": call(libc.unshare, ctypes.c_int(0x10000000)),
        "mount": call(libc.mount, b"none", b"/tmp", b"tmpfs", ctypes.c_ulong(0), None),
        "ptrace_parent": call(libc.ptrace, ctypes.c_long(16), ctypes.c_long(parent), None, None),
        "keyctl": call(libc.syscall, ctypes.c_long(250 if cpu else 219), ctypes.c_long(0), ctypes.c_long(-4), ctypes.c_long(0)),
        "io_uring": call(libc.syscall, ctypes.c_long(425), ctypes.c_long(1), None),
        "signal_parent": python(os.kill, parent, 0),
        "socket_inet": python(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()),
        "socket_udp": python(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()),
        "tcp_server": python(connect, given["port"]),
        "proxy": python(connect, 3128),
        "read_outside": python(read, given["canary"]),
        "write_outside": python(write, given["beside_canary"]),
        "write_system": python(write, "/usr/pyexec-attack"),
        "read_parent_environ": python(read, f"/proc/{parent}/environ"),
        "write_tmp": python(write, os.path.join(os.environ["TMPDIR"], "mine")),
    }
    descriptors = []
    for fd in range(4, 256):
        try:
            os.fstat(fd)
            descriptors.append(fd)
        except OSError:
            pass
    return {
        "attempts": attempts, "descriptors": descriptors, "namespaces": namespaces(), "status": status(),
        "processes": others(), "uid": os.getuid(), "hostname": os.uname().nodename, "cwd": os.getcwd(),
        "proc": os.path.exists("/proc/sys/kernel"), "pid": os.getpid(),
    }
