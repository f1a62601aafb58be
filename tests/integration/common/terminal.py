"""A command of the client in a terminal of its own."""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios

from stack import CLI
from suite import at_end, wait_for


class Terminal:
    """A command in a terminal of so many columns and rows."""

    def __init__(self, *words, url, columns=90, rows=30, **environment):
        self.child, self.master = pty.fork()
        if self.child == 0:
            self.resize(0, rows, columns)
            os.environ.update({"ESPALIER_URL": url, "TERM": "xterm", "LC_ALL": "C.UTF-8", **environment})
            os.execv(str(CLI), [str(CLI), *words])
        self.text, self.decoder, self.status = "", codecs.getincrementaldecoder("utf-8")(), None
        at_end(self.end)

    @staticmethod
    def resize(fd, rows, columns):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds=0.2):
        self.read_some(seconds)
        return self.text

    def read_some(self, seconds):
        """Whether there was something to read."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            text = os.read(self.master, 65536)
        except OSError:  # the command has ended
            return False
        self.text += self.decoder.decode(text)
        return bool(text)

    def wait_for(self, what, pattern, seconds=40):
        return wait_for(what, lambda: re.search(pattern, self.read()), seconds, 0)

    def type(self, text):
        os.write(self.master, text.encode())

    def interrupt(self):
        """Ctrl-C: a terminal then drops what waits to be shown, within a character too."""
        self.decoder.errors = "replace"
        os.write(self.master, b"\x03")

    def ended(self, seconds=60):
        """Its exit code, when all that it said is read."""
        def look():
            self.read()
            pid, status = os.waitpid(self.child, os.WNOHANG)
            return pid and [os.waitstatus_to_exitcode(status)]
        self.status = wait_for("the end of the command", look, seconds, 0)[0]
        while self.read_some(0):
            pass
        return self.status

    def end(self):
        if self.status is None:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
        os.close(self.master)
