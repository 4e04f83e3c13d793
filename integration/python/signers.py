"""Four signers at once, as threads of one process or as forked children of one that is logged in.

signers.py MODULE TOKEN PIN-FILE threads|children: each signs with the keys "ec" and "rsa" five times, and
python3-cryptography verifies by ec.pub and rsa.pub.
"""
import multiprocessing
import sys
import threading

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from PyKCS11 import *

MODULE, TOKEN, PIN_FILE, KIND = sys.argv[1:]
SIGNERS, TIMES = 4, 5


def load():
    lib = PyKCS11Lib()
    lib.load(MODULE)
    slot = next(s for s in lib.getSlotList(tokenPresent=True) if lib.getTokenInfo(s).label.strip() == TOKEN)
    return lib, slot


def log_in(lib, slot):
    session = lib.openSession(slot)
    session.login(open(PIN_FILE).read())
    return session


def public(label):
    return serialization.load_pem_public_key(open(label + ".pub", "rb").read())


def sign(session, label, mechanism, data):
    key = session.findObjects([(CKA_CLASS, CKO_PRIVATE_KEY), (CKA_LABEL, label)])[0]
    return bytes(session.sign(key, data, Mechanism(mechanism)))


def signer(session, name, verified):
    for i in range(TIMES):
        data = f"{name} {i}".encode()
        raw = sign(session, "ec", CKM_ECDSA_SHA256, data)
        der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        public("ec").verify(der, data, ec.ECDSA(hashes.SHA256()))
        public("rsa").verify(sign(session, "rsa", CKM_SHA256_RSA_PKCS, data), data, padding.PKCS1v15(), hashes.SHA256())
        verified.put(2)


def child(name, verified):
    signer(log_in(*load()), name, verified)


def main():
    lib, slot = load()
    first = log_in(lib, slot)
    sign(first, "ec", CKM_ECDSA_SHA256, b"before")
    fork = multiprocessing.get_context("fork")
    verified = fork.SimpleQueue()
    if KIND == "threads":
        make = [threading.Thread(target=signer, args=(lib.openSession(slot), n, verified)) for n in range(SIGNERS)]
    else:
        make = [fork.Process(target=child, args=(n, verified)) for n in range(SIGNERS)]
    for each in make:
        each.start()
    for each in make:
        each.join()
    n = 0
    while not verified.empty():
        n += verified.get()
    print(n, "signatures verified")


main()
