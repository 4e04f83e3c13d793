#!/usr/bin/env python3
"""Requests without end to a web server, each over a TLS connection of its own: web_load.py PORT CA DIR.

Makes DIR/begun with the first answer, ends when DIR/stop appears. While DIR/crash is there a worker may be killed, which ends the connections that are in it
by nature; those are told apart. Prints what came of it as shell assignments; DIR/failures has the reasons.
"""
import os
import socket
import ssl
import sys
import threading
import time

KINDS = [  # TLS version, ciphers up to 1.2
    (ssl.TLSVersion.TLSv1_3, None),
    (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES256-GCM-SHA384"),
]
CLIENTS = 6
PATIENCE = 60  # seconds: far more than a busy machine needs

port, ca, directory = int(sys.argv[1]), sys.argv[2], sys.argv[3]
lock = threading.Lock()
requests = {"done": 0, "failed": 0, "broken_by_crash": 0}


def there(name):
    return os.path.exists(os.path.join(directory, name))


def context(version, ciphers):
    made = ssl.create_default_context(cafile=ca)
    made.minimum_version = made.maximum_version = version
    made.options |= ssl.OP_NO_TICKET
    if ciphers:
        made.set_ciphers(ciphers)
    return made


def request(tls):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain:
        with tls.wrap_socket(plain, server_hostname="localhost") as stream:
            stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := stream.recv(4096):
                answer += piece
    if not answer.startswith(b"HTTP/1.1 200 ") or b"worker=" not in answer:
        raise ssl.SSLError("no whole answer: %r" % answer[:40])


def client(number):
    tls = context(*KINDS[number % len(KINDS)])
    while not there("stop"):
        crash = there("crash")
        try:
            request(tls)
            outcome = "done"
        except OSError as error:  # ssl.SSLError is one
            crash = (crash or there("crash")) and not isinstance(error, (ConnectionRefusedError, TimeoutError))
            outcome = "broken_by_crash" if crash else "failed"
            with lock, open(os.path.join(directory, "failures"), "a", encoding="utf-8") as log:
                log.write(f"{time.strftime('%T')} client {number} {outcome}: {error!r}\n")
        with lock:
            requests[outcome] += 1
            if requests["done"] == 1:
                open(os.path.join(directory, "begun"), "w", encoding="utf-8").close()


threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*(f"{name}={n}" for name, n in requests.items()), f"clients={CLIENTS}")
