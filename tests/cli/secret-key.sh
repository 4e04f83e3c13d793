#!/bin/bash
# Secret keys and the newer key pairs: made, listed, shown, deleted.
. "$(dirname "$0")/lib.sh"
start_token

for bits in 128 192 256; do
    succeeds lk key generate --type aes --bits "$bits" --label "aes$bits" --pin-file pin --json
    json "d['type'] == 'AES $bits' and d['uri'].endswith('type=secret-key')"
done
succeeds lk key generate --type aes --label kek --usage wrap --pin-file pin
prints 'TYPE +AES 256'
prints_not 'ssh'
succeeds lk key generate --type generic --label generic --pin-file pin --json
json 'd["type"] == "generic 256"'
succeeds lk key generate --type aes --label out --extractable --pin-file pin
if on_softhsm; then
    exits 1 lk key generate --type hmac-sha256 --label hmac --pin-file pin
    complains '--type generic'
else
    succeeds lk key generate --type hmac-sha256 --label hmac --pin-file pin --json
    json 'd["type"] == "SHA256_HMAC 256"'
    succeeds lk key generate --type hmac-sha512 --bits 512 --label hmac512 --pin-file pin
    succeeds lk key generate --type x25519 --label x --pin-file pin --json
    json 'd["type"] == "X25519"'
    succeeds lk key generate --type x448 --label x448 --pin-file pin --json
    json 'd["type"] == "X448"'
    succeeds lk key generate --type ed448 --label ed448 --pin-file pin --json
    json 'd["type"] == "Ed448"'
    succeeds lk key csr ed448 --subject /CN=ed448 --pin-file pin -o ed448.csr
    holds openssl req -in ed448.csr -verify -noout 2>err
    exits 2 lk key generate --type ed448 --curve P-256 --label n --pin-file pin
    exits 2 lk key generate --type ed448 --usage decrypt --label n --pin-file pin
    exits 2 lk key generate --type x448 --usage sign --label n --pin-file pin
fi
succeeds lk key generate --type ed25519 --label ed --pin-file pin
prints 'TYPE +Ed25519'
prints 'latchkey ssh-agent'
succeeds lk key csr ed --subject /CN=ed --pin-file pin -o ed.csr
holds openssl req -in ed.csr -verify -noout 2>err
succeeds lk key generate --type rsa --bits 2048 --label rsa --extractable --pin-file pin

succeeds lk key list --login --pin-file pin --json
json '[k["usage"] for k in d if k["label"] == "aes256"] == [["encrypt", "decrypt"]]'
json '[k["usage"] for k in d if k["label"] == "kek"] == [["wrap", "unwrap"]]'
json '[k["usage"] for k in d if k["label"] == "generic"] == [["sign", "verify"]]'
if on_softhsm; then
    json 'all(k["protection"] is None for k in d)'
else
    json 'all(k["protection"] in ("tpm", "sealed") for k in d)'
fi
succeeds lk key list --login --pin-file pin
prints '^aes128 +[0-9a-f]{16} +AES 128 +secret-key +encrypt,decrypt'
on_softhsm && prints '^LABEL +ID +TYPE +CLASS +USAGE$'
on_softhsm || prints '^LABEL +ID +TYPE +CLASS +USAGE +PROTECTION$'
succeeds lk key list --json
json '[k["label"] for k in d if k["class"] == "secret-key"] == []'
succeeds lk key show out --login --pin-file pin --json
json 'd["extractable"] and d["class"] == "secret-key" and d["public_key"] is None and d["local"]'
succeeds lk key show rsa --login --pin-file pin --json
json 'd["extractable"] and "BEGIN PUBLIC KEY" in d["public_key"]'
exits 1 lk key export aes128 --login --pin-file pin
complains 'key wrap'
exits 3 lk key show aes128
exits 7 lk key generate --type aes --label aes128 --pin-file pin

exits 2 lk key generate --type aes --bits 64 --label n --pin-file pin
complains '128, 192 or 256'
exits 2 lk key generate --type aes --bits 129 --label n --pin-file pin
exits 2 lk key generate --type generic --bits 12 --label n --pin-file pin
exits 2 lk key generate --type ed25519 --bits 256 --label n --pin-file pin
exits 2 lk key generate --type ed25519 --curve P-256 --label n --pin-file pin
exits 2 lk key generate --type ed25519 --usage decrypt --label n --pin-file pin
exits 2 lk key generate --type aes --usage derive --label n --pin-file pin
exits 2 lk key generate --type aes --always-authenticate --label n --pin-file pin

succeeds lk key delete aes128 -y --pin-file pin
exits 3 lk key show aes128 --login --pin-file pin
finish
