#!/bin/bash
# Keys from files: every form that openssl writes, BIND's, both halves, passwords, PKCS#12 with its
# certificates; what fails half way leaves nothing behind.
. "$(dirname "$0")/lib.sh"
start_token

count() { # of the objects on the token
    succeeds lk object list --login --pin-file pin --json
    objects=$(python3 -c 'import json; print(len(json.load(open("out"))))')
}

fits() { # NAME FILE: the key NAME signs, and openssl verifies with the private key in FILE
    openssl pkey -in "$2" -pubout -out "$2.pub" 2>/dev/null || fails "openssl does not read $2"
    succeeds lk key export "$1"
    holds cmp out "$2.pub"
    succeeds lk key csr "$1" --subject "/CN=$1" --pin-file pin -o "$1.csr"
    holds openssl req -in "$1.csr" -verify -noout 2>/dev/null
    openssl req -in "$1.csr" -noout -pubkey >out
    holds cmp out "$2.pub"
}

# --- the forms of a private key --------------------------------------------------------------------
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem 2>/dev/null
succeeds lk key import rsa.pem --label rsa --pin-file pin --json
json 'd["label"] == "rsa" and d["type"] == "RSA 2048" and d["uri"].endswith("type=private")'
fits rsa rsa.pem
succeeds lk key show rsa --login --pin-file pin --json
json 'not d["local"] and not d["extractable"] and d["usage"] == ["sign", "decrypt"]'

for curve in P-256 P-384 P-521; do
    openssl ecparam -name "$curve" -genkey -out "$curve.pem" 2>/dev/null # EC PARAMETERS before it
    succeeds lk key import "$curve.pem" --label "$curve" --pin-file pin --id "0${curve: -1}"
    prints "TYPE +EC $curve"
    fits "$curve" "$curve.pem"
done
openssl genpkey -algorithm ed25519 -out ed.pem
succeeds lk key import ed.pem --label ed --pin-file pin
prints 'TYPE +Ed25519'
fits ed ed.pem
if ! on_softhsm; then
    openssl genpkey -algorithm x25519 -out x.pem
    succeeds lk key import x.pem --label x --pin-file pin
    prints 'TYPE +X25519'
    openssl genpkey -algorithm x448 -out x448.pem
    succeeds lk key import x448.pem --label x448 --pin-file pin
    prints 'TYPE +X448'
    openssl genpkey -algorithm ed448 -out ed448.pem
    succeeds lk key import ed448.pem --label ed448 --pin-file pin
    prints 'TYPE +Ed448'
    fits ed448 ed448.pem
fi

# traditional, DER, encrypted: the same key again
delete() {
    succeeds lk key delete "$1" -y --pin-file pin
}
printf 'sesame\n' >password
printf 'wrong\n' >wrong
openssl pkey -in P-256.pem -traditional -out form-sec1.pem
openssl pkey -in P-256.pem -outform DER -out form-p8.der
openssl ec -in P-256.pem -outform DER -out form-sec1.der 2>/dev/null
openssl pkcs8 -topk8 -in P-256.pem -passout file:password -out form-enc.pem
openssl pkcs8 -topk8 -in P-256.pem -passout file:password -outform DER -out form-enc.der
openssl ec -in P-256.pem -aes128 -passout file:password -out form-old-enc.pem 2>/dev/null
delete P-256
for file in form-*; do
    succeeds lk key import "$file" --label form --pin-file pin --password-file password
    succeeds lk key export form
    holds cmp out P-256.pem.pub
    delete form
done
openssl rsa -in rsa.pem -traditional -outform DER -out rsa.der 2>/dev/null
delete rsa
succeeds lk key import - --label rsa --pin-file pin <rsa.der
fits rsa rsa.pem

