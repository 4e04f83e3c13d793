"""Firefox's remote control: JSON over TCP, each message preceded by its length and a colon."""
import json
import socket
import time


class Refused(Exception):
    """Firefox's answer to a command that it could not do; args[0] is the kind of error."""


class Marionette:
    def __init__(self, port, patience):
        self.socket = socket.create_connection(("127.0.0.1", port), patience)
        self.patience = patience
        self.received = b""
        self.last = 0
        self.receive(time.monotonic() + patience)  # Firefox greets

    def receive(self, deadline):
        while True:
            length, colon, rest = self.received.partition(b":")
            if colon and len(rest) >= int(length):
                self.received = rest[int(length):]
                return json.loads(rest[:int(length)])
            self.socket.settimeout(max(deadline - time.monotonic(), 0.01))
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("Firefox has hung up")
            self.received += more

    def command(self, name, patience=None, **parameters):
        """TimeoutError: no answer yet, which does not keep the next command from being done."""
        self.last += 1
        message = json.dumps([0, self.last, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(message), message))
        deadline = time.monotonic() + (patience or self.patience)
        while True:
            _, number, error, result = self.receive(deadline)
            if number != self.last:
                continue  # a late answer to what nobody waits for any more
            if error:
                raise Refused(error["error"], error["message"])
            return result

    def script(self, text, *arguments, patience=None):
        return self.command("WebDriver:ExecuteScript", patience, script=text, args=arguments)["value"]
