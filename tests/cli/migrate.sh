#!/bin/bash
# Tokens of tpm2-pkcs11, made by its own tools: they come over with the same keys, certificates, labels
# and IDs; the old store stays as it was and goes on working; what fails half way leaves nothing behind.
# Its tool needs a resource manager: tpm2-abrmd on a bus of its own, which everything here talks to.
if [ -z "${LK_OWN_BUS:-}" ]; then
    LK_OWN_BUS=1 exec dbus-run-session -- "$BASH" "$0"
fi
. "$(dirname "$0")/lib.sh"
OLD_MODULE=$(find /usr/lib -name 'libtpm2_pkcs11.so.1' | head -n 1)
start_tpm
tpm2-abrmd --session --allow-root --tcti "swtpm:path=$DIR/tpm.sock" >abrmd.log 2>&1 &
ABRMD=$!
trap 'kill $ABRMD; wait $ABRMD 2>/dev/null; clean_up' EXIT
export LATCHKEY_TCTI=tabrmd:bus_type=session
export TPM2TOOLS_TCTI=$LATCHKEY_TCTI TPM2_PKCS11_TCTI=$LATCHKEY_TCTI TSS2_LOG=all+none
for ((i = 0; i < 100; i++)); do
    tpm2_getrandom 4 >random 2>&1 && break
    sleep 0.1
done
printf 123456 >pin
printf 654321 >wrong
printf 87654321 >so-pin
printf abcdefgh >new-pin

ptool() { # VERB ARGUMENTS...
    tpm2_ptool "$1" --path old "${@:2}" >ptool.log 2>&1 || fails "tpm2_ptool $*: $(tail -n 1 ptool.log)"
}

old_tool() { # pkcs11-tool on the old module
    TPM2_PKCS11_STORE=$DIR/old pkcs11-tool --module "$OLD_MODULE" "$@" 2>old-tool.log
}

# shellcheck disable=SC2317 # called by succeeds and exits
migrate() {
    lk migrate tpm2-pkcs11 "${1:-old}" --pin-file "${2:-pin}" --so-pin-file so-pin "${@:3}"
}

gone() { # no token at all is there
    succeeds lk token list --json
    json 'd == []'
}

destroy() {
    succeeds lk token destroy "$1" -y --force
}

# --- a store with what there can be ----------------------------------------------------------------
mkdir old
ptool init
ptool addtoken --pid 1 --label site --sopin 11111111 --userpin 123456
ptool addkey --label site --key-label ec --id 0a --algorithm ecc256 --userpin 123456
ptool addkey --label site --key-label aes --id 0b --algorithm aes256 --userpin 123456
ptool addkey --label site --key-label mac --id 0c --algorithm hmac:sha256 --userpin 123456
ptool addkey --label site --key-label strict --algorithm ecc384 --userpin 123456 --attr-always-authenticate
openssl genrsa -out mine.pem 2048 2>/dev/null
ptool import --label site --key-label mine --privkey mine.pem --algorithm rsa --userpin 123456
old_tool --token-label site --login --pin 123456 --keypairgen --key-type rsa:2048 --label rsa --id 0b >made
old_tool --token-label site --read-object --type pubkey --label ec -o ec.der
openssl pkey -pubin -inform DER -in ec.der -out ec.spki
old_tool --token-label site --read-object --type pubkey --label rsa -o rsa.der
openssl pkey -pubin -inform DER -in rsa.der -out rsa.spki
openssl pkey -in mine.pem -pubout -out mine.spki
openssl ecparam -name P-256 -genkey -out ca.pem 2>/dev/null
openssl req -new -key ca.pem -subj /CN=site -out site.csr
openssl x509 -req -in site.csr -signkey ca.pem -force_pubkey ec.spki -out site.pem 2>/dev/null
ptool addcert --label site --key-label ec site.pem
head -c 32 /dev/urandom >digest
cp -r old before

# --- it comes over -----------------------------------------------------------------------------------
succeeds migrate old pin --json
json 'd == [{"token": "site", "keys": 6, "certificates": 1, "left_out": 0}]'
holds cmp old/tpm2_pkcs11.sqlite3 before/tpm2_pkcs11.sqlite3
for name in ec rsa mine; do
    succeeds lk key export $name
    holds cmp out $name.spki
    der=()
    [ $name != ec ] || der=(--der)
    succeeds lk sign $name digest --pin-file pin "${der[@]}" --out sig
    holds openssl dgst -sha256 -verify $name.spki -signature sig digest >verified
