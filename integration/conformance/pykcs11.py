"""PyKCS11's API against one token, with python3-cryptography as the second opinion.

pykcs11.py PIN SO-PIN, the module in PYKCS11LIB. Prints one line a check: pass|fail NAME [WHY].
"""

import os
import sys
import traceback

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import cmac, hashes, hmac, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from PyKCS11 import *
from PyKCS11 import LowLevel

PIN, SO_PIN = sys.argv[1:]
DATA = bytes(range(251)) * 3
BLOCKS = DATA[:64]
P256 = bytes.fromhex("06082a8648ce3d030107")
P384 = bytes.fromhex("06052b81040022")
P521 = bytes.fromhex("06052b81040023")
# RFC 8410's OIDs, which PKCS#11 3.0 gives as the parameters of both kinds of Curve25519 keys
ED25519 = bytes.fromhex("06032b6570")
X25519 = bytes.fromhex("06032b656e")
# Constants of PKCS#11 3.0 that this version of PyKCS11 does not name (pkcs11t.h)
EDDSA, EDWARDS_PAIR, MONTGOMERY_PAIR = 0x1057, 0x1055, 0x1056
EC_EDWARDS, EC_MONTGOMERY = 0x40, 0x41
SHA3_256 = 0x2B0
HASHES = {
    "SHA1": (CKM_SHA_1, CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS, CKG_MGF1_SHA1, CKM_ECDSA_SHA1, CKM_SHA_1_HMAC, hashes.SHA1()),
    "SHA224": (CKM_SHA224, CKM_SHA224_RSA_PKCS, CKM_SHA224_RSA_PKCS_PSS, CKG_MGF1_SHA224, 0x1043, CKM_SHA224_HMAC, hashes.SHA224()),
    "SHA256": (CKM_SHA256, CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKG_MGF1_SHA256, 0x1044, CKM_SHA256_HMAC, hashes.SHA256()),
    "SHA384": (CKM_SHA384, CKM_SHA384_RSA_PKCS, CKM_SHA384_RSA_PKCS_PSS, CKG_MGF1_SHA384, 0x1045, CKM_SHA384_HMAC, hashes.SHA384()),
    "SHA512": (CKM_SHA512, CKM_SHA512_RSA_PKCS, CKM_SHA512_RSA_PKCS_PSS, CKG_MGF1_SHA512, 0x1046, CKM_SHA512_HMAC, hashes.SHA512()),
}


def check(name, function, *arguments):
    """Runs one check in a session of its own, so an operation that one leaves open does not reach the
    next; an exception is its failure, told with the line of this file it came from."""
    global session
    try:
        session = lib.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
        function(*arguments)
        print("pass", name, flush=True)
    except Exception as error:
        here = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == __file__][-1]
        print("fail", name, f"line {here.lineno}:", type(error).__name__, str(error).replace("\n", " "), flush=True)
    try:
        session.closeSession()
    except PyKCS11Error:  # the check did
        pass


def equal(got, expected):
    if isinstance(expected, (bytes, bytearray)):
        got = bytes(got)
    if got != expected:
        raise AssertionError(f"{got!r} instead of {expected!r}")


def refused(codes, function, *arguments):
    try:
        function(*arguments)
    except PyKCS11Error as error:
        if error.value in codes:
            return
        raise AssertionError(f"{error} instead of {' or '.join(CKR[code] for code in codes)}") from None
    raise AssertionError(f"CKR_OK instead of {' or '.join(CKR[code] for code in codes)}")


def digest_of(hash_, data):
    context = hashes.Hash(hash_)
    context.update(data)
    return context.finalize()


def find(label, kind):
    found = session.findObjects([(CKA_LABEL, label), (CKA_CLASS, kind)])
    equal(len(found), 1)
    return found[0]


def attribute(handle, *types):
    values = session.getAttributeValue(handle, list(types))
    values = [bytes(value) if isinstance(value, tuple) else value for value in values]
    return values[0] if len(values) == 1 else values


# --- the library, slots, sessions ----------------------------------------------------------------

class Names(dict):
    """PyKCS11 stops at a mechanism that it has no name for: one is made up."""

    def __missing__(self, number):
        self[number] = name = f"0x{number:X}"
        self[name] = number
        return name


sys.modules["PyKCS11"].CKM = Names(CKM)
lib = PyKCS11Lib()
lib.load()
slot = next(s for s in lib.getSlotList(tokenPresent=True) if lib.getTokenInfo(s).label.strip() == "conformance")
session = None
keeper = lib.openSession(slot)  # the login ends with the last session


def information():
    info = lib.getInfo()
    assert info.cryptokiVersion >= (2, 40), info.cryptokiVersion
    assert info.manufacturerID.strip() and info.libraryDescription.strip()
    assert lib.getSlotInfo(slot).flags & CKF_TOKEN_PRESENT
    token = lib.getTokenInfo(slot)
    for flag in CKF_TOKEN_INITIALIZED, CKF_USER_PIN_INITIALIZED, CKF_LOGIN_REQUIRED, CKF_RNG:
        assert token.flags & flag, token.flags2text()
    assert token.ulMinPinLen <= len(PIN) <= token.ulMaxPinLen


def mechanisms():
    names = lib.getMechanismList(slot)
    equal(len(names), len(set(names)))
    for name in names:
        info = lib.getMechanismInfo(slot, name)
        assert info.flags, name
        assert info.ulMinKeySize <= info.ulMaxKeySize, name
    refused([CKR_MECHANISM_INVALID], lib.getMechanismInfo, slot, "CKM_SKIPJACK_KEY_GEN")
    refused([CKR_SLOT_ID_INVALID], lib.getMechanismList, 987654321)


