"""A TCP port that hands each connection to a function, until it is closed."""
import socket
import struct
import threading


class Listener:
    """Calls serve(connection) in a thread for each. A kernel that begins a broken-off accept() anew takes the number of its
    descriptor, which may be another listener's by then: so close() ends the accept() and waits for it before it gives the number back."""

    def __init__(self, serve, host="127.0.0.1"):
        self.serve = serve
        self.socket = socket.create_server((host, 0))
        self.host, self.port = self.socket.getsockname()[:2]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def close(self):
        """New connections are refused from here on; may be called twice."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(10)
        self.socket.close()


def end(link):
    """At once, as when a cable is pulled: the other side finds a reset connection, and a thread that waits for this one wakes up."""
    try:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    link.close()
