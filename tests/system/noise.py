# SPDX-License-Identifier: MIT
"""A bad cable: a socket that passes bytes on and damages some of them."""
import os
import random
import select
import socket
import threading


class Noise:
    """Listens at @path for one client after the other and passes bytes to and
    from the socket @line; a bit in @one_in is wrong, and as many bytes are
    dropped, doubled or change places with the next."""

    def __init__(self, path, line, one_in, seed):
        self.random, self.one_in = random.Random(seed), one_in
        self.line, self.over = line, False
        self.damaged = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        self.path = path
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def damage(self, data):
        out = bytearray()
        for byte in data:
            for bit in range(8):
                if self.random.randrange(self.one_in) == 0:
                    byte ^= 1 << bit
                    self.damaged += 1
            fate = self.random.randrange(8 * self.one_in)
            self.damaged += fate < 3
            if fate == 0:
                continue
            out.append(byte)
            if fate == 1:
                out.append(byte)
            if fate == 2 and len(out) > 1:
                out[-2:] = out[:-3:-1]
        return bytes(out)

    def serve(self):
        while not self.over:
            if not select.select([self.listener], [], [], 0.2)[0]:
                continue
            client = self.listener.accept()[0]
            with socket.socket(socket.AF_UNIX) as far:
                far.connect(self.line)
                self.pass_on({client: far, far: client})
            client.close()

    def pass_on(self, to):
        while not self.over:
            for end in select.select(list(to), [], [], 0.2)[0]:
                data = end.recv(4096)
                if not data:
                    return
                try:
                    to[end].sendall(self.damage(data))
                except OSError:
                    return

    def stop(self):
        self.over = True
        self.thread.join()
        self.listener.close()
        os.unlink(self.path)
