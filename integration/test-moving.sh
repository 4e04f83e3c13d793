#!/bin/bash
# docs/from-softhsm.md and docs/from-tpm2-pkcs11.md, word for word, with tokens that those programs' own tools have
# made. tpm2_ptool needs a resource manager: tpm2-abrmd on a bus of its own, until its store is made.
# shellcheck source-path=SCRIPTDIR
if [ -z "${LK_OWN_BUS:-}" ] && command -v dbus-run-session >/dev/null; then
    LK_OWN_BUS=1 exec dbus-run-session -- "$BASH" "$0"
fi
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need openssl swtpm softhsm2-util pkcs11-tool tpm2_ptool tpm2-abrmd dbus-run-session
SOFTHSM=$(find /usr/lib -name libsofthsm2.so | head -n 1)

# issue FILE: a certificate for the public key in FILE, FILE.crt
issue() {
    openssl ecparam -name P-256 -genkey -noout -out "$1.ca"
    openssl req -new -key "$1.ca" -subj /CN=server -out "$1.csr"
    openssl x509 -req -in "$1.csr" -signkey "$1.ca" -force_pubkey "$1" -days 9 -out "$1.crt" 2>/dev/null
}

# --- SoftHSM -----------------------------------------------------------------------------------------

prepare_page() {
    local tokens=$PAGE_WORLD/.config/softhsm2/tokens
    mkdir -p "$tokens"
    printf 'directories.tokendir = %s\nobjectstore.backend = file\n' "$tokens" >"$tokens.conf"
    printf 'directories.tokendir = %s\nobjectstore.backend = file\n' "$tokens" >"${tokens%/*}/softhsm2.conf"
    (umask 077 && printf 12345678 >"$PAGE_WORLD/pin")
    export SOFTHSM2_CONF=$tokens.conf
    softhsm2-util --init-token --free --label web --so-pin 87654321 --pin 12345678 >/dev/null
    softhsm web --keypairgen --key-type EC:prime256v1 --label server --id 0a
    softhsm web --read-object --type pubkey --label server -o "$WORK/softhsm.der"
    openssl pkey -pubin -inform DER -in "$WORK/softhsm.der" -out "$WORK/softhsm"
    issue "$WORK/softhsm"
    openssl x509 -in "$WORK/softhsm.crt" -outform DER -out "$WORK/softhsm.der"
    softhsm web --write-object "$WORK/softhsm.der" --type cert --label server --id 0a
    unset SOFTHSM2_CONF
}

softhsm() { # TOKEN ARGUMENTS...: pkcs11-tool there
    pkcs11-tool --module "$SOFTHSM" --token-label "$1" --login --pin 12345678 "${@:2}" >/dev/null 2>&1
}

WORK=$(TMPDIR=/tmp mktemp -d)
at_exit+=("rm -rf '$WORK'")
follow docs/from-softhsm.md
same 'the certificate' "$PAGE_WORLD/server.crt" "$WORK/softhsm.crt"
grep -q '^Verified OK$' "$PAGE_WORLD/out"
refused 'a look for the deleted token' ls "$PAGE_WORLD/.config/softhsm2/tokens/"*/token.object

# --- tpm2-pkcs11 -------------------------------------------------------------------------------------

# The page's reader, nobody or whoever runs this, reaches the TPM, too.
chmod 755 "$WORK"
[ "$(id -u)" != 0 ] || group=nogroup
tpm_start "$WORK" ${group:+"$group"}

ptool() {
    tpm2_ptool "$1" --path "$PAGE_WORLD/.tpm2_pkcs11" "${@:2}" >"$WORK/ptool.log" 2>&1
}

prepare_page() {
    local manager tcti=tabrmd:bus_type=session
    logs+=("$WORK/ptool.log" "$WORK/abrmd.log")
    tpm2-abrmd --session --allow-root --tcti "$TCTI" >"$WORK/abrmd.log" 2>&1 &
    manager=$!
    spawned+=("$manager")
    wait_for tpm2-abrmd tpm2_getrandom -T "$tcti" 4
    mkdir -p "$PAGE_WORLD/.tpm2_pkcs11" "$PAGE_WORLD/.config"
    export TPM2TOOLS_TCTI=$tcti TPM2_PKCS11_TCTI=$tcti TSS2_LOG=all+none
    ptool init
    ptool addtoken --pid 1 --label site --sopin 87654321 --userpin 12345678
    ptool addkey --label site --key-label server --algorithm ecc256 --userpin 12345678
    TPM2_PKCS11_STORE=$PAGE_WORLD/.tpm2_pkcs11 pkcs11-tool --module "$(find /usr/lib -name libtpm2_pkcs11.so.1)" \
        --read-object --type pubkey --label server -o "$WORK/site.der" >/dev/null 2>&1
    openssl pkey -pubin -inform DER -in "$WORK/site.der" -out "$WORK/site"
    issue "$WORK/site"
    ptool addcert --label site --key-label server "$WORK/site.crt"
    stop "$manager"
    printf 'tcti = %s\n' "$TCTI" >"$PAGE_WORLD/.config/latchkey.conf"
    (umask 077 && printf 12345678 >"$PAGE_WORLD/pin")
}

follow docs/from-tpm2-pkcs11.md
same 'the certificate' "$PAGE_WORLD/server.crt" "$WORK/site.crt"
grep -q '^Verified OK$' "$PAGE_WORLD/out"
grep -q 'TSS2 PRIVATE KEY' "$PAGE_WORLD/since.pem"
