# expect: blocked-or-contained
# property: [tenant][host-file] what run A sets for its uts namespace or below /proc/sys is not what run B finds: a slot keeps its namespaces
# class: tenant-isolation
# pair: pair_names_a
# pair-order: sequential, B several times: a first

import os, socket


def main():
    found = [n for n in os.uname() if "corpus-tenant" in n]
    found += [n for n in (socket.gethostname(), socket.getfqdn()) if "corpus-tenant" in n]
    for name, value in (("net/ipv4/ip_default_ttl", "77"), ("net/ipv4/ip_unprivileged_port_start", "77"), ("fs/mqueue/msg_default", "7"), ("kernel/msgmax", "7777")):
        try:
            if open("/proc/sys/" + name).read().strip() == value:
                found.append(name)
        except OSError:
            pass
    return {"contained": not found, "found": found}