count
before=$objects
exits 4 lk key import form-enc.pem --label n --pin-file pin --password-file wrong
complains 'password of form-enc.pem is wrong'
exits 4 lk key import form-enc.der --label n --pin-file pin --password-file wrong
exits 2 lk key import form-enc.pem --label n --pin-file pin
complains '--password-file'
exits 4 lk_typing 'wrong' key import form-enc.pem --label n --pin-file pin
succeeds lk_typing 'sesame' key import form-enc.pem --label typed --pin-file pin
delete typed

# --- BIND's keys of DNSSEC --------------------------------------------------------------------------
for what in '008 RSASHA256 0' '013 ECDSAP256SHA256 64' '014 ECDSAP384SHA384 96' '015 ED25519 32' '016 ED448 57'; do
    read -r number algorithm size <<<"$what"
    on_softhsm && [ "$number" = 016 ] && break
    dnssec-keygen -q -a "$algorithm" example.org >name 2>keygen.log
    file=$(cat name)
    succeeds lk key import "$file.private" --label "$algorithm" --pin-file pin
    if [ "$number" = 008 ]; then # another program's idea of it
        softhsm2-keyconv --in "$file.private" --out bind.pem >keyconv.log
        fits "$algorithm" bind.pem
        continue
    fi
    succeeds lk key export "$algorithm" --format der # the public key of the DNS ends it
    same "$(tail -c "$size" out | base64 -w 0)" "$(tail -n 1 "$file.key" | cut -d' ' -f7- | tr -d ' ')"
done
sed 's/$/\r/' Kexample.org.+014*.private >crlf.private
exits 7 lk key import crlf.private --label again --pin-file pin
complains "already, as 'ECDSAP384SHA384'"
succeeds lk sign ECDSAP256SHA256 pin --pin-file pin --der -o bind.sig
succeeds lk verify ECDSAP256SHA256 pin --signature bind.sig --der
private=$(echo Kexample.org.+013*.private)
exits 7 lk key import "$private" --label again --pin-file pin
count
before=$objects
for change in 's/^PrivateKey: ./PrivateKey: -/' 's/^PrivateKey: ./PrivateKey: /' '/^PrivateKey/d'; do
    sed "$change" "$private" >spoilt.private
    exits 1 lk key import spoilt.private --label n --pin-file pin
    complains 'damaged: PrivateKey cannot be read'
done
sed 's/^Algorithm: 14/Algorithm: 13/' Kexample.org.+014*.private >spoilt.private
exits 1 lk key import spoilt.private --label n --pin-file pin
complains 'damaged'
sed 's/^Algorithm: 13/Algorithm: 3/' "$private" >spoilt.private
exits 1 lk key import spoilt.private --label n --pin-file pin
complains 'algorithm 3, which is not known'
printf 'Private-key-format: v1.3\nAlgorithm: 8 (RSASHA256)\nEngine: cGtjczExAA==\nLabel: cGtjczExAA==\n' >spoilt.private
exits 1 lk key import spoilt.private --label n --pin-file pin
complains 'names one in another token'
printf 'Private-key-format: v1.3\n' >spoilt.private
exits 1 lk key import spoilt.private --label n --pin-file pin
sed 's/^Prime1: .*/Prime1: AQAB/' Kexample.org.+008*.private >spoilt.private
exits 1 lk key import spoilt.private --label n --pin-file pin
complains 'damaged'
count
same "$objects" "$before"

