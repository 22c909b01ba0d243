# SPDX-License-Identifier: MIT
"""A program with its output read as it comes, on pipes or on a terminal."""
import ctypes
import fcntl
import os
import pty
import re
import signal
import socket
import subprocess
import termios
import threading
import time

ESCAPES = re.compile(rb"\x1b\[[0-9;=?]*[A-Za-z]")


CONNECT_SECONDS = 60
PR_SET_PDEATHSIG = 1 # <linux/prctl.h>
C_LIBRARY = ctypes.CDLL(None)


def before_start(terminal):
    """In the child: it ends when we do, even by SIGKILL; with @terminal, its
    standard input becomes its controlling terminal."""
    C_LIBRARY.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def accept(listener):
    """What has connected; a socket without a peer when nothing does."""
    listener.settimeout(CONNECT_SECONDS)
    try:
        line, _ = listener.accept()
        line.setblocking(True)
    except TimeoutError:
        line, _ = socket.socketpair()
    return line


class Process:
    """@terminal: standard input and output are a terminal of the program, with
    @size lines and columns.
    @listener: a socket; what the program connects to it is read and written
    in place of its standard input and output.  @keep: files that it gets."""

    def __init__(self, arguments, note, terminal=False, environment=None,
                 listener=None, size=None, keep=()):
        self.note = note
        self.out, self.err = b"", b""
        self.changed = threading.Condition()
        note("$ " + " ".join(map(str, arguments)))
        give = subprocess.DEVNULL if listener else subprocess.PIPE
        if terminal:
            take, give = pty.openpty()
            if size:
                termios.tcsetwinsize(give, size)
        self.process = subprocess.Popen(
            [str(word) for word in arguments],
            stdin=give, stdout=give, stderr=subprocess.PIPE, start_new_session=True,
            pass_fds=keep,
            preexec_fn=lambda: before_start(terminal),
            env=dict(os.environ, **(environment or {})))
        self.line = accept(listener) if listener else None
        if terminal:
            os.close(give)
            self.input = take
        elif listener:
            self.input = take = self.line.fileno()
        else:
            take = self.process.stdout.fileno()
            self.input = self.process.stdin.fileno()
        self.terminal = take if terminal else None
        error = self.process.stderr.fileno()
        self.readers = [
            threading.Thread(target=self._read, args=(take, "out")),
            threading.Thread(target=self._read, args=(error, "err"))]
        for reader in self.readers:
            reader.start()

    def _read(self, source, name):
        while True:
            try:
                data = os.read(source, 65536)
            except OSError: # a terminal whose other end is gone
                data = b""
            with self.changed:
                setattr(self, name, getattr(self, name) + data)
                self.changed.notify_all()
            if not data:
                return

    def text(self, name="out"):
        plain = ESCAPES.sub(b"", getattr(self, name))
        return plain.decode("utf-8", "replace").replace("\r", "")

    def wait_for(self, pattern, seconds, name="out", count=1):
        """Whether @pattern was printed @count times within @seconds."""
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                text = self.text(name)
                if len(re.findall(pattern, text, re.M)) >= count:
                    return True
                left = end - time.monotonic()
                if left <= 0 or not any(r.is_alive() for r in self.readers):
                    return False
                self.changed.wait(min(left, 1))

    def send(self, text):
        self.note("> " + repr(text))
        try:
            os.write(self.input, text.encode())
        except OSError as error:
            self.note("cannot be typed: %s" % error)

    def finish(self, seconds):
        """The exit status; None when it had to be ended."""
        try:
            status = self.process.wait(max(seconds, 0.1))
        except subprocess.TimeoutExpired:
            status = None
            self.note("not at its end after its time")
        self.stop()
        return status

    def stop(self, gently=True):
        """Ends it, gently first, and everything that it has started."""
        if gently and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.process.wait()
        for reader in self.readers:
            reader.join(5)
        self._close()

    def _close(self):
        if self.line:
            self.line.close()
        elif self.terminal is None:
            for pipe in (self.process.stdin, self.process.stdout):
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        else:
            os.close(self.terminal)
        self.process.stderr.close()
        self.note("---- standard output\n" + self.text("out"))
        self.note("---- standard error\n" + self.text("err"))
