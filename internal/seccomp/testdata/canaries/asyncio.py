"""asyncio works: it needs epoll, a socket pair, threads for blocking work, and unix sockets."""

import asyncio
import os
import tempfile


async def work(i):
    await asyncio.sleep(0.01)
    return i * i


async def echo(path):
    async def serve(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()
    server = await asyncio.start_unix_server(serve, path)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"hello\n")
    answer = await reader.readline()
    writer.close()
    server.close()
    return answer.decode().strip()


async def all_of_it():
    with tempfile.TemporaryDirectory() as d:
        said = await echo(os.path.join(d, "s"))
    return [await asyncio.gather(*(work(i) for i in range(5))), await asyncio.to_thread(sum, [1, 2, 3]), said]


def main():
    return asyncio.run(all_of_it())
