"""A line to a server with a delay: what the server answers arrives that much later. Counts requests and bytes on the way, and notes each request."""

import asyncio
import threading
import time
from collections import Counter
from urllib.parse import unquote

CHUNK = 256 << 10
# What may be under way in one connection and one direction.
UNDER_WAY = 32 << 20


class Line:
    """From a port of its own to `port`; `delay` in seconds. Lives as long as the program."""

    def __init__(self, port, delay):
        self.target, self.delay = port, delay
        self.reset()
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True).start()
        ready.wait()

    def reset(self):
        self.requests, self.up, self.down, self.notes = Counter(), 0, 0, []
        self.since = time.monotonic()

    async def serve(self, ready):
        server = await asyncio.start_server(self.carry, "127.0.0.1", 0, limit=CHUNK)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await server.serve_forever()

    async def carry(self, client_in, client_out):
        try:
            server_in, server_out = await asyncio.open_connection("127.0.0.1", self.target, limit=CHUNK)
        except OSError:
            client_out.close()
            return
        requests = Requests(self)
        await asyncio.gather(self.ask(client_in, server_out, requests), self.answer(server_in, client_out, requests))

    async def ask(self, source, sink, requests):
        try:
            while data := await source.read(CHUNK):
                requests.feed(data)
                self.up += len(data)
                sink.write(data)
                await sink.drain()
            sink.write_eof()
        except OSError:
            sink.close()

    async def answer(self, source, sink, requests):
        queue, room = asyncio.Queue(), asyncio.Semaphore(UNDER_WAY // CHUNK)
        passing = asyncio.create_task(self.pass_on(queue, room, sink))
        try:
            while data := await source.read(CHUNK):
                self.down += len(data)
                requests.answered(data)
                await room.acquire()
                queue.put_nowait((asyncio.get_running_loop().time() + self.delay, data))
        except OSError:
            pass
        queue.put_nowait(None)
        await passing

    async def pass_on(self, queue, room, sink):
        loop = asyncio.get_running_loop()
        try:
            while one := await queue.get():
                due, data = one
                if (early := due - loop.time()) > 0:
                    await asyncio.sleep(early)
                room.release()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        sink.close()


class Requests:
    """Counts the requests of one connection by their method: finds each head, and passes over the body that it announces."""

    def __init__(self, line):
        self.line, self.head, self.body, self.note = line, b"", 0, None

    def feed(self, data):
        while data:
            if self.body:
                taken = min(self.body, len(data))
                self.body -= taken
                data = data[taken:]
                continue
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data = self.head[:end], self.head[end + 4 :]
            self.head = b""
            lines = head.split(b"\r\n")
            method, path, _ = lines[0].decode().split(" ")
            self.line.requests[method] += 1
            fields = dict(line.lower().split(b":", 1) for line in lines[1:])
            self.body = int(fields.get(b"content-length", b"0"))
            if b"chunked" in fields.get(b"transfer-encoding", b""):
                raise RuntimeError("a body of unknown length: what follows cannot be counted")
            self.note = Note(time.monotonic() - self.line.since, method, unquote(path), fields.get(b"range", b"").decode().strip(), self.body)
            self.line.notes.append(self.note)

    def answered(self, data):
        if self.note:
            if not self.note.down:
                self.note.status = data[9:12].decode(errors="replace")
            self.note.down += len(data)
            self.note.ended = time.monotonic() - self.line.since


class Note:
    """One request: when it was sent and its answer was complete, in seconds; what for; how much went and came."""

    def __init__(self, sent, method, path, range, up):
        self.sent, self.method, self.path, self.range, self.up = sent, method, path, range, up
        self.ended, self.status, self.down = sent, "-", 0

    def __str__(self):
        return f"{self.sent:7.3f} {self.ended:7.3f}  {self.status} {self.method:6} {self.up:>9} {self.down:>9}  {self.path} {self.range}"
