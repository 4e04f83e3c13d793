#!/bin/bash
# Objects that other programs made: names that are there twice, halves without the other, what is no
# text and what is no certificate. The command says which, and takes no other one in its place.
. "$(dirname "$0")/lib.sh"
/usr/bin/python3 -c 'import PyKCS11' 2>/dev/null || { echo 'python3-pykcs11 is not installed' && exit 77; }
start_token
# shellcheck disable=SC2317 # called by succeeds and exits
in_module() { # PYTHON: with a session s, logged in, and make() for token objects
    /usr/bin/python3 - "$LATCHKEY_BUILD/latchkey-pkcs11.so" "$1" <<'P'
import sys
from PyKCS11 import *
lib = PyKCS11Lib()
lib.load(sys.argv[1])
slot = lib.getSlotList(tokenPresent=True)[0]
s = lib.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
s.login("123456")
def make(cls, label, *rows):
    return s.createObject([(CKA_CLASS, cls), (CKA_TOKEN, CK_TRUE), (CKA_LABEL, label), *rows])
def find(*rows):
    return s.findObjects(list(rows))
def value(o, attribute):
    return tuple(s.getAttributeValue(o, [attribute])[0])
exec(sys.argv[2])
P
}
generate() { # LABEL ID
    succeeds lk key generate --type ec --label "$1" --id "$2" --pin-file pin
}
echo text >text

# --- names that are there twice ----------------------------------------------------------------------------
succeeds in_module '
for text in b"one", b"two":
    make(CKO_DATA, "twice", (CKA_APPLICATION, "latchkey secret"), (CKA_PRIVATE, CK_TRUE), (CKA_VALUE, text))'
exits 7 lk secret get twice --pin-file pin
complains "'twice' is the name of 2 secrets"
generate first 01
generate second 02
succeeds in_module '
for o in find((CKA_LABEL, "second")):
    s.setAttributeValue(o, [(CKA_LABEL, "first")])'
exits 7 lk sign first text --pin-file pin
complains "'first' is the name of several keys"
succeeds lk sign 'pkcs11:object=first;id=%02' text --pin-file pin -o sig
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout x.key -subj /CN=x -out x.pem 2>/dev/null
openssl req -x509 -key x.key -subj /CN=y -out y.pem 2>/dev/null
succeeds lk cert import x.pem --label cert --pin-file pin
succeeds lk cert import y.pem --label other --pin-file pin
succeeds in_module '
for o in find((CKA_LABEL, "other")):
    s.setAttributeValue(o, [(CKA_LABEL, "cert")])'
exits 7 lk cert export cert
complains "'cert' is the name of 2 certificate objects"

# --- halves ------------------------------------------------------------------------------------------------
generate alone 03
generate renamed 04
generate public 05
generate false 06
generate strange 07
succeeds in_module '
public, private = (CKA_CLASS, CKO_PUBLIC_KEY), (CKA_CLASS, CKO_PRIVATE_KEY)
s.destroyObject(find(public, (CKA_LABEL, "alone"))[0])
s.setAttributeValue(find(public, (CKA_LABEL, "renamed"))[0], [(CKA_LABEL, "elsewhere")])
s.destroyObject(find(private, (CKA_LABEL, "public"))[0])
point = value(find(public, (CKA_LABEL, "strange"))[0], CKA_EC_POINT)
params = value(find(public, (CKA_LABEL, "strange"))[0], CKA_EC_PARAMS)
s.destroyObject(find(public, (CKA_LABEL, "false"))[0])
make(CKO_PUBLIC_KEY, "false", (CKA_ID, (6,)), (CKA_KEY_TYPE, CKK_EC), (CKA_VERIFY, CK_TRUE),
     (CKA_EC_PARAMS, params), (CKA_EC_POINT, point))'
for name in alone renamed; do
    succeeds lk sign $name text --pin-file pin -o $name.sig
done
exits 3 lk verify alone text --signature alone.sig --pin-file pin
complains "the key 'alone' has no public half"
succeeds lk verify renamed text --signature renamed.sig --pin-file pin # by its ID
exits 3 lk sign public text --pin-file pin
exits 3 lk key csr public --subject /CN=public --pin-file pin
complains "'public' has no private key to sign with"
exits 1 lk key csr false --subject /CN=false --pin-file pin -o csr
complains 'do not belong together'
holds test ! -e csr

# --- no text, no certificate ----------------------------------------------------------------------------------
printf 3 >three
succeeds pkcs11-tool --module "$LATCHKEY_BUILD/latchkey-pkcs11.so" --login --pin 123456 --write-object three --type data \
    --label $'\xff"back\\slash\a' --application-label 'latchkey secret'
openssl x509 -in x.pem -outform der -out x.der
succeeds in_module '
der = open("x.der", "rb").read().replace(b"\x06\x03\x55\x1d", b"\x05\x03\x55\x1d", 1) # an extension that is none
make(CKO_CERTIFICATE, "junk", (CKA_CERTIFICATE_TYPE, CKC_X_509), (CKA_VALUE, der),
     (CKA_SUBJECT, bytes.fromhex("300c310a300806035504030c0178")))
open("junk", "wb").write(der)'
succeeds lk object list --login --pin-file pin --json
json 'any(o["label"] == "\ufffd\"back\\slash\u0007" for o in d)'
succeeds lk object list --login --pin-file pin
prints 'back.slash'
! grep -q $'\a' out || fails 'a control character is printed'
exits 1 lk cert export junk
complains 'no certificate OpenSSL can read'
succeeds lk cert export junk --der
holds cmp out junk
finish