def session_information():
    info = session.getSessionInfo()
    equal((info.slotID, info.state, info.flags), (slot, CKS_RW_PUBLIC_SESSION, CKF_SERIAL_SESSION | CKF_RW_SESSION))
    reader = lib.openSession(slot, CKF_SERIAL_SESSION)
    equal(reader.getSessionInfo().state, CKS_RO_PUBLIC_SESSION)
    reader.closeSession()
    refused([CKR_SESSION_HANDLE_INVALID], reader.getSessionInfo)
    refused([CKR_SESSION_PARALLEL_NOT_SUPPORTED], lambda: low_open(CKF_RW_SESSION))


def low_open(flags):  # PyKCS11Lib.openSession adds CKF_SERIAL_SESSION by itself
    handle = LowLevel.CK_SESSION_HANDLE()
    code = lib.lib.C_OpenSession(slot, flags, handle)
    if code != CKR_OK:
        raise PyKCS11Error(code)


def not_logged_in():
    refused([CKR_USER_NOT_LOGGED_IN], session.logout)
    refused([CKR_USER_NOT_LOGGED_IN], session.createObject, data_object("early", private=True))
    equal(session.findObjects([(CKA_PRIVATE, True)]), [])


def log_in():
    refused([CKR_PIN_INCORRECT], session.login, "not the PIN")
    # PyKCS11 hands an empty PIN over as NULL, which 5.6.8 keeps for a protected authentication path.
    refused([CKR_PIN_INCORRECT, CKR_PIN_LEN_RANGE, CKR_ARGUMENTS_BAD], session.login, "")
    session.login(PIN)
    equal(session.getSessionInfo().state, CKS_RW_USER_FUNCTIONS)
    refused([CKR_USER_ALREADY_LOGGED_IN], session.login, PIN)
    refused([CKR_USER_ANOTHER_ALREADY_LOGGED_IN], session.login, SO_PIN, CKU_SO)
    reader = lib.openSession(slot, CKF_SERIAL_SESSION)
    equal(reader.getSessionInfo().state, CKS_RO_USER_FUNCTIONS)
    refused([CKR_SESSION_READ_ONLY], reader.createObject, data_object("read-only"))
    reader.closeSession()


def slot_events():
    refused([CKR_NO_EVENT], lib.waitForSlotEvent, CKF_DONT_BLOCK)


def random_numbers():
    first, second = bytes(session.generateRandom(64)), bytes(session.generateRandom(64))
    equal(len(first), 64)
    assert first != second
    try:
        session.seedRandom(list(range(32)))
    except PyKCS11Error as error:  # 5.15 leaves the choice
        equal(error.value, CKR_RANDOM_SEED_NOT_SUPPORTED)


# --- digests -------------------------------------------------------------------------------------


def digest(mechanism, hash_):
    equal(session.digest(DATA, Mechanism(mechanism)), digest_of(hash_, DATA))
    parts = session.digestSession(Mechanism(mechanism))
    parts.update(DATA[:5])
    parts.update(DATA[5:])
    equal(parts.final(), digest_of(hash_, DATA))


def digest_key():
    value = os.urandom(32)
    key = session.createObject(secret_key(CKK_GENERIC_SECRET, value, "digested"))
    parts = session.digestSession(Mechanism(CKM_SHA256))
    parts.update(b"before").digestKey(key)
    equal(parts.final(), digest_of(hashes.SHA256(), b"before" + value))


# --- objects -------------------------------------------------------------------------------------


def data_object(label, value=b"some data", private=False, token=True):
    return [
        (CKA_CLASS, CKO_DATA),
        (CKA_TOKEN, token),
        (CKA_PRIVATE, private),
        (CKA_LABEL, label),
        (CKA_APPLICATION, "pykcs11"),
        (CKA_VALUE, value),
    ]


USAGES = (CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_SIGN, CKA_VERIFY)


def secret_key(kind, value, label, token=False, usage=(CKA_SIGN, CKA_VERIFY)):
    template = [
        (CKA_CLASS, CKO_SECRET_KEY),
        (CKA_KEY_TYPE, kind),
        (CKA_TOKEN, token),
        (CKA_PRIVATE, True),
        (CKA_LABEL, label),
        (CKA_SENSITIVE, False),
        (CKA_EXTRACTABLE, True),
        (CKA_VALUE, value),
    ]
    return template + [(flag, flag in usage) for flag in USAGES]


def data_objects():
    handle = session.createObject(data_object("one", b"1234"))
    equal(attribute(handle, CKA_VALUE, CKA_LABEL, CKA_APPLICATION, CKA_PRIVATE), [b"1234", "one", "pykcs11", False])
    session.setAttributeValue(handle, [(CKA_LABEL, "two")])
    equal(find("two", CKO_DATA).value(), handle.value())
    equal(session.findObjects([(CKA_LABEL, "one")]), [])
    refused([CKR_ATTRIBUTE_READ_ONLY], session.setAttributeValue, handle, [(CKA_TOKEN, False)])
    refused([CKR_ATTRIBUTE_TYPE_INVALID, CKR_TEMPLATE_INCONSISTENT], session.setAttributeValue, handle, [(CKA_MODULUS, b"1")])
    session.destroyObject(handle)
    refused([CKR_OBJECT_HANDLE_INVALID], session.destroyObject, handle)


