"""A TCP proxy between a worker and the daemon, which a test tells what to keep back or to change."""
import socket
import threading

from listener import Listener, end


class Proxy:
    """Passes bytes on. request(bytes) and answer(bytes) give what is passed on instead, or None: that and all behind it in
    this connection is kept back, and the connection left open. What one side
    ends or breaks off ends for the other."""

    def __init__(self, port, request=None, answer=None):
        self.target = port
        self.request = request or (lambda data: data)
        self.answer = answer or (lambda data: data)
        self.links = []
        self.listener = Listener(self._serve)
        self.port, self.url = self.listener.port, self.listener.url

    def _serve(self, near):
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            end(near)
            return
        self.links += [near, far]
        threading.Thread(target=self._pass, args=(near, far, lambda data: self.request(data)), daemon=True).start()
        self._pass(far, near, lambda data: self.answer(data))

    def _pass(self, source, sink, change):
        kept = False
        try:
            while data := source.recv(1 << 20):
                data = None if kept else change(data)
                kept = data is None
                if data:
                    sink.sendall(data)
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()
        for link in self.links:
            end(link)
