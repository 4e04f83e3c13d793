#!/bin/bash
# p11-kit with the module file as it is installed: list-modules, the proxy module, and the token
# over a socket (p11-kit server).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need p11-kit pkcs11-tool openssl swtpm
MODULES=$(pkg-config --variable=p11_module_path p11-kit-1) || skip 'p11-kit.pc is not installed'
[ -e "$MODULES/p11-kit-client.so" ] || skip 'p11-kit-client.so is not installed'
# p11-kit reads a user's own module files, but not root's: root gets a private view of the system's.
if [ "$(id -u)" = 0 ] && [ -z "${OWN_VIEW:-}" ]; then
    unshare --mount true 2>/dev/null || skip 'this root may not unshare mounts'
    OWN_VIEW=yes exec unshare --mount "$0"
fi
if [ -z "${LATCHKEY_PRELOAD:-}" ]; then # which a page's programs do not get
    follow docs/p11-kit.md
    grep -A20 -E '^(module: latchkey$|latchkey:)' "$PAGE_WORLD/out" | grep -q 'token: demo'
    [ "$(grep -c '^Signature Verified Successfully' "$PAGE_WORLD/out")" = 2 ]
fi

scratch
cd "$WORK"
make_token demo
make_key demo ec 01 ec

export HOME=$WORK XDG_CONFIG_HOME=$WORK/config XDG_RUNTIME_DIR=$WORK
mkdir -p config/pkcs11/modules
sed "s|^module: .*|module: $MODULE|" "$ROOT/p11-kit/latchkey.module" \
    >config/pkcs11/modules/latchkey.module
if [ "$(id -u)" = 0 ]; then
    mount --bind config/pkcs11/modules "$(pkg-config --variable=p11_module_configs p11-kit-1)"
fi
p11-kit list-modules >modules
grep -A20 -E '^(module: latchkey$|latchkey:)' modules | grep -q 'token: demo'
ok 'p11-kit list-modules finds the token'

head -c 32 /dev/urandom >digest
signs() { # signs MODULE-FILE
    pkcs11-tool --module "$1" --token-label demo --login --pin "$(cat "$PIN_FILE")" --sign --id 01 \
        -m ECDSA --signature-format openssl -i digest -o sig >/dev/null 2>&1
    openssl pkeyutl -verify -pubin -inkey ec.pub -in digest -sigfile sig >/dev/null
}
make_ca .
make_cert . demo ec
openssl x509 -in ec.crt -noout -pubkey -out ec.pub

signs "$(pkg-config --variable=proxy_module p11-kit-1)"
ok 'signs through p11-kit-proxy.so'

spawn p11-kit server --foreground --name "$WORK/socket" --provider "$MODULE" pkcs11:token=demo \
    >server.out 2>&1
wait_for 'p11-kit server' test -S socket
export P11_KIT_SERVER_ADDRESS=unix:path=$WORK/socket
signs "$MODULES/p11-kit-client.so"
ok 'signs over the socket of p11-kit server'
