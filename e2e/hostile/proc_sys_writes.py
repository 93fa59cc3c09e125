# expect: blocked-or-contained
# property: [host-file][tenant] no file below /proc/sys, /proc/sysrq-trigger, /proc/irq or /sys can be opened for writing, and none of the switches of the run's own process
# class: filesystem

import os

NAMES = ("sys/kernel/core_pattern", "sys/kernel/hostname", "sys/kernel/ns_last_pid", "sys/kernel/randomize_va_space", "sys/kernel/modprobe", "sys/kernel/pid_max",
         "sys/kernel/shmmax", "sys/kernel/unprivileged_bpf_disabled", "sys/kernel/yama/ptrace_scope", "sys/vm/overcommit_memory", "sys/vm/drop_caches", "sys/fs/mqueue/msg_max",
         "sys/fs/suid_dumpable", "sys/user/max_user_namespaces", "sys/net/ipv4/ip_forward", "sys/net/core/somaxconn", "sysrq-trigger", "irq/default_smp_affinity",
         "self/uid_map", "self/gid_map", "self/setgroups", "self/loginuid", "self/coredump_filter", "self/clear_refs", "self/sched", "self/autogroup",
         "self/make-it-fail", "self/attr/current", "self/projid_map", "self/timens_offsets", "1/oom_score_adj", "1/mem")
SYS = ("/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state", "/sys/kernel/uevent_helper", "/sys/fs/cgroup/cgroup.procs", "/sys/kernel/debug", "/sys/class/mem/null/uevent")


def main():
    opened = []
    for path in ["/proc/" + n for n in NAMES] + list(SYS):
        try:
            os.close(os.open(path, os.O_WRONLY))      # opened, and nothing written
            opened.append(path)
        except OSError:
            pass
    return {"contained": not opened, "opened": opened}
