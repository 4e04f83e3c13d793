#!/bin/bash
# The recipes of README.md, those marked "sh test", run as they are written there, in one shell.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need nginx curl openssl ssh-keygen swtpm
openssl engine pkcs11 >/dev/null 2>&1 || skip 'OpenSSL has no pkcs11 engine'
! port_open 8443 || skip 'port 8443, which the recipes use, is taken'
follow README.md
grep -q '^hello CN=me$' "$PAGE_WORLD/out"
grep -q 'CN *= *device-0042' "$PAGE_WORLD/out"
cd "$PAGE_WORLD/build/try"
openssl dgst -sha256 -verify <(openssl x509 -in me.crt -noout -pubkey) -signature web.sig web.crt >/dev/null
grep -q '^ssh-rsa ' me.pub
ssh-keygen -Y check-novalidate -n file -s nginx.conf.sig <nginx.conf | grep -q ED25519