# --- refused ---------------------------------------------------------------------------------------
exits 7 lk key import rsa.pem --label again --pin-file pin
complains "already, as 'rsa'"
succeeds lk key import rsa.pem --label again --pin-file pin --force
delete again
exits 7 lk key import P-256.pem --label rsa --pin-file pin
exits 2 lk key import P-256.pem --pin-file pin
complains '--label is missing'
exits 2 lk key import P-256.pem --label n --type rsa --pin-file pin
complains 'of type ec, not rsa'
exits 2 lk key import P-256.pem --label n --usage decrypt --pin-file pin
exits 3 lk key import nowhere.pem --label n --pin-file pin
exits 1 lk key import pin --label n --pin-file pin
complains 'holds no key'
: >empty
exits 1 lk key import empty --label n --pin-file pin
# one number changed: e = 3 does not belong to d
openssl asn1parse -in rsa.pem -strparse 22 -noout -out inner.der 2>/dev/null
python3 - <<'PYTHON'
der = bytearray(open("inner.der", "rb").read())
at = der.index(b"\x02\x03\x01\x00\x01")
der[at:at + 5] = b"\x02\x03\x01\x00\x03"
open("spoilt.der", "wb").write(der)
PYTHON
exits 1 lk key import spoilt.der --label n --pin-file pin
complains 'damaged'
openssl genpkey -algorithm DH -pkeyopt group:ffdhe2048 -out dh.pem
exits 1 lk key import dh.pem --label n --pin-file pin
complains 'DH'
count
same "$objects" "$before"

# --- public keys, for verification -----------------------------------------------------------------
openssl ecparam -name P-256 -genkey -noout -out peer.pem
openssl pkey -in peer.pem -pubout -out peer.pub
openssl pkey -in peer.pem -pubout -outform DER -out peer.der
succeeds lk key import peer.pub --label peer --pin-file pin
prints 'type=public$'
succeeds lk key show peer --login --pin-file pin --json
json 'd["class"] == "public" and d["usage"] == ["verify"]'
exits 7 lk key import peer.der --label peer2 --pin-file pin
openssl dgst -sha256 -sign peer.pem -out sig pin
succeeds lk verify peer pin --signature sig --der
# its private half may follow
succeeds lk key import peer.pem --label peer3 --pin-file pin
delete peer3
delete peer
succeeds lk key import peer.der --label peer --pin-file pin
delete peer

# --- PKCS#12 ---------------------------------------------------------------------------------------
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
    -subj '/CN=Test CA' -days 10 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout p12.key -subj /CN=p12.example -out p12.csr 2>/dev/null
openssl x509 -req -in p12.csr -CA ca.pem -CAkey ca.key -days 5 -out p12.pem 2>/dev/null
openssl pkcs12 -export -inkey p12.key -in p12.pem -certfile ca.pem -name 'my key' \
    -passout file:password -out full.p12
succeeds lk key import full.p12 --pin-file pin --password-file password --json
json 'd["label"] == "my key" and d["type"] == "RSA 2048"'
complains '2 certificates'
id=$(python3 -c 'import json; print(json.load(open("out"))["id"])')
fits 'my key' p12.key
succeeds lk cert export 'my key'
openssl x509 -in p12.pem >want
holds cmp out want
succeeds lk cert export 'Test CA'
openssl x509 -in ca.pem >want
holds cmp out want
succeeds lk object list --json
json "[o['id'] for o in d if o['class'] == 'cert' and o['label'] == 'my key'] == ['$id']"
delete 'my key'
succeeds lk cert delete 'my key' -y --pin-file pin
# the CA's certificate stays and is not stored a second time
succeeds lk key import full.p12 --label srv --id 77 --pin-file pin --password-file password
complains '1 certificates'
delete srv
succeeds lk cert delete srv -y --pin-file pin
succeeds lk key import full.p12 --label srv --no-certificates --pin-file pin --password-file password
exits 3 lk cert export srv
delete srv
exits 4 lk key import full.p12 --label n --pin-file pin --password-file wrong
openssl pkcs12 -export -inkey p12.key -in p12.pem -passout pass: -out open.p12
succeeds lk key import open.p12 --label open --no-certificates --pin-file pin
delete open
openssl pkcs12 -export -inkey p12.key -in p12.pem -passout file:password -out old.p12 \
    -legacy -certpbe PBE-SHA1-RC2-40 2>/dev/null
