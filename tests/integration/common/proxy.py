"""A TCP proxy between a worker and the daemon, which a test tells what to keep back or to change."""
import socket
import threading


class Proxy:
    """Passes bytes on. request(bytes) and answer(bytes) give what is passed on instead, or None: that and all behind it in
    this connection is kept back, and the connection left open."""

    def __init__(self, port, request=None, answer=None):
        self.target = port
        self.request = request or (lambda data: data)
        self.answer = answer or (lambda data: data)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.links = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            self.links += [near, far]
            threading.Thread(target=self._pass, args=(near, far, lambda data: self.request(data)), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, lambda data: self.answer(data)), daemon=True).start()

    def _pass(self, source, sink, change):
        kept = False
        try:
            while data := source.recv(1 << 20):
                data = None if kept else change(data)
                kept = data is None
                if data:
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()
        for link in self.links:
            link.close()
