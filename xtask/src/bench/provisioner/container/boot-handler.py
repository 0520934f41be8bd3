"""Writes boot scripts and installers' configurations, as the first pvmlab's handler did: from every definition, at each request."""

import glob
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SERVER = "http://{server}"


def machine(mac):
    for path in sorted(glob.glob("/mnt/container/vms/*.json")):
        with open(path, encoding="utf-8") as file:
            definition = json.load(file)
        if definition["mac"].lower() == mac.lower():
            return definition
    return None


def script(definition):
    image = f"{SERVER}/images/{definition['distro']}/{definition['arch']}"
    config = f"{SERVER}/config/{definition['mac']}"
    return f"#!ipxe\nkernel {image}/vmlinuz config_url={config}\ninitrd {image}/initrd.img\nboot\n"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/ipxe":
            found = machine(parse_qs(url.query).get("mac", [""])[0])
            answer = found and script(found)
        elif url.path.startswith("/config/"):
            found = machine(url.path.removeprefix("/config/"))
            answer = found and json.dumps(found)
        else:
            answer = None
        self.send_response(200 if answer else 404)
        self.end_headers()
        self.wfile.write((answer or "unknown machine\n").encode())

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", 8081), Handler).serve_forever()
