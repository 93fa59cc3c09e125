# expect: ok|error:killed|error:exception|error:protocol|error:exit
# property: [host-file][next-run][tenant] writing through /proc/self/mem into read-only mappings of shared files changes private copies only: the file and the next run are as before
# class: interpreter-abuse



def main():
    try:
        maps = open("/proc/self/maps").read().splitlines()
        mem = open("/proc/self/mem", "r+b", 0)
    except OSError as e:
        return {"contained": True, "why": e.strerror}
    done, changed = 0, []
    for line in maps:
        part = line.split()
        if len(part) < 6 or not part[5].endswith((".so", ".so.6", ".mo")) and ".so" not in part[5] or part[1] != "r--p" or done >= 4:
            continue
        start = int(part[0].split("-")[0], 16)
        try:
            with open(part[5], "rb") as f:
                f.seek(int(part[2], 16))
                before = f.read(8)
                mem.seek(start)
                mem.write(b"CORPUS!!")
                done += 1
                f.seek(int(part[2], 16))
                if f.read(8) != before:
                    changed.append(part[5])
        except (OSError, ValueError):
            pass
    return {"contained": not changed, "written": done, "changed": changed}
