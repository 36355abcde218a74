"""Serves MTA-STS policies by HTTPS: the first argument is a port, the second a folder with <host>.pem and <host>.txt."""

import http.server
import os
import ssl
import sys

port, folder = int(sys.argv[1]), sys.argv[2]


class Policies(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = os.path.join(folder, os.path.basename(self.headers["Host"]) + ".txt")
        if self.path != "/.well-known/mta-sts.txt" or not os.path.exists(path):
            return self.send_error(404)
        with open(path, "rb") as file:
            body = file.read()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


contexts = {}
for name in os.listdir(folder):
    if name.endswith(".pem"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, name))
        contexts[name[: -len(".pem")]] = context


def choose(socket, name, _):
    if name in contexts:
        socket.context = contexts[name]


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Policies)
first = next(iter(contexts.values()))
first.sni_callback = choose
server.socket = first.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
