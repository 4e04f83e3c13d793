#!/bin/bash
# From key to certificate: requests checked by OpenSSL, signed by a CA of openssl's, imported in both
# forms, replaced, exported, deleted.
. "$(dirname "$0")/lib.sh"
start_token

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
    -subj '/CN=Test CA' -days 10 2>/dev/null
certify() { # NAME: NAME.csr to NAME.pem
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -copy_extensions copy -days 5 \
        -out "$1.pem" 2>/dev/null || fails "openssl does not certify $1.csr"
}

for type in 'ec --curve=P-256' 'ec --curve=P-384' 'ec --curve=P-521' 'rsa --bits=2048'; do
    name=${type##*=}
    read -ra options <<<"$type"
    succeeds lk key generate --label "$name" --type "${options[@]}" --pin-file pin
    succeeds lk key csr "$name" --subject "/O=Exämple/CN=$name" --san DNS:a.example,IP:127.0.0.1 \
        --pin-file pin -o "$name.csr"
    holds openssl req -in "$name.csr" -verify -noout 2>/dev/null
    openssl req -in "$name.csr" -noout -text -nameopt utf8,sep_comma_plus >out
    prints "Subject: O=Exämple,CN=$name"
    prints 'DNS:a.example, IP Address:127.0.0.1'
    certify "$name"
done
succeeds lk key csr P-256 --subject 'CN=a\,b,O=Ex' --pin-file pin
openssl req -in out -noout -subject -nameopt RFC2253 >subject
cp subject out
prints 'subject=CN=a\\,b,O=Ex$'
succeeds lk key csr P-256 --subject 'CN=a, O=Ex' --pin-file pin
openssl req -in out -noout -subject -nameopt RFC2253 >subject
cp subject out
prints 'subject=CN=a,O=Ex$'
exits 2 lk key csr P-256 --subject nonsense --pin-file pin
exits 2 lk key csr P-256 --subject /XY=a --pin-file pin
exits 2 lk key csr P-256 --subject /CN=a --san nonsense --pin-file pin
exits 3 lk key csr other --subject /CN=a --pin-file pin
exits 4 lk key csr P-256 --subject /CN=a --pin-file so-pin
exits 1 lk key csr P-256 --subject /CN=a --pin-file pin -o /nonexistent/file

# a key that wants the PIN at each use gets it again
succeeds lk key generate --label careful --always-authenticate --pin-file pin
succeeds lk key show careful --login --pin-file pin --json
json 'd["always_authenticate"] is True'
succeeds lk key csr careful --subject /CN=careful --pin-fd 3 3<pin
holds openssl req -in out -verify -noout 2>/dev/null

# import takes ID and label of the key; a second time changes nothing
succeeds lk key show P-256 --json
id=$(python3 -c 'import json; print(json.load(open("out"))["id"])')
succeeds lk cert import P-256.pem --pin-file pin
prints '^pkcs11:token=web;id=.*;object=P-256;type=cert$'
succeeds lk cert import P-256.pem --pin-file pin
complains 'already'
openssl x509 -in 2048.pem -outform DER -out 2048.der
succeeds lk cert import - --pin-file pin <2048.der
succeeds lk object list --json
json "[o['id'] for o in d if o['class'] == 'cert' and o['label'] == 'P-256'] == ['$id']"
json '[o["type"] for o in d if o["class"] == "cert" and o["label"] == "2048"] == ["X.509 CN=2048,O=Exämple"]'
succeeds lk cert export P-256
holds cmp out P-256.pem
succeeds lk cert export 2048 --der -o exported.der
holds cmp exported.der 2048.der

# another one for the same key
certify P-256
exits 7 lk cert import P-256.pem --pin-file pin
complains '--replace'
succeeds lk cert import P-256.pem --replace --pin-file pin
succeeds lk cert export P-256
holds cmp out P-256.pem

# without a key here
exits 3 lk cert import ca.pem --pin-file pin
complains 'no key'
cat ca.pem P-256.pem >chain.pem
succeeds lk cert import chain.pem --label issuer --id ca --pin-file pin
complains 'the 1 behind it'
prints 'id=%CA;object=issuer'
exits 2 lk cert import P-384.pem --id nothex --pin-file pin

exits 3 lk cert import nowhere.pem --pin-file pin
exits 1 lk cert import pin --pin-file pin
: >empty
exits 1 lk cert import empty --pin-file pin
exits 3 lk cert export other
exits 2 lk cert delete issuer --pin-file pin
exits 1 lk_typing 'n' cert delete issuer --pin-file pin
succeeds lk_typing 'yes' cert delete issuer --pin-file pin
succeeds lk cert delete P-256 -y --pin-file pin
exits 3 lk cert export P-256
succeeds lk key show P-256
finish