succeeds lk key import old.p12 --label old --no-certificates --pin-file pin --password-file password
delete old
openssl pkcs12 -export -nokeys -in p12.pem -passout file:password -out nokey.p12
exits 1 lk key import nokey.p12 --label n --pin-file pin --password-file password
complains 'cert import'
openssl pkcs12 -export -nomac -inkey p12.key -in p12.pem -passout file:password -out nomac.p12
exits 1 lk key import nomac.p12 --label n --pin-file pin --password-file wrong
complains 'nomac.p12 cannot be decrypted'
truncate -s 17M long.pem
exits 1 lk key import long.pem --label n --pin-file pin
complains 'too long for a key'
openssl genrsa -primes 3 -out three.pem 2048 2>/dev/null
exits 1 lk key import three.pem --label n --pin-file pin
complains 'more than two primes'

# issuers by their name in the file, and without any name
openssl req -x509 -key ca.key -subj '/CN=Authority' -out authority.pem 2>/dev/null
openssl req -x509 -key ca.key -subj '/O=Nameless' -out nameless.pem 2>/dev/null
cat authority.pem nameless.pem >issuers.pem
openssl pkcs12 -export -inkey p12.key -in p12.pem -certfile issuers.pem -caname 'called so' -passout file:password \
    -out issuers.p12
succeeds lk key import issuers.p12 --label srv --pin-file pin --password-file password
succeeds lk cert export 'called so'
holds cmp out authority.pem
succeeds lk cert export issuer
holds cmp out nameless.pem
for cert in srv 'called so' issuer; do
    succeeds lk cert delete "$cert" -y --pin-file pin
done
delete srv

# --- all or nothing --------------------------------------------------------------------------------
# the module refuses the private key, the public one, a certificate, the issuer's
succeeds lk cert delete 'Test CA' -y --pin-file pin
count
before=$objects
(
    export REFUSING_MODULE=${MODULE:-$LATCHKEY_BUILD/latchkey-pkcs11.so}
    MODULE=$LATCHKEY_BUILD/tests/refusing-module.so
    for call in 1 2 3 4; do
        export REFUSING_CALL=C_CreateObject:$call
        exits 6 lk key import full.p12 --label half --pin-file pin --password-file password
        what=('' "private key 'half'" "public key 'half'" "certificate 'half'" "certificate 'Test CA'")
        complains "cannot store the ${what[call]}"
        [ "$call" = 1 ] || complains 'Nothing was imported'
        exits 3 lk key show half --login --pin-file pin
    done
    export REFUSING_CALL=C_CreateObject:5
    succeeds lk key import full.p12 --label half --pin-file pin --password-file password
    exit "$FAILURES"
) || FAILURES=$((FAILURES + 1))
count
same "$objects" $((before + 4))
delete half

# --- secret keys -----------------------------------------------------------------------------------
head -c 32 /dev/urandom >aes.raw
od -An -tx1 aes.raw >aes.hex
succeeds lk key import aes.raw --label aes --type aes --pin-file pin --json
json 'd["type"] == "AES 256" and d["uri"].endswith("type=secret-key")'
succeeds lk key import aes.hex --label aes-hex --type aes --format hex --pin-file pin
printf 'attack at dawn' >plain
succeeds lk encrypt aes plain --pin-file pin -o sealed
succeeds lk decrypt aes-hex sealed --pin-file pin
holds cmp out plain
exits 1 lk key import aes.hex --label n --type aes --pin-file pin
complains '--format hex'
exits 1 lk key import plain --label n --type aes --format hex --pin-file pin
printf 'abc' >half.hex
exits 1 lk key import half.hex --label n --type generic --format hex --pin-file pin
exits 2 lk key import aes.raw --label n --type aes --format pem --pin-file pin
exits 2 lk key import aes.raw --label n --type des --pin-file pin
exits 2 lk key import aes.raw --label n --type aes --usage derive --pin-file pin
exits 1 lk key import aes.raw --label n --pin-file pin
complains '--type aes'
exits 7 lk key import aes.raw --label aes --type aes --pin-file pin
exits 4 lk key import aes.raw --label n --type aes --pin-file so-pin
finish