def unknown_attribute():
    handle = session.createObject(data_object("fragments", token=False))
    equal(session.getAttributeValue(handle, [CKA_LABEL, CKA_MODULUS, CKA_APPLICATION]), ["fragments", None, "pykcs11"])
    equal(session.getAttributeValue_fragmented(handle, [CKA_LABEL, CKA_MODULUS]), ["fragments", None])


def bad_templates():
    refused([CKR_TEMPLATE_INCOMPLETE], session.createObject, [(CKA_CLASS, CKO_SECRET_KEY), (CKA_TOKEN, False)])
    refused([CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT], session.createObject, [(CKA_CLASS, 0x7FFF1234)])
    refused([CKR_ATTRIBUTE_TYPE_INVALID, CKR_TEMPLATE_INCONSISTENT], session.createObject,
            data_object("bad", token=False) + [(CKA_MODULUS, b"1")])


def many_objects():
    for number in range(25):
        session.createObject(data_object("many", bytes([number]), token=False))
    equal(len(session.findObjects([(CKA_LABEL, "many")])), 25)
    equal(len(session.findObjects([(CKA_LABEL, "many"), (CKA_VALUE, bytes([7]))])), 1)
    for handle in session.findObjects([(CKA_LABEL, "many")]):
        session.destroyObject(handle)


def session_objects():
    other = lib.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
    handle = other.createObject(data_object("passing", token=False))
    equal(find("passing", CKO_DATA).value(), handle.value())
    other.closeSession()
    equal(session.findObjects([(CKA_LABEL, "passing")]), [])


def certificate():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pykcs11")])
    import datetime

    now = datetime.datetime(2026, 1, 1)
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=9)).sign(key, hashes.SHA256())
    )
    der = cert.public_bytes(serialization.Encoding.DER)
    subject = name.public_bytes()
    handle = session.createObject([
        (CKA_CLASS, CKO_CERTIFICATE), (CKA_CERTIFICATE_TYPE, CKC_X_509), (CKA_TOKEN, True), (CKA_PRIVATE, False),
        (CKA_LABEL, "cert"), (CKA_ID, b"\x09"), (CKA_SUBJECT, subject), (CKA_ISSUER, subject),
        (CKA_SERIAL_NUMBER, b"\x02\x01\x07"), (CKA_VALUE, der),
    ])
    equal(attribute(handle, CKA_VALUE, CKA_SUBJECT), [der, subject])
    equal(len(session.findObjects([(CKA_CLASS, CKO_CERTIFICATE), (CKA_SUBJECT, subject)])), 1)
    refused([CKR_ATTRIBUTE_READ_ONLY], session.setAttributeValue, handle, [(CKA_VALUE, der)])
    session.destroyObject(handle)


# --- RSA -----------------------------------------------------------------------------------------


def rsa_pair(label="rsa", bits=2048, token=True, private=(), **_):
    return session.generateKeyPair(
        [(CKA_CLASS, CKO_PUBLIC_KEY), (CKA_TOKEN, token), (CKA_PRIVATE, False), (CKA_MODULUS_BITS, bits),
         (CKA_PUBLIC_EXPONENT, (1, 0, 1)), (CKA_ENCRYPT, True), (CKA_VERIFY, True), (CKA_WRAP, True),
         (CKA_LABEL, label), (CKA_ID, b"\x22")],
        [(CKA_CLASS, CKO_PRIVATE_KEY), (CKA_TOKEN, token), (CKA_PRIVATE, True), (CKA_DECRYPT, True), (CKA_SIGN, True),
         (CKA_UNWRAP, True), (CKA_LABEL, label), (CKA_ID, b"\x22")] + list(private))


def rsa_public(handle):
    modulus, exponent = attribute(handle, CKA_MODULUS, CKA_PUBLIC_EXPONENT)
    return rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")).public_key()


def generate_rsa():
    public, private = rsa_pair()
    kept = attribute(private, CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE, CKA_EXTRACTABLE, CKA_NEVER_EXTRACTABLE, CKA_LOCAL,
                     CKA_KEY_GEN_MECHANISM, CKA_KEY_TYPE)
    equal(kept[4:], [True, CKM_RSA_PKCS_KEY_PAIR_GEN, CKK_RSA])
    equal(kept[0] and not kept[2], True)
    equal(attribute(private, CKA_MODULUS), attribute(public, CKA_MODULUS))
    equal(rsa_public(public).key_size, 2048)
    equal(attribute(private, CKA_PRIVATE_EXPONENT), None)


def sign_rsa(mechanism, padding_, hash_, data):
    private, public = find("rsa", CKO_PRIVATE_KEY), find("rsa", CKO_PUBLIC_KEY)
    signature = bytes(session.sign(private, data, mechanism))
    rsa_public(public).verify(signature, data, padding_, hash_)
    equal(session.verify(public, data, signature, mechanism), True)
    spoilt = bytes([signature[0] ^ 1]) + signature[1:]
    equal(session.verify(public, data, spoilt, mechanism), False)


def raw_rsa():
    private, public = find("rsa", CKO_PRIVATE_KEY), find("rsa", CKO_PUBLIC_KEY)
    block = b"\x00" * 200 + os.urandom(56)
    sealed = session.encrypt(public, block, Mechanism(CKM_RSA_X_509))
    equal(session.decrypt(private, sealed, Mechanism(CKM_RSA_X_509)), block)
    refused([CKR_DATA_LEN_RANGE, CKR_DATA_INVALID], session.sign, private, b"\xff" * 256, Mechanism(CKM_RSA_X_509))


