# expect: ok|blocked-or-contained
# property: [tenant][host-file] what run A sets for its uts namespace or below /proc/sys is not what run B finds: a slot keeps its namespaces
# class: tenant-isolation
# pair: pair_names_b
# pair-order: sequential, B several times: a first

import ctypes, errno, platform

ARCH = platform.machine()


def call(numbers, *args):
    """One raw system call; numbers = (x86_64, aarch64). Returns (value, errno name)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(numbers[0 if ARCH == "x86_64" else 1]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return r, (errno.errorcode.get(ctypes.get_errno(), "?") if r == -1 else "")


def main():
    done = []
    if call((170, 161), b"corpus-tenant", 13)[0] == 0:
        done.append("sethostname")
    if call((171, 162), b"corpus-tenant", 13)[0] == 0:
        done.append("setdomainname")
    for name, value in (("kernel/hostname", "corpus-tenant"), ("kernel/domainname", "corpus-tenant"), ("net/ipv4/ip_default_ttl", "77"),
                        ("net/ipv4/ip_unprivileged_port_start", "77"), ("kernel/shm_rmid_forced", "1"), ("fs/mqueue/msg_default", "7"), ("kernel/msgmax", "7777")):
        try:
            with open("/proc/sys/" + name, "w") as f:
                f.write(value)
            done.append(name)
        except OSError:
            pass
    return {"contained": not done, "done": done}
