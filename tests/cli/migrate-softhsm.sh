#!/bin/bash
# Tokens of SoftHSM, made by its own tool and others: keys, certificates, labels, IDs and what keys may do
# come over, also of keys that SoftHSM does not let out; the old store stays as it was; what fails half
# way leaves nothing behind.
. "$(dirname "$0")/lib.sh"
start_tpm
use_softhsm
OLD_MODULE=$MODULE
MODULE=
printf 123456 >pin
printf 654321 >wrong
printf 87654321 >so-pin
printf abcdefgh >new-pin

old() { # what softhsm2-util does
    softhsm2-util "$@" >softhsm.log 2>&1 || fails "softhsm2-util $*: $(tail -n 1 softhsm.log)"
}

old_tool() { # pkcs11-tool on the old module, logged in
    pkcs11-tool --module "$OLD_MODULE" --token-label site --login --pin 123456 "$@" 2>old-tool.log
}

# shellcheck disable=SC2317 # called by succeeds and exits
migrate() {
    lk migrate softhsm "${1:-tokens}" --pin-file "${2:-pin}" --so-pin-file so-pin "${@:3}"
}

gone() { # no token at all is there
    succeeds lk token list --json
    json 'd == []'
}

destroy() {
    succeeds lk token destroy "$1" -y --force
}

# --- a store with what there can be ----------------------------------------------------------------
old --init-token --free --label site --so-pin 11111111 --pin 123456
openssl genrsa -out mine.pem 2048 2>/dev/null
openssl genrsa -out big.pem 4096 2>/dev/null
openssl ecparam -name P-384 -genkey -noout -out ec384.pem 2>/dev/null
# a scalar that begins with a zero: SoftHSM keeps the number without it
printf '\x30\x2f\x02\x01\x01\x04\x1e%s\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07' 'thirty bytes make a short one.' >short.der
openssl pkey -inform DER -in short.der -out short.pem
for what in 'mine 0c' 'big 0d' 'ec384 0e' 'short 0f'; do
    name=${what% *}
    openssl pkcs8 -topk8 -nocrypt -in "$name.pem" -out "$name.p8"
    old --import "$name.p8" --token site --label "$name" --id "${what#* }" --pin 123456
    openssl pkey -in "$name.pem" -pubout -out "$name.spki"
done
old_tool --keypairgen --key-type EC:prime256v1 --label ec --id 0a --usage-sign >made
old_tool --keypairgen --key-type rsa:2048 --label rsa --id 0b --allowed-mechanisms SHA256-RSA-PKCS,RSA-PKCS >made
old_tool --keypairgen --key-type EC:edwards25519 --label ed --id 10 >made
old_tool --keypairgen --key-type EC:secp256r1 --label leaves --id 11 --extractable >made
for name in ec rsa leaves; do
    old_tool --read-object --type pubkey --label $name -o $name.der
    openssl pkey -pubin -inform DER -in $name.der -out $name.spki
done
old_tool --keygen --key-type AES:32 --label aes --id 12 --extractable >made
openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -out dsa.params 2>/dev/null
openssl genpkey -paramfile dsa.params -out dsa.pem
old --import dsa.pem --token site --label dsa --id 13 --pin 123456
head -c 20 /dev/urandom >blob
old_tool --write-object blob --type data --label data >made
openssl ecparam -name P-256 -genkey -out ca.pem 2>/dev/null
openssl req -new -key ca.pem -subj /CN=site -out site.csr
openssl x509 -req -in site.csr -signkey ca.pem -force_pubkey ec.spki -outform DER -out site.der 2>/dev/null
openssl x509 -in site.der -inform DER -out site.pem
old_tool --write-object site.der --type cert --label ec --id 0a >made
openssl ecparam -name P-256 -genkey -out peer.pem 2>/dev/null
openssl pkey -in peer.pem -pubout -out peer.spki
openssl pkey -in peer.pem -pubout -outform DER -out peer.der
old_tool --write-object peer.der --type pubkey --label peer --id 14 >made
head -c 32 /dev/urandom >digest
sum() {
    (cd tokens && find . -name '*.object' -exec sha256sum {} + | sort)
}
sum >before