def crypt_rsa(mechanism, padding_):
    private, public = find("rsa", CKO_PRIVATE_KEY), find("rsa", CKO_PUBLIC_KEY)
    sealed = rsa_public(public).encrypt(b"a secret", padding_)
    equal(session.decrypt(private, sealed, mechanism), b"a secret")
    equal(session.decrypt(private, session.encrypt(public, b"a secret", mechanism), mechanism), b"a secret")
    refused([CKR_DATA_LEN_RANGE], session.encrypt, public, b"x" * 257, mechanism)


def spoilt_oaep():
    private, public = find("rsa", CKO_PRIVATE_KEY), find("rsa", CKO_PUBLIC_KEY)
    mechanism = RSAOAEPMechanism(CKM_SHA256, CKG_MGF1_SHA256)
    sealed = bytearray(session.encrypt(public, b"a secret", mechanism))
    sealed[100] ^= 1
    refused([CKR_ENCRYPTED_DATA_INVALID], session.decrypt, private, bytes(sealed), mechanism)
    refused([CKR_ENCRYPTED_DATA_LEN_RANGE], session.decrypt, private, bytes(sealed[:-1]), mechanism)


def rsa_numbers(key):
    numbers = key.private_numbers()
    whole = lambda number: number.to_bytes((number.bit_length() + 7) // 8, "big")
    return [(CKA_MODULUS, whole(numbers.public_numbers.n)), (CKA_PUBLIC_EXPONENT, whole(numbers.public_numbers.e)),
            (CKA_PRIVATE_EXPONENT, whole(numbers.d)), (CKA_PRIME_1, whole(numbers.p)), (CKA_PRIME_2, whole(numbers.q)),
            (CKA_EXPONENT_1, whole(numbers.dmp1)), (CKA_EXPONENT_2, whole(numbers.dmq1)), (CKA_COEFFICIENT, whole(numbers.iqmp))]


def import_rsa(token):
    key = rsa.generate_private_key(65537, 2048)
    handle = session.createObject([
        (CKA_CLASS, CKO_PRIVATE_KEY), (CKA_KEY_TYPE, CKK_RSA), (CKA_TOKEN, token), (CKA_PRIVATE, True), (CKA_SIGN, True),
        (CKA_SENSITIVE, True), (CKA_EXTRACTABLE, False), (CKA_LABEL, "imported")] + rsa_numbers(key))
    equal(attribute(handle, CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE), [False, False, False])
    key.public_key().verify(bytes(session.sign(handle, DATA, Mechanism(CKM_SHA256_RSA_PKCS))), DATA, padding.PKCS1v15(), hashes.SHA256())
    equal(attribute(handle, CKA_PRIME_1), None)
    session.destroyObject(handle)


# --- elliptic curves -----------------------------------------------------------------------------


def ec_pair(params, label, mechanism=CKM_EC_KEY_PAIR_GEN, usage=CKA_SIGN, token=True):
    public = CKA_VERIFY if usage == CKA_SIGN else usage
    return session.generateKeyPair(
        [(CKA_CLASS, CKO_PUBLIC_KEY), (CKA_TOKEN, token), (CKA_PRIVATE, False), (CKA_EC_PARAMS, params), (public, True), (CKA_LABEL, label)],
        [(CKA_CLASS, CKO_PRIVATE_KEY), (CKA_TOKEN, token), (CKA_PRIVATE, True), (CKA_SENSITIVE, True), (usage, True), (CKA_LABEL, label)],
        mecha=Mechanism(mechanism))


def point(handle):
    """CKA_EC_POINT is an OCTET STRING; its length takes one byte, or two from 128 on."""
    value = attribute(handle, CKA_EC_POINT)
    equal(value[0], 4)
    return value[3:] if value[1] == 0x81 else value[2:]


def generate_ec(params, curve, label):
    public, private = ec_pair(params, label)
    equal(attribute(private, CKA_EC_PARAMS), params)
    ec.EllipticCurvePublicKey.from_encoded_point(curve, point(public))
    equal(attribute(private, CKA_VALUE), None)


def sign_ec(curve, label, mechanism, hash_):
    private, public = find(label, CKO_PRIVATE_KEY), find(label, CKO_PUBLIC_KEY)
    data = DATA if mechanism != CKM_ECDSA else digest_of(hash_, DATA)
    signature = bytes(session.sign(private, data, Mechanism(mechanism)))
    half = len(signature) // 2
    equal(half, (curve.key_size + 7) // 8)
    der = utils.encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
    ec.EllipticCurvePublicKey.from_encoded_point(curve, point(public)).verify(der, DATA, ec.ECDSA(hash_))
    equal(session.verify(public, data, signature, Mechanism(mechanism)), True)
    equal(session.verify(public, data, bytes(len(signature) - 1) + b"\x01", Mechanism(mechanism)), False)
    refused([CKR_SIGNATURE_LEN_RANGE], session.verify, public, data, signature[:-1], Mechanism(mechanism))


DERIVED = [(CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_GENERIC_SECRET), (CKA_TOKEN, False), (CKA_SENSITIVE, False),
           (CKA_EXTRACTABLE, True)]


def derive_ec(params, curve):
    public, private = ec_pair(params, "ecdh", usage=CKA_DERIVE, token=False)
    peer = ec.generate_private_key(curve)
    shared = peer.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, point(public)))
    theirs = peer.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    raw = session.deriveKey(private, DERIVED + [(CKA_VALUE_LEN, len(shared))], ECDH1_DERIVE_Mechanism(theirs))
    equal(attribute(raw, CKA_VALUE), shared)
    octets = bytes([4, len(theirs)]) + theirs if len(theirs) < 128 else bytes([4, 0x81, len(theirs)]) + theirs
    raw = session.deriveKey(private, DERIVED + [(CKA_VALUE_LEN, len(shared))], ECDH1_DERIVE_Mechanism(octets))
    equal(attribute(raw, CKA_VALUE), shared)
    # ANSI X9.63: Hash(Z || 1 || shared info)
    info = b"info"
    kdf = session.deriveKey(private, DERIVED + [(CKA_VALUE_LEN, 32)], ECDH1_DERIVE_Mechanism(theirs, CKD_SHA256_KDF, info))
    equal(attribute(kdf, CKA_VALUE), digest_of(hashes.SHA256(), shared + b"\x00\x00\x00\x01" + info))


