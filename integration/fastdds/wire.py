"""Writes what goes by on loopback to stdout until it is ended (root only); says "listening" on stderr."""
import socket
import sys

ALL_PROTOCOLS = 3
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(ALL_PROTOCOLS))
wire.bind(("lo", 0))
print("listening", file=sys.stderr, flush=True)
while True:
    sys.stdout.buffer.write(wire.recv(65535))
    sys.stdout.buffer.flush()