# --- it comes over -----------------------------------------------------------------------------------
succeeds migrate tokens pin --json
json 'd == [{"token": "site", "keys": 9, "certificates": 1, "left_out": 3}]'
complains "Left out: .*\('dsa'\) .* of a kind that latchkey does not have"
complains "Left out: .*\('data'\) .* neither a key nor a certificate"
sum >after
holds cmp before after
for name in ec rsa mine big ec384 short leaves; do
    succeeds lk key export $name
    holds cmp out $name.spki
    der=(--der)
    case $name in rsa | mine | big) der=() ;; esac
    succeeds lk sign $name digest --pin-file pin "${der[@]}" --out sig
    holds openssl dgst -sha256 -verify $name.spki -signature sig digest >verified
done
succeeds lk sign ed digest --pin-file pin --out sig
old_tool --verify -m EDDSA --id 10 -i digest --signature-file sig >verified
holds grep -q 'Signature is valid' verified
succeeds lk key show ec --login --pin-file pin --json
json 'd["id"] == "0a" and d["protection"] == "tpm" and not d["extractable"] and d["usage"] == ["sign"]'
succeeds lk key show mine --login --pin-file pin --json
json 'd["id"] == "0c" and d["protection"] == "tpm" and d["usage"] == ["sign", "decrypt", "unwrap"]'
succeeds lk key show big --login --pin-file pin --json
json 'd["protection"] == "sealed"'
succeeds lk key show leaves --login --pin-file pin --json
json 'd["extractable"] and d["protection"] == "sealed"'
exits 1 lk sign rsa digest --pin-file pin --mechanism rsa-pss-sha256 --out sig # is not allowed
succeeds lk cert export ec --out cert.pem
holds cmp cert.pem site.pem
succeeds lk key export peer
holds cmp out peer.spki
succeeds lk object list --login --pin-file pin --json
json 'len(d) == 2 * 8 + 1 + 1 + 1' # pairs, the AES key, the certificate, the other side's key
openssl rand 16 >iv
old_tool --encrypt -m AES-CBC-PAD --id 12 --iv "$(od -An -tx1 iv | tr -d ' \n')" -i digest -o encrypted >made
cat iv encrypted >with-iv
succeeds lk decrypt aes with-iv --mechanism aes-cbc-pad --pin-file pin --out decrypted
holds cmp decrypted digest

# --- not twice; another PIN; where SoftHSM's configuration says ------------------------------------------
exits 7 migrate
complains "there is a token 'site' already"
destroy site
succeeds lk migrate softhsm --new-pin-file new-pin --pin-file pin --so-pin-file so-pin --label site
succeeds lk sign ec digest --pin-file new-pin --out sig
destroy site
exits 3 migrate tokens pin --label other
exits 3 migrate nowhere
SOFTHSM2_CONF=$DIR/no-file exits 3 lk migrate softhsm --pin-file pin --so-pin-file so-pin
mkdir -p "$HOME/.config/softhsm2"
printf '# mine\n directories.tokendir = %s  # there \n' "$DIR/tokens" >"$HOME/.config/softhsm2/softhsm2.conf"
(unset SOFTHSM2_CONF && succeeds lk migrate softhsm --pin-file pin --so-pin-file so-pin && exit "$FAILURES") || fails 'the configuration in HOME'
destroy site
MODULE=$OLD_MODULE exits 8 lk key export ec --token site --pin-file pin --tss2 --password-file pin

