#!/bin/bash
# PyKCS11, the Python wrapper: the examples that Debian installs with it, and pykcs11.py, which goes
# through its API (Debian ships no test-suite of it).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need pkcs11-tool openssl swtpm
/usr/bin/python3 -c 'import PyKCS11' 2>/dev/null || skip 'python3-pykcs11 is not installed'
/usr/bin/python3 -c 'import cryptography' 2>/dev/null || skip 'python3-cryptography is not installed'
PIN=1234 # the examples' own
world conformance

export PYKCS11LIB=$MODULE
example() {
    client /usr/bin/python3 "/usr/share/doc/python3-pykcs11/examples/$1" "${@:2}"
}
verified() {
    example "$@" | tee out
    ! grep -E '\bError:|Verified: *False' out
}
attempt example-getinfo verified getinfo.py -m -p "$PIN"
attempt example-generate example generate.py # the key pair that the next ones take
attempt example-encrypt verified encrypt.py
attempt example-rsa_encrypt verified rsa_encrypt.py
attempt example-signature verified signature.py
attempt example-modulus example modulus.py
attempt example-dumpit verified dumpit.py -p "$PIN"
attempt example-genkeypair_import_cert example genkeypair_import_cert.py
attempt example-destroy_by_ID example destroy_by_ID.py
attempt example-rand example LowLevel/rand.py

client /usr/bin/python3 "$CONFORMANCE/pykcs11.py" "$PIN" "$SO_PIN" >>results 2>python.log || {
    tail -n 20 python.log >&2
    die 'pykcs11.py did not end well'
}
verdict
