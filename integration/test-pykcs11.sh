#!/bin/bash
# PyKCS11: the page's program, and one whose threads and forked children sign at once; libcrypto verifies.
# integration/conformance has its API, function by function.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need openssl swtpm
/usr/bin/python3 -c 'import PyKCS11, cryptography' 2>/dev/null || skip 'python3-pykcs11 or python3-cryptography is not installed'
follow docs/python.md
for line in 'seal signed' 'device signed' 'unlocked again: True' 'Verified OK'; do
    grep -q "^$line" "$PAGE_WORLD/out"
done

scratch
cd "$WORK"
make_token demo
make_key demo ec 01 ec
make_key demo rsa 02 rsa
latchkey key export ec --token demo >ec.pub
latchkey key export rsa --token demo >rsa.pub
logs=("$WORK/err")
printf 00000000 >wrong-pin
client() {
    LD_PRELOAD=${LATCHKEY_PRELOAD:-} timeout 120 /usr/bin/python3 "$ROOT/integration/python/signers.py" "$MODULE" demo "$@" \
        >out 2>err
}

client pin threads
[ "$(cat out)" = '40 signatures verified' ]
ok 'four threads, EC and RSA: each signature is right'
client pin children
[ "$(cat out)" = '40 signatures verified' ]
ok 'four children of a process that is logged in: each signature is right'
refused 'a wrong PIN' client wrong-pin threads
grep -q CKR_PIN_INCORRECT err
ok 'a wrong PIN is refused'