# --- half way ------------------------------------------------------------------------------------------
exits 4 migrate tokens wrong
complains "the user PIN of the token 'site' of SoftHSM is wrong"
complains 'removed again'
gone
# shellcheck disable=SC2317 # called by holds
broken() { # OBJECTS CHANGE, in Python: changes the bytes d of those object files
    rm -rf broken && cp -r tokens broken
    python3 - "$@" <<'P'
import glob, os, sys

def at(kind, form):  # where an attribute's value begins; runs of bytes have their length there
    head = kind.to_bytes(8, "big") + form.to_bytes(8, "big")
    return d.index(head) + 16 if head in d else 0

def is_(kind, value):
    return at(kind, 2) and d[at(kind, 2):][:8] == value.to_bytes(8, "big")

def put(where, value):
    return d[:where] + value + d[where + len(value):]

def flip(where):
    return put(where, bytes([d[where] ^ 1]))

CLASS, PRIVATE, LABEL, VALUE, TYPE, TRUSTED = 0, 2, 3, 0x11, 0x100, 0x210
LABEL_OF_TOKEN, FLAGS, USER_PIN = 0x80005349, 0x8000534B, 0x8000534D
changed = 0
for path in glob.glob("broken/*/*.object"):
    d = open(path, "rb").read()
    if os.path.basename(path) == "token.object":
        what = "token"
    else:
        what = ["data", "cert", "public", "private", "secret"][int.from_bytes(d[at(CLASS, 2):][:8], "big")]
    if eval(sys.argv[1]):
        open(path, "wb").write(eval(sys.argv[2]))
        changed += 1
sys.exit(not changed)
P
}
fails_for() { # PATTERN: and leaves nothing
    exits 1 migrate broken
    complains "$1"
    gone
}
an_ec_key='what == "private" and is_(TYPE, 3)'
holds broken "$an_ec_key" 'd[:-3]'
fails_for 'is no object of SoftHSM, or damaged'
holds broken "$an_ec_key" 'put(at(CLASS, 2) - 1, b"\x09")' # a form that there is not
fails_for 'is no object of SoftHSM, or damaged'
holds broken "$an_ec_key" 'flip(at(VALUE, 3) + 8 + 40)' # where the padding is
fails_for "\('[a-z0-9]+'\) of the token 'site' is damaged"
holds broken "$an_ec_key" 'flip(at(VALUE, 3) + 8 + 20)' # another number
fails_for "\('[a-z0-9]+'\) of the token 'site' does not fit the private key of its ID"
holds broken "$an_ec_key" 'flip(at(LABEL, 3) + 8 + 15)' # the padding, by way of the IV
fails_for "the token 'site' of SoftHSM is damaged"
holds broken 'what == "cert"' 'flip(at(VALUE, 3) + 8)'
fails_for "\('ec'\) of the token 'site' is no X.509 certificate"
holds broken 'what == "token"' 'd[:at(USER_PIN, 3)] + (4).to_bytes(8, "big") + d[:4]'
fails_for "the token 'site' of SoftHSM is damaged"
holds broken 'what == "token"' 'put(at(FLAGS, 2), (0x425).to_bytes(8, "big"))'
fails_for "the token 'site' has no user PIN"
holds broken 'what == "token"' 'put(at(FLAGS, 2), (0x02d).to_bytes(8, "big"))'
exits 3 migrate broken
complains 'there is no such token'
rm -rf broken && cp -r tokens broken && mkdir broken/empty broken/zz && : >broken/zz/sqlite3.db
fails_for 'objectstore.backend = db'
exits 1 migrate pin # a file
complains 'the directory pin cannot be read'

# --- conditions come along --------------------------------------------------------------------------------
holds broken "$an_ec_key" 'put(at(TRUSTED, 1), b"\xff")'
succeeds migrate broken
exits 1 lk key export ec --pin-file pin --tss2 --password-file pin
complains 'stays: it wants .* a trusted key to be wrapped by'
destroy site

# --- one key, out of SoftHSM under another ------------------------------------------------------------------
head -c 32 /dev/urandom >kek
succeeds lk token create --label new --pin-file pin --so-pin-file so-pin
for module in "$OLD_MODULE" ''; do
    token=${module:+site}
    MODULE=$module succeeds lk key import kek --type aes --usage wrap --token "${token:-new}" --label kek --id 20 --pin-file pin
done
MODULE=$OLD_MODULE succeeds lk key wrap leaves --with kek --token site --mechanism aes-key-wrap-pad --pin-file pin -o wrapped
succeeds lk key unwrap wrapped --with kek --token new --mechanism aes-key-wrap-pad --type ec --label leaves --pin-file pin
succeeds lk key export leaves --token new
holds cmp out leaves.spki
destroy new

# --- several tokens -----------------------------------------------------------------------------------
old --init-token --free --label other --so-pin 11111111 --pin 123456
succeeds migrate tokens pin --json
json 'sorted(t["token"] for t in d) == ["other", "site"]'
finish