done
succeeds lk key show ec --login --pin-file pin --json
json 'd["id"] == "3061" and d["local"] and d["protection"] == "tpm" and not d["extractable"]'
succeeds lk key show rsa --login --pin-file pin --json
json 'd["id"] == "0b" and d["usage"] == ["sign", "decrypt"]'
succeeds lk key show mine --login --pin-file pin --json
json 'not d["local"]'
succeeds lk key show strict --login --pin-file pin --json
json 'd["always_authenticate"]'
succeeds lk cert export ec --out cert.pem
holds cmp cert.pem site.pem
openssl rand 16 >iv
old_tool --token-label site --login --pin 123456 --encrypt -m AES-CBC-PAD --id 3062 --iv "$(od -An -tx1 iv | tr -d ' \n')" \
    -i digest -o encrypted
cat iv encrypted >with-iv
succeeds lk decrypt aes with-iv --mechanism aes-cbc-pad --pin-file pin --out decrypted
holds cmp decrypted digest
old_tool --token-label site --login --pin 123456 --sign -m SHA256-HMAC --id 3063 -i digest -o mac
succeeds lk sign mac digest --mechanism hmac-sha256 --pin-file pin --out sig
holds cmp sig mac
# and the old one goes on
old_tool --token-label site --login --pin 123456 --sign -m ECDSA --label ec -i digest -o old.sig --signature-format openssl
holds openssl pkeyutl -verify -pubin -inkey ec.spki -in digest -sigfile old.sig >verified

# a key that was made since goes there by a file, to a token below latchkey's storage key
succeeds lk key generate --label since --pin-file pin
printf 'password of the file' >password
succeeds lk key export since --pin-file pin --tss2 --password-file password -o since.pem
ptool init --primary-handle 0x81000002
ptool addtoken --pid 2 --label back --sopin 11111111 --userpin 123456
ptool link --label back --key-label since --userpin 123456 --auth "$(cat password)" since.pem
old_tool --token-label back --login --pin 123456 --sign -m ECDSA --label since -i digest -o old.sig --signature-format openssl
succeeds lk key export since -o since.spki
holds openssl pkeyutl -verify -pubin -inkey since.spki -in digest -sigfile old.sig >verified

rm -rf old && cp -r before old

# --- not twice; another PIN; what there is not ----------------------------------------------------------
exits 7 migrate
complains "there is a token 'site' already"
destroy site
succeeds migrate old pin --new-pin-file new-pin --label site
succeeds lk sign ec digest --pin-file new-pin --out sig
destroy site
exits 3 migrate old pin --label other
exits 3 migrate nowhere
if [ ! -e /etc/tpm2_pkcs11 ]; then
    exits 3 lk migrate tpm2-pkcs11 --pin-file pin --so-pin-file so-pin
    complains 'no store of tpm2-pkcs11 in /etc/tpm2_pkcs11 and ~/.tpm2_pkcs11'
fi
TPM2_PKCS11_STORE=$DIR/old succeeds lk migrate tpm2-pkcs11 --pin-file pin --so-pin-file so-pin
destroy site

# --- half way ------------------------------------------------------------------------------------------
exits 4 migrate old wrong
complains "open the token 'site' of tpm2-pkcs11 with its user PIN"
complains 'removed again'
gone
edit() { # PYTHON of a: changes the attributes' text of the object in the store broken
    rm -rf broken && cp -r before broken
    python3 - "$@" <<'P'
import sqlite3, sys
db = sqlite3.connect("broken/tpm2_pkcs11.sqlite3")
number, a = db.execute("SELECT id, attrs FROM tobjects WHERE attrs LIKE '%3061%' AND attrs LIKE '%2399141891%'").fetchone()
db.execute("UPDATE tobjects SET attrs = ? WHERE id = ?", (eval(sys.argv[1]), number))
db.commit()
P
}
edit 'a.replace("00560023", "00560024")'
exits 1 migrate broken
complains "object 1 \('ec'\) of the token 'site' is of a kind"
gone
edit 'a.replace(":", ": [", 1)'
exits 1 migrate broken
complains 'the attributes of object 1 in broken/tpm2_pkcs11.sqlite3 cannot be read'
gone
edit 'a.replace("\"007e0020", "\"007e0021")' # the wrapped private part
exits 1 migrate broken
complains "object 1 \('ec'\)"
gone
edit 'a.replace("2399141889", "2399141888")' # without its authorization
exits 4 migrate broken
complains "the password of object 1 \('ec'\) of the token 'site' is wrong"
gone
printf 'no database' >broken/tpm2_pkcs11.sqlite3
exits 1 migrate broken
gone
rm broken/tpm2_pkcs11.sqlite3
mkdir broken/tpm2_pkcs11.sqlite3
exits 1 migrate broken
complains 'the store broken/tpm2_pkcs11.sqlite3 cannot be read'

