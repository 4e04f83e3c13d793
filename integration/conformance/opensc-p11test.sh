#!/bin/bash
# OpenSC's p11test, a test-suite for tokens with keys on them: from Debian's source package of OpenSC,
# with the keys that its runtest.sh makes. It reports what it cannot try as skipped.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need pkcs11-tool openssl certtool gcc swtpm
[ -e /usr/include/cmocka.h ] || skip 'libcmocka-dev is not installed'
PIN=123456
world 'SC test'
debian_source o/opensc/opensc_0.23.0.orig.tar.gz \
    a08b475834e3c3b0efd9bfc46adfcc3440d3975c2fb3ab2ef29342b879d41370

touch config.h
gcc -w -O0 -DENABLE_OPENSSL -I. -I"$SOURCE/src" "$SOURCE"/src/tests/p11test/*.c -o p11test \
    -lcmocka -lcrypto -ldl

user() {
    pkcs11-tool --module "$MODULE" --token-label 'SC test' --login --pin "$PIN" "$@"
}

key() { # TYPE ID LABEL: a key pair
    attempt "make-$3" user --keypairgen --key-type "$1" --id "$2" --label "$3" "${@:4}"
}

secret() { # TYPE ID LABEL
    attempt "make-$3" user --keygen --key-type "$1" --id "$2" --label "$3" --extractable
}

key RSA:1024 01 RSA1024
key RSA:2048 02 RSA2048
key EC:secp256r1 03 P256
key EC:secp521r1 04 P521
key EC:edwards25519 05 Ed25519
key EC:curve25519 06 X25519
secret AES:16 07 AES128
secret AES:32 08 AES256

# As its runtest.sh does: a certificate for each key that certtool can sign with.
certificate() { # ID LABEL
    certtool --generate-self-signed --template cert.cfg --outfile "$2.crt" --provider "$MODULE" \
        --load-privkey "pkcs11:token=SC%20test;object=$2;type=private" \
        --load-pubkey "pkcs11:token=SC%20test;object=$2;type=public"
    openssl x509 -in "$2.crt" -outform DER -out "$2.der"
    user --write-object "$2.der" --type cert --id "$1" --label "$2"
}
export GNUTLS_PIN=$PIN
cp "$SOURCE/src/tests/p11test/cert.cfg" .
for name in 01:RSA1024 02:RSA2048 03:P256 04:P521; do
    attempt "certificate-${name#*:}" certificate "${name%:*}" "${name#*:}"
done

# cmocka's "[  STATUS ] test"; what was wrong before it is the reason.
timeout --kill-after=2 250 env LD_PRELOAD="${LATCHKEY_PRELOAD:-}" stdbuf -oL -eL \
    ./p11test -v -m "$MODULE" -p "$PIN" >p11test.log 2>&1 \
    </dev/null || true
awk '
    /^\[ RUN / { said = "" }
    /^ *\[ +ERROR/ { sub(/^ *\[ */, ""); said = said $0 "; " }
    /^\[ +LINE/ { sub(/.*\//, ""); said = said $0 }
    /^\[       OK \]/ { print "pass", $NF }
    /^\[  (SKIPPED|FAILED ) \] [a-z0-9_]+$/ && !($NF in told) {
        print /SKIPPED/ ? "skip" : "fail", $NF, said
        told[$NF]
    }' p11test.log >>results
verdict