def import_ec(token):
    key = ec.generate_private_key(ec.SECP256R1())
    handle = session.createObject([
        (CKA_CLASS, CKO_PRIVATE_KEY), (CKA_KEY_TYPE, CKK_EC), (CKA_TOKEN, token), (CKA_PRIVATE, True), (CKA_SIGN, True),
        (CKA_SENSITIVE, True), (CKA_LABEL, "imported ec"), (CKA_EC_PARAMS, P256),
        (CKA_VALUE, key.private_numbers().private_value.to_bytes(32, "big"))])
    signature = bytes(session.sign(handle, DATA, Mechanism(0x1044)))
    der = utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    key.public_key().verify(der, DATA, ec.ECDSA(hashes.SHA256()))
    session.destroyObject(handle)


def import_public_ec():
    key = ec.generate_private_key(ec.SECP384R1())
    encoded = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    handle = session.createObject([
        (CKA_CLASS, CKO_PUBLIC_KEY), (CKA_KEY_TYPE, CKK_EC), (CKA_TOKEN, False), (CKA_VERIFY, True), (CKA_EC_PARAMS, P384),
        (CKA_EC_POINT, bytes([4, len(encoded)]) + encoded)])
    r, s = utils.decode_dss_signature(key.sign(DATA, ec.ECDSA(hashes.SHA384())))
    equal(session.verify(handle, DATA, r.to_bytes(48, "big") + s.to_bytes(48, "big"), Mechanism(0x1045)), True)


def eddsa():
    public, private = ec_pair(ED25519, "ed25519", EDWARDS_PAIR)
    equal(attribute(private, CKA_KEY_TYPE), EC_EDWARDS)
    signature = bytes(session.sign(private, DATA, Mechanism(EDDSA)))
    ed25519.Ed25519PublicKey.from_public_bytes(point(public)).verify(signature, DATA)
    equal(session.verify(public, DATA, signature, Mechanism(EDDSA)), True)
    equal(session.verify(public, DATA + b".", signature, Mechanism(EDDSA)), False)


def derive_x25519():
    public, private = ec_pair(X25519, "x25519", MONTGOMERY_PAIR, CKA_DERIVE)
    equal(attribute(private, CKA_KEY_TYPE), EC_MONTGOMERY)
    peer = x25519.X25519PrivateKey.generate()
    shared = peer.exchange(x25519.X25519PublicKey.from_public_bytes(point(public)))
    theirs = peer.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    handle = session.deriveKey(private, DERIVED + [(CKA_VALUE_LEN, 32)], ECDH1_DERIVE_Mechanism(theirs))
    equal(attribute(handle, CKA_VALUE), shared)


# --- secret keys ---------------------------------------------------------------------------------