# --- damaged, or of a kind that does not come over -------------------------------------------------------
damage() { # SQL: makes the store broken
    rm -rf broken && cp -r before broken
    python3 -c 'import sqlite3, sys
db = sqlite3.connect("broken/tpm2_pkcs11.sqlite3")
sys.exit(db.execute(sys.argv[1]).rowcount < 1 or db.commit())' "$1" || fails "changes nothing: $1"
}
damaged() { # SQL PATTERN: nothing comes over, and it is said why
    damage "$1"
    exits 1 migrate broken
    complains "$2"
    gone
}
value() { # ATTRIBUTE TYPE OLD NEW: the beginning of its value, in SQL
    local before="'!!int \"$1\"' || char(10) || '  : !!$2 \""
    echo "replace(attrs, $before$3', $before$4')"
}
damaged "UPDATE tokens SET config = '[]'" 'token 1 in broken/tpm2_pkcs11.sqlite3 cannot be read'
damaged "UPDATE pobjects SET config = replace(config, '\"81', '\"40')" "primary key of the token 'site' in .* cannot be read"
damaged "UPDATE pobjects SET config = replace(config, '\"81', '\"8x')" "primary key of the token 'site' in .* cannot be read"
damaged "UPDATE pobjects SET config = '{ !!str esys-tr : !!str 8100 }'" "primary key of the token 'site' in .* cannot be read"
damaged "UPDATE pobjects SET objauth = 'sesame'" 'has an authorization of its own'
damaged 'DELETE FROM sealobjects' "the token 'site' has no user PIN"
damaged "UPDATE tobjects SET attrs = $(value 2399141889 str 3 4)" 'the authorization of object [0-9]+ .* is damaged'
damaged "UPDATE tobjects SET attrs = $(value 17 str 3082 3182)" "'ec'\) of the token 'site' is no X.509 certificate"
damage "UPDATE tobjects SET attrs = $(value 0 int 1 0)" # the certificate becomes data
succeeds migrate broken pin --json
json 'd == [{"token": "site", "keys": 6, "certificates": 0, "left_out": 1}]'
destroy site

# --- older schemas: what the program's own update does, backwards ----------------------------------------
older() { # VERSION
    rm -rf older && cp -r before older
    python3 - "$1" <<'P'
import sqlite3, sys, yaml
db = sqlite3.connect("older/tpm2_pkcs11.sqlite3")
version = int(sys.argv[1])
if version < 4:
    number, hierarchy, config, auth = db.execute("SELECT id, hierarchy, config, objauth FROM pobjects").fetchone()
    db.execute("ALTER TABLE pobjects RENAME TO newer")
    db.execute("CREATE TABLE pobjects (id INTEGER PRIMARY KEY, hierarchy TEXT NOT NULL, handle BLOB NOT NULL, objauth TEXT NOT NULL)")
    db.execute("INSERT INTO pobjects VALUES (?, ?, ?, ?)", (number, hierarchy, bytes.fromhex(yaml.safe_load(config)["esys-tr"]), auth))
db.execute("UPDATE schema SET schema_version = ?", (version,))
db.commit()
P
}
for version in 3 5 9; do
    older $version
    succeeds migrate older
    succeeds lk sign ec digest --pin-file pin --out sig
    destroy site
done
older 2
exits 1 migrate older
complains 'schema version 2'
older 10
exits 1 migrate older
complains 'schema version 10'

# --- primary keys that are made at each use ----------------------------------------------------------------
for template in tpm2-tools-default tpm2-tools-ecc-default tss2-engine-key; do
    rm -rf old && mkdir old
    ptool init --transient-parent "$template"
    ptool addtoken --pid 1 --label passing --sopin 11111111 --userpin 123456
    ptool addkey --label passing --key-label ec --algorithm ecc256 --userpin 123456
    succeeds migrate
    succeeds lk sign ec digest --pin-file pin --der --out sig
    succeeds lk key export ec --out ec.spki
    holds openssl dgst -sha256 -verify ec.spki -signature sig digest >verified
    destroy passing
done

# --- a token whose PIN is empty, which no token here has -----------------------------------------------------
rm -rf old && mkdir old
ptool init
ptool addtoken --pid 1 --label open --sopin 11111111 --userpin ''
ptool addkey --label open --key-label ec --algorithm ecc256 --userpin ''
exits 2 migrate
complains 'give --new-pin-file'
succeeds migrate old pin --new-pin-file new-pin
succeeds lk sign ec digest --pin-file new-pin --out sig

finish
