# SPDX-License-Identifier: MIT
"""A serial line of 115,200 baud between a client and QEMU, whose own UART is
not paced and never overruns.

Each way carries 11,520 bytes a second of real time.  Towards QEMU each byte is
written by itself, so that SIOCOUTQ, which tells the memory of what is under
way, tells how many bytes QEMU has not taken.  It takes one whenever the FIFO of
its UART has room: so when 16 wait behind that FIFO, a UART of 16 bytes would
have overrun, and the byte is dropped.  Limits: up to 16 bytes more than on real
hardware may wait (those in QEMU's FIFO are not seen), and a host that gives
QEMU no time looks like a guest that does not read.  From QEMU, the smallest
buffer that a socket can have keeps what it may send ahead to a few bytes."""
import array
import fcntl
import select
import socket
import threading
import time

RATE = 11520
FIFO = 16
SIOCOUTQ = 0x5411 # <linux/sockios.h>
TICK = 0.0005
TOGETHER = 8 # bytes that a tick may bring, to make up for a late one
AHEAD = 48 # bytes that QEMU may have sent before the line takes them
LATE = 0.1 # seconds that are made up for
AT_ONCE = 4096 # of the client's, as a tty's buffer


def waiting(line):
    """Memory of what its peer has not read."""
    size = array.array("i", [0])
    fcntl.ioctl(line, SIOCOUTQ, size)
    return size[0]


class Pace:
    """How many bytes may go now."""

    def __init__(self):
        self.next = time.monotonic()

    def due(self):
        now = time.monotonic()
        self.next = max(self.next, now - LATE)
        return max(int((now - self.next) * RATE), 0)

    def spend(self, count, is_idle):
        self.next += count / RATE
        if is_idle: # time that passes now is not made up for
            self.next = max(self.next, time.monotonic())


class SlowLine(threading.Thread):
    """Clients connect to @path, one after the other; QEMU gets .far, as its
    file .far.fileno()."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.near.send(b"\0") # a zero byte is no frame
        self.unit = waiting(self.near)
        self.far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF,
                            AHEAD * self.unit // 2) # Linux doubles it
        self.client = None
        self.to_qemu, self.to_client = b"", b""
        self.sent = self.dropped = 0
        self.is_over, self.is_cut = False, False

    def end(self):
        self.is_over = True
        self.join()
        for line in self.listener, self.near, self.far, self.client:
            if line:
                line.close()

    def cut(self):
        """The client loses the line, and what is on it is lost."""
        self.is_cut = True

    def lose_client(self):
        self.client.close()
        self.client, self.to_qemu, self.to_client = None, b"", b""

    def run(self):
        into, out_of = Pace(), Pace()
        while not self.is_over:
            if self.is_cut and self.client:
                self.lose_client()
            self.is_cut = False
            if self.client is None:
                if select.select([self.listener], [], [], 0)[0]:
                    self.client, _ = self.listener.accept()
                    self.client.setblocking(False)
            else:
                self.read_client()
            self.write_qemu(into)
            self.read_qemu(out_of)
            time.sleep(TICK)

    def read_client(self):
        if len(self.to_qemu) >= AT_ONCE:
            return
        try:
            got = self.client.recv(AT_ONCE - len(self.to_qemu))
        except BlockingIOError:
            return
        except OSError:
            got = b""
        self.to_qemu += got
        if not got:
            self.lose_client()

    def write_qemu(self, pace):
        count = min(pace.due(), TOGETHER, len(self.to_qemu))
        for byte in self.to_qemu[:count]:
            if waiting(self.near) // self.unit >= FIFO:
                self.dropped += 1
                continue
            self.near.send(bytes([byte]))
            self.sent += 1
        self.to_qemu = self.to_qemu[count:]
        pace.spend(count, not self.to_qemu)

    def read_qemu(self, pace):
        count = pace.due()
        if not count:
            return
        try:
            got = self.near.recv(count)
        except BlockingIOError:
            got = b""
        pace.spend(len(got), len(got) < count)
        if not self.client:
            return
        self.to_client += got
        try:
            self.to_client = self.to_client[self.client.send(self.to_client):]
        except BlockingIOError: # it reads later
            pass
        except OSError:
            self.lose_client()