def aes_key(bits, label, token=True, extractable=True, sensitive=True):
    return session.generateKey([
        (CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_AES), (CKA_TOKEN, token), (CKA_PRIVATE, True), (CKA_VALUE_LEN, bits // 8),
        (CKA_SENSITIVE, sensitive), (CKA_EXTRACTABLE, extractable), (CKA_LABEL, label)] + [(usage, True) for usage in USAGES])


def generate_aes(bits):
    handle = aes_key(bits, f"aes{bits}")
    equal(attribute(handle, CKA_VALUE_LEN, CKA_LOCAL, CKA_KEY_GEN_MECHANISM, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE),
          [bits // 8, True, CKM_AES_KEY_GEN, True, False])
    equal(attribute(handle, CKA_VALUE), None)


def generate_aes_refused():
    refused([CKR_TEMPLATE_INCOMPLETE], session.generateKey, [(CKA_CLASS, CKO_SECRET_KEY), (CKA_TOKEN, False)])
    refused([CKR_ATTRIBUTE_VALUE_INVALID, CKR_KEY_SIZE_RANGE], session.generateKey, [(CKA_VALUE_LEN, 17), (CKA_TOKEN, False)])
    refused([CKR_TEMPLATE_INCONSISTENT], session.generateKey, [(CKA_VALUE_LEN, 16), (CKA_KEY_TYPE, CKK_RSA)])


def aes_raw(token):
    value = os.urandom(32)
    return value, session.createObject(secret_key(CKK_AES, value, "aes raw", token, usage=USAGES))


def aes_once(mechanism, mode, data, token):
    value, handle = aes_raw(token)
    encryptor = Cipher(algorithms.AES(value), mode).encryptor()
    expected = encryptor.update(data) + encryptor.finalize()
    equal(session.encrypt(handle, data, mechanism), expected)
    equal(session.decrypt(handle, expected, mechanism), data)
    session.destroyObject(handle)


def aes_cbc_pad(token):
    value, handle = aes_raw(token)
    iv = os.urandom(16)
    for length in 1, 15, 16, 17, 100:  # PyKCS11 refuses to encrypt nothing
        data = DATA[:length]
        encryptor = Cipher(algorithms.AES(value), modes.CBC(iv)).encryptor()
        left = 16 - length % 16
        expected = encryptor.update(data + bytes([left]) * left) + encryptor.finalize()
        equal(session.encrypt(handle, data, Mechanism(CKM_AES_CBC_PAD, iv)), expected)
        equal(session.decrypt(handle, expected, Mechanism(CKM_AES_CBC_PAD, iv)), data)
    refused([CKR_ENCRYPTED_DATA_LEN_RANGE], session.decrypt, handle, b"x" * 17, Mechanism(CKM_AES_CBC_PAD, iv))
    session.destroyObject(handle)


def aes_lengths():
    _, handle = aes_raw(False)
    refused([CKR_DATA_LEN_RANGE], session.encrypt, handle, b"x" * 17, Mechanism(CKM_AES_ECB))
    refused([CKR_MECHANISM_PARAM_INVALID], session.encrypt, handle, BLOCKS, Mechanism(CKM_AES_CBC, b"short"))
    refused([CKR_MECHANISM_PARAM_INVALID], session.encrypt, handle, BLOCKS, Mechanism(CKM_AES_CBC))


def aes_gcm(token):
    value, handle = aes_raw(token)
    for aad, bits in ((b"aad", 128), (b"", 128), (b"aad", 96)):
        iv = os.urandom(12)
        sealed = bytes(session.encrypt(handle, DATA, AES_GCM_Mechanism(iv, aad, bits)))
        expected = AESGCM(value).encrypt(iv, DATA, aad)
        equal(sealed, expected[: len(DATA) + bits // 8])
        equal(session.decrypt(handle, sealed, AES_GCM_Mechanism(iv, aad, bits)), DATA)
        spoilt = sealed[:-1] + bytes([sealed[-1] ^ 1])
        refused([CKR_ENCRYPTED_DATA_INVALID, CKR_AEAD_DECRYPT_FAILED], session.decrypt, handle, spoilt, AES_GCM_Mechanism(iv, aad, bits))
    session.destroyObject(handle)


CKR_AEAD_DECRYPT_FAILED = 0x42
CKR[CKR_AEAD_DECRYPT_FAILED] = "CKR_AEAD_DECRYPT_FAILED"


def aes_ctr(token):
    value, handle = aes_raw(token)
    counter = bytes(12) + b"\xff\xff\xff\xfe"  # carries within the data
    # CK_AES_CTR_PARAMS {ulCounterBits, cb[16]}, which PyKCS11 has no class for
    parameter = (128).to_bytes(8, sys.byteorder) + counter
    encryptor = Cipher(algorithms.AES(value), modes.CTR(counter)).encryptor()
    expected = encryptor.update(DATA) + encryptor.finalize()
    equal(session.encrypt(handle, DATA, Mechanism(CKM_AES_CTR, parameter)), expected)
    equal(session.decrypt(handle, expected, Mechanism(CKM_AES_CTR, parameter)), DATA)
    # "an overflow of the counter block's counter bits […] shall return CKR_DATA_LEN_RANGE" (6.13.3)
    overflow = Mechanism(CKM_AES_CTR, (128).to_bytes(8, sys.byteorder) + b"\xff" * 15 + b"\xfe")
    refused([CKR_DATA_LEN_RANGE], session.encrypt, handle, DATA, overflow)
    session.destroyObject(handle)


def aes_cmac(token):
    value, handle = aes_raw(token)
    context = cmac.CMAC(algorithms.AES(value))
    context.update(DATA)
    expected = context.finalize()
    mechanism = Mechanism(0x108A)  # CKM_AES_CMAC
    equal(session.sign(handle, DATA, mechanism), expected)
    equal(session.verify(handle, DATA, expected, mechanism), True)
    equal(session.verify(handle, DATA, bytes(16), mechanism), False)
    session.destroyObject(handle)


def hmac_(token, mechanism, hash_):
    value = os.urandom(48)
    handle = session.createObject(secret_key(CKK_GENERIC_SECRET, value, "hmac", token))
    context = hmac.HMAC(value, hash_)
    context.update(DATA)
    expected = context.finalize()
    equal(session.sign(handle, DATA, Mechanism(mechanism)), expected)
    equal(session.verify(handle, DATA, expected, Mechanism(mechanism)), True)
    equal(session.verify(handle, DATA + b".", expected, Mechanism(mechanism)), False)
    session.destroyObject(handle)


def generate_generic():
    handle = session.generateKey([
        (CKA_CLASS, CKO_SECRET_KEY), (CKA_TOKEN, True), (CKA_PRIVATE, True), (CKA_VALUE_LEN, 40), (CKA_SIGN, True), (CKA_VERIFY, True),
        (CKA_SENSITIVE, True), (CKA_EXTRACTABLE, False), (CKA_LABEL, "generic")], Mechanism(CKM_GENERIC_SECRET_KEY_GEN))
    equal(attribute(handle, CKA_KEY_TYPE, CKA_VALUE_LEN, CKA_NEVER_EXTRACTABLE), [CKK_GENERIC_SECRET, 40, True])
    mac = session.sign(handle, DATA, Mechanism(CKM_SHA256_HMAC))
    equal(session.verify(handle, DATA, mac, Mechanism(CKM_SHA256_HMAC)), True)
    equal(len(mac), 32)


# --- wrapping ------------------------------------------------------------------------------------


UNWRAPPED = [(CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, CKK_AES), (CKA_TOKEN, False), (CKA_SENSITIVE, False), (CKA_EXTRACTABLE, True),
             (CKA_ENCRYPT, True), (CKA_DECRYPT, True)]


def wrap_rsa(mechanism, padding_):
    private, public = find("rsa", CKO_PRIVATE_KEY), find("rsa", CKO_PUBLIC_KEY)
    value, handle = aes_raw(False)
    wrapped = session.wrapKey(public, handle, mechanism)
    equal(attribute(session.unwrapKey(private, wrapped, UNWRAPPED, mechanism), CKA_VALUE), value)
    theirs = rsa_public(public).encrypt(value, padding_)
    equal(attribute(session.unwrapKey(private, theirs, UNWRAPPED, mechanism), CKA_VALUE), value)


def wrap_aes(mechanism, wrap, token):
    kek, wrapping = aes_raw(token)
    value, handle = aes_raw(False)
    wrapped = bytes(session.wrapKey(wrapping, handle, Mechanism(mechanism)))
    equal(wrapped, wrap(kek, value))
    equal(attribute(session.unwrapKey(wrapping, wrapped, UNWRAPPED, Mechanism(mechanism)), CKA_VALUE), value)
    spoilt = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    refused([CKR_WRAPPED_KEY_INVALID], session.unwrapKey, wrapping, spoilt, UNWRAPPED, Mechanism(mechanism))
    session.destroyObject(wrapping)


def wrap_private(mechanism, parameter=None):
    """A private key travels as PKCS#8 and signs at the other end."""
    _, wrapping = aes_raw(True)
    public, private = rsa_pair("traveller", token=False, private=[(CKA_EXTRACTABLE, True), (CKA_SENSITIVE, True)])
    wrapped = session.wrapKey(wrapping, private, Mechanism(mechanism, parameter))
    back = session.unwrapKey(wrapping, wrapped, [
        (CKA_CLASS, CKO_PRIVATE_KEY), (CKA_KEY_TYPE, CKK_RSA), (CKA_TOKEN, False), (CKA_PRIVATE, True), (CKA_SIGN, True)],
        Mechanism(mechanism, parameter))
    rsa_public(public).verify(bytes(session.sign(back, DATA, Mechanism(CKM_SHA256_RSA_PKCS))), DATA, padding.PKCS1v15(), hashes.SHA256())
    equal(attribute(back, CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE), [False, False, False])
    session.destroyObject(wrapping)


def wrap_padded(length):
    """CKM_AES_KEY_WRAP "can wrap a key of any length", padded with zeros (3.2, 6.16.3); CKA_VALUE_LEN tells how many go."""
    kek, wrapping = aes_raw(False)
    value = os.urandom(length)
    handle = session.createObject(secret_key(CKK_GENERIC_SECRET, value, "odd"))
    wrapped = session.wrapKey(wrapping, handle, Mechanism(CKM_AES_KEY_WRAP))
    equal(wrapped, keywrap.aes_key_wrap(kek, value + bytes(-length % 8)))
    back = session.unwrapKey(wrapping, wrapped, DERIVED + [(CKA_VALUE_LEN, length)], Mechanism(CKM_AES_KEY_WRAP))
    equal(attribute(back, CKA_VALUE), value)


def wrap_refused():
    _, wrapping = aes_raw(False)
    kept = aes_key(256, "kept", token=False, extractable=False)
    refused([CKR_KEY_UNEXTRACTABLE, CKR_KEY_NOT_WRAPPABLE], session.wrapKey, wrapping, kept, Mechanism(CKM_AES_KEY_WRAP))
    plain = session.createObject(secret_key(CKK_AES, os.urandom(16), "no wrap", usage=(CKA_ENCRYPT,)))
    refused([CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_WRAPPING_KEY_TYPE_INCONSISTENT], session.wrapKey, plain, wrapping, Mechanism(CKM_AES_KEY_WRAP))


def usage_held():
    handle = session.createObject(secret_key(CKK_AES, os.urandom(16), "only encrypts", usage=(CKA_ENCRYPT,)))
    session.encrypt(handle, BLOCKS, Mechanism(CKM_AES_ECB))
    refused([CKR_KEY_FUNCTION_NOT_PERMITTED], session.decrypt, handle, BLOCKS, Mechanism(CKM_AES_ECB))
    refused([CKR_KEY_TYPE_INCONSISTENT], session.encrypt, find("rsa", CKO_PUBLIC_KEY), BLOCKS, Mechanism(CKM_AES_ECB))


# --- the end -------------------------------------------------------------------------------------


def persistence():
    """What lies in the token is there for another session after everything was closed."""
    global session, keeper
    session.logout()
    equal(session.findObjects([(CKA_PRIVATE, True)]), [])
    lib.closeAllSessions(slot)
    refused([CKR_SESSION_HANDLE_INVALID], session.getSessionInfo)
    keeper = lib.openSession(slot)
    session = lib.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
    session.login(PIN)
    private = find("rsa", CKO_PRIVATE_KEY)
    rsa_public(find("rsa", CKO_PUBLIC_KEY)).verify(
        bytes(session.sign(private, DATA, Mechanism(CKM_SHA256_RSA_PKCS))), DATA, padding.PKCS1v15(), hashes.SHA256())


def pins():
    global keeper
    session.setPin(PIN, "5678")
    session.logout()
    refused([CKR_PIN_INCORRECT], session.login, PIN)
    refused([CKR_SESSION_READ_ONLY_EXISTS], session.login, SO_PIN, CKU_SO)
    keeper.closeSession()
    keeper = lib.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
    session.login(SO_PIN, CKU_SO)
    refused([CKR_SESSION_READ_WRITE_SO_EXISTS], lib.openSession, slot)
    equal(session.getSessionInfo().state, CKS_RW_SO_FUNCTIONS)
    session.initPin(PIN)
    session.logout()
    session.login(PIN)


def init_token():
    session.logout()
    refused([CKR_SESSION_EXISTS], lib.initToken, slot, SO_PIN, "anew".ljust(32))
    lib.closeAllSessions(slot)
    refused([CKR_PIN_INCORRECT], lib.initToken, slot, "not the SO's", "anew".ljust(32))
    lib.initToken(slot, SO_PIN, "anew".ljust(32))
    again = next(s for s in lib.getSlotList(tokenPresent=True) if lib.getTokenInfo(s).label.strip() == "anew")
    equal(lib.getTokenInfo(again).flags & CKF_USER_PIN_INITIALIZED, 0)
    equal(lib.openSession(again).findObjects(), [])


for function in (information, mechanisms, session_information, not_logged_in, log_in, slot_events, random_numbers):
    check(function.__name__, function)
for name, row in HASHES.items():
    check(f"digest/{name}", digest, row[0], row[6])
check("digest/SHA3-256", digest, SHA3_256, hashes.SHA3_256())
for function in (digest_key, data_objects, unknown_attribute, bad_templates, many_objects, session_objects, certificate, generate_rsa):
    check(function.__name__, function)
for name, (hash_mechanism, pkcs1, pss, mgf, ecdsa, _, hash_) in HASHES.items():
    size = hash_.digest_size
    check(f"sign_rsa/{name}-PKCS1", sign_rsa, Mechanism(pkcs1), padding.PKCS1v15(), hash_, DATA)
    check(f"sign_rsa/{name}-PSS", sign_rsa, RSA_PSS_Mechanism(pss, hash_mechanism, mgf, size),
          padding.PSS(padding.MGF1(hash_), size), hash_, DATA)
    check(f"sign_rsa/{name}-PSS-no-salt", sign_rsa, RSA_PSS_Mechanism(pss, hash_mechanism, mgf, 0),
          padding.PSS(padding.MGF1(hash_), 0), hash_, DATA)
    check(f"crypt_rsa/OAEP-{name}", crypt_rsa, RSAOAEPMechanism(hash_mechanism, mgf), padding.OAEP(padding.MGF1(hash_), hash_, None))
check("crypt_rsa/OAEP-label", crypt_rsa, RSAOAEPMechanism(CKM_SHA256, CKG_MGF1_SHA256, b"label"),
      padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"label"))
check("crypt_rsa/PKCS1", crypt_rsa, MechanismRSAPKCS1, padding.PKCS1v15())
check("raw_rsa", raw_rsa)
check("spoilt_oaep", spoilt_oaep)
check("import_rsa/session", import_rsa, False)
check("import_rsa/token", import_rsa, True)
for label, params, curve in (("P-256", P256, ec.SECP256R1()), ("P-384", P384, ec.SECP384R1()), ("P-521", P521, ec.SECP521R1())):
    check(f"generate_ec/{label}", generate_ec, params, curve, label)
    check(f"sign_ec/{label}", sign_ec, curve, label, CKM_ECDSA, hashes.SHA256())
    for name, row in HASHES.items():
        check(f"sign_ec/{label}-{name}", sign_ec, curve, label, row[4], row[6])
    check(f"derive_ec/{label}", derive_ec, params, curve)
check("import_ec/session", import_ec, False)
check("import_ec/token", import_ec, True)
check("import_public_ec", import_public_ec)
check("eddsa", eddsa)
check("derive_x25519", derive_x25519)
for bits in (128, 192, 256):
    check(f"generate_aes/{bits}", generate_aes, bits)
check("generate_aes_refused", generate_aes_refused)
for where, token in (("session", False), ("token", True)):
    iv = bytes(range(16))
    check(f"aes_ecb/{where}", aes_once, Mechanism(CKM_AES_ECB), modes.ECB(), BLOCKS, token)
    check(f"aes_cbc/{where}", aes_once, Mechanism(CKM_AES_CBC, iv), modes.CBC(iv), BLOCKS, token)
    check(f"aes_cbc_pad/{where}", aes_cbc_pad, token)
    check(f"aes_ctr/{where}", aes_ctr, token)
    check(f"aes_gcm/{where}", aes_gcm, token)
    check(f"aes_cmac/{where}", aes_cmac, token)
    for name, row in HASHES.items():
        check(f"hmac/{name}/{where}", hmac_, token, row[5], row[6])
check("aes_lengths", aes_lengths)
check("generate_generic", generate_generic)
check("wrap_rsa/PKCS1", wrap_rsa, MechanismRSAPKCS1, padding.PKCS1v15())
check("wrap_rsa/OAEP", wrap_rsa, RSAOAEPMechanism(CKM_SHA256, CKG_MGF1_SHA256),
      padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
for where, token in (("session", False), ("token", True)):
    check(f"wrap_aes/KEY-WRAP/{where}", wrap_aes, CKM_AES_KEY_WRAP, keywrap.aes_key_wrap, token)
    # CKM_AES_KEY_WRAP_KWP, RFC 5649
    check(f"wrap_aes/KWP/{where}", wrap_aes, 0x210B, keywrap.aes_key_wrap_with_padding, token)
check("wrap_padded/20", wrap_padded, 20)
check("wrap_private/KEY-WRAP", wrap_private, CKM_AES_KEY_WRAP)
check("wrap_private/KWP", wrap_private, 0x210B)
check("wrap_private/CBC-PAD", wrap_private, CKM_AES_CBC_PAD, bytes(range(16)))
for function in (wrap_refused, usage_held, persistence, pins, init_token):
    check(function.__name__, function)
