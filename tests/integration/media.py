"""An application that serves a file, whole or in one part of it, and says what else it was asked; with fields of CORS below /cors. A player
of media sees a sound of some hours, which is silent."""

import hashlib
import json
import re
import struct

from messages import reply
from server import Server

FILE = hashlib.shake_256(b"file").digest(1_000_000)
SOUND_SECONDS, SOUND_RATE = 6000, 8000  # larger than what a player fetches ahead
PIXEL = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c4890000000d49444154789c63606060600000"
                      "00050001a5f645400000000049454e44ae426082")
CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "*", "Access-Control-Allow-Headers": "*"}


class Silence:
    """A WAV file of 16 bits, one channel: made when it is asked for, for it would be large."""

    data_bytes = 2 * SOUND_RATE * SOUND_SECONDS
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + data_bytes, b"WAVE", b"fmt ", 16, 1, 1, SOUND_RATE, 2 * SOUND_RATE, 2, 16,
                       b"data", data_bytes)

    def __len__(self):
        return len(self.head) + self.data_bytes

    def __getitem__(self, part):
        return self.head[part] + bytes(part.stop - max(part.start, len(self.head)))


FILES = {"/file": ("application/octet-stream", FILE), "/pixel.png": ("image/png", PIXEL), "/sound.wav": ("audio/wav", Silence())}


class Media(Server):
    def __init__(self, pages=()):
        self.pages = dict(pages)   # by path; a page is HTML
        self.posted = None         # what was sent to /results
        self.breaks_off_after = None
        super().__init__(self.answer)

    def break_off_after(self, count):
        """The next answer ends there."""
        self.breaks_off_after = count

    async def answer(self, connection):
        while not connection.closed and (request := await connection.request()):
            path = request.target.partition("?")[0]
            fields = dict(CORS) if path.startswith("/cors") else {}
            path = path.removeprefix("/cors")
            if path in FILES:
                await self.send_file(connection, request, fields, *FILES[path])
            elif path in self.pages:
                await connection.send(reply(body=self.pages[path], fields={"Content-Type": "text/html", **fields}))
            elif path == "/results":
                self.posted = json.loads(request.body)
                self.notify()
                await connection.send(reply())
            else:
                said = {"method": request.method, "origin": request.value("origin"), "cookie": request.value("cookie"),
                        "body": request.body.decode()}
                await connection.send(reply(body=json.dumps(said), fields=fields))

    async def send_file(self, connection, request, fields, kind, data):
        first, last, status = 0, len(data) - 1, 200
        if part := re.fullmatch(r"bytes=(\d+)-(\d*)", request.value("range") or ""):
            first, last, status = int(part[1]), min(int(part[2] or last), last), 206
            fields["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        fields |= {"Content-Type": kind, "Accept-Ranges": "bytes", "Content-Length": str(last + 1 - first)}
        lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in fields.items())]
        await connection.send("\r\n".join([*lines, "", ""]).encode())
        for begin in range(first, last + 1, 1 << 16):
            if self.breaks_off_after is not None and begin >= self.breaks_off_after:
                self.breaks_off_after = None
                return connection.close()
            await connection.send(data[begin:min(begin + (1 << 16), last + 1)])

