# expect: blocked-or-contained
# property: [health] [deadline] [next-run] [tenant] connections without end, half requests and garbage hurt the run alone
# class: resource

import os, socket, time

SECONDS = 2
PIECES = [
    b"", b"G", b"GET http://x", b"CONNECT ", b"CONNECT a:1 HTTP/1.1\r\nX: ", b"\r\n" * 50, b"\0" * 5000, b"A" * 40000, os.urandom(3000),
    b"POST http://www.example.com/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"GET http://www.example.com/ HTTP/1.1\r\n" + b"X: y\r\n" * 8000,
]


def main():
    began, made, held = time.monotonic(), 0, []
    while time.monotonic() - began < SECONDS:
        try:
            s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        except OSError as refused:
            if not held:
                return {"contained": True, "made": made, "why": str(refused)}
            held.pop(0).close()
            continue
        held.append(s)
        s.settimeout(0.2)
        try:
            s.connect(("127.0.0.1", 3128))
            s.send(PIECES[made % len(PIECES)])
        except OSError:
            pass
        made += 1
        if len(held) > 100:
            held.pop(0).close()
    return {"contained": True, "made": made}
