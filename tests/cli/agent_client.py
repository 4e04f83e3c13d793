"""Speaks the SSH agent protocol to an agent, well and badly.

agent_client.py SOCKET hostile   what no honest client sends; each answer is checked
agent_client.py SOCKET sign COMMENT FLAGS FILE   prints the signature's algorithm, or "refused"
agent_client.py SOCKET dropped   exits 0 when the agent does not let this user in
agent_client.py SOCKET locked    exits 0 when the agent shows no keys and signs nothing
"""
import random
import socket
import struct
import sys
import time

LIMIT = 256 << 10
REFUSED = b"\x05"


def string(data):
    return struct.pack(">I", len(data)) + data


class Agent:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(sys.argv[1])

    def send(self, data):
        try:
            self.socket.sendall(data)
        except BrokenPipeError:  # dropped: the next read says so
            pass

    def read(self, n):
        data = b""
        while len(data) < n:
            some = self.socket.recv(n - len(data))
            if not some:
                raise EOFError
            data += some
        return data

    def answer(self):
        n = struct.unpack(">I", self.read(4))[0]
        assert 0 < n <= LIMIT, n
        return self.read(n)

    def ask(self, message):
        self.send(string(message))
        return self.answer()

    def is_dropped(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def identities(self):
        return self.parse(self.ask(b"\x0b"))

    @staticmethod
    def parse(answer):
        assert answer[0] == 12, answer
        n, rest, found = struct.unpack(">I", answer[1:5])[0], answer[5:], {}
        strings = []
        while rest:
            size = struct.unpack(">I", rest[:4])[0]
            assert size <= len(rest) - 4
            strings.append(rest[4 : 4 + size])
            rest = rest[4 + size :]
        assert len(strings) == 2 * n
        for blob, comment in zip(strings[::2], strings[1::2]):
            found[comment.decode()] = blob
        return found


def sign_request(blob, message, flags=0):
    return b"\x0d" + string(blob) + string(message) + struct.pack(">I", flags)


def lengths():
    for n in (0, LIMIT + 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        agent = Agent()
        agent.send(struct.pack(">I", n) + b"\x0b" * 8)
        assert agent.is_dropped(), n
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n"):
        agent = Agent()
        agent.send(garbage)
        assert agent.is_dropped(), garbage
    agent = Agent()
    assert agent.ask(b"\xc8" + bytes(LIMIT - 1)) == REFUSED
    assert agent.identities()


def contents(keys):
    agent = Agent()
    for kind in range(256):
        if kind != 11:
            assert agent.ask(bytes([kind])) == REFUSED, kind
            assert agent.ask(bytes([kind]) + b"\xff" * 9) == REFUSED, kind
    assert agent.ask(b"\x0bx") == REFUSED
    for blob in keys.values():
        whole = sign_request(blob, b"message", 2)
        for n in range(1, len(whole)):
            assert agent.ask(whole[:n]) == REFUSED, n
        assert agent.ask(whole + b"\0") == REFUSED
        assert agent.ask(whole)[0] == 14
        for n in (0x7FFFFFFF, 0xFFFFFFFF, len(blob) + 16):
            bad = struct.pack(">I", n)
            assert agent.ask(b"\x0d" + bad + whole[5:]) == REFUSED
            assert agent.ask(b"\x0d" + string(blob) + bad + whole[9 + len(blob) :]) == REFUSED
        for n in range(len(blob)):
            changed = blob[:n] + bytes([blob[n] ^ 1]) + blob[n + 1 :]
            assert agent.ask(sign_request(changed, b"message", 2)) == REFUSED
    for body in (b"\x17" + string(b"not locked"), b"\x16" + string(b"x") + b"y", b"\x16\0\0\0\x02x"):
        assert agent.ask(body) == REFUSED
    assert agent.identities() == keys


def pieces(keys):
    agent = Agent()
    for byte in string(b"\x0b"):
        agent.send(bytes([byte]))
        time.sleep(0.01)
    assert agent.parse(agent.answer()) == keys
    agent.send(string(b"\x0b") * 200 + string(b"\xc8"))
    for _ in range(200):
        assert agent.parse(agent.answer()) == keys
    assert agent.answer() == REFUSED
    agent.send(string(b"\x0b"))
    agent.socket.shutdown(socket.SHUT_WR)
    assert agent.parse(agent.answer()) == keys
    assert agent.is_dropped()


def long_message(keys):
    for comment, blob in keys.items():
        room = LIMIT - len(sign_request(blob, b"", 2))
        agent = Agent()
        assert agent.ask(sign_request(blob, bytes(room), 2))[0] == 14, comment
        agent.send(string(sign_request(blob, bytes(room + 1), 2)))
        assert agent.is_dropped(), comment


def crowd(keys):
    halves = [Agent() for _ in range(20)]
    for half in halves:
        half.send(b"\0\0\0\x05\x0b")
    deaf = Agent()  # asks and never reads: the agent's answers fill the socket
    deaf.socket.setblocking(False)
    try:
        while True:
            deaf.socket.send(string(b"\x0b") * 1000)
    except BlockingIOError:
        pass
    assert Agent().identities() == keys
    idle = [Agent() for _ in range(400)]
    assert Agent().identities() == keys
    assert idle[-1].identities() == keys
    gone = Agent()
    gone.send(string(b"\x0b") * 50)
    gone.socket.close()
    assert Agent().identities() == keys


def noise(keys):
    chance = random.Random(1)  # always the same
    for _ in range(300):
        agent = Agent()
        body = bytearray(sign_request(chance.choice(list(keys.values())), b"message", 2))
        for _ in range(chance.randrange(1, 8)):
            body[chance.randrange(1, len(body))] = chance.randrange(256)
        assert agent.ask(bytes(body))[0] in (5, 14)
        agent.send(chance.randbytes(chance.randrange(1, 200)))
    assert Agent().identities() == keys


def hostile():
    keys = Agent().identities()
    assert len(keys) >= 3
    lengths()
    contents(keys)
    pieces(keys)
    long_message(keys)
    crowd(keys)
    noise(keys)


def sign(comment, flags, file):
    agent = Agent()
    with open(file, "rb") as data:
        answer = agent.ask(sign_request(agent.identities()[comment], data.read(), int(flags)))
    if answer == REFUSED:
        print("refused")
        return
    assert answer[0] == 14
    n = struct.unpack(">I", answer[5:9])[0]
    print(answer[9 : 9 + n].decode())


def dropped():
    agent = Agent()
    agent.send(string(b"\x0b"))
    assert agent.is_dropped()


def locked():
    agent = Agent()
    assert agent.identities() == {}
    assert agent.ask(b"\x16" + string(b"again")) == REFUSED
    assert agent.ask(b"\x17" + string(b"another")) == REFUSED
    assert agent.ask(b"\x17" + string(b"")) == REFUSED


{"hostile": hostile, "sign": sign, "dropped": dropped, "locked": locked}[sys.argv[2]](*sys.argv[3:])
