#!/bin/bash
# The tests of github.com/miekg/pkcs11, the wrapper that Go programs use. They log in at the first slot.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need pkcs11-tool swtpm
PIN=1234
world conformance
go_copy github.com/miekg/pkcs11
user() {
    pkcs11-tool --module "$MODULE" --token-label conformance --login --pin "$PIN" "$@" &>>tool.log
}
user --keypairgen --key-type rsa:2048 --label 'my key' --id 01 --usage-sign

# It sets these to files of its own directory.
ours || cp "$SOFTHSM2_CONF" "$GO_DIR/softhsm2.conf"
export SOFTHSM_LIB=$MODULE SOFTHSM_TOKENLABEL=conformance SOFTHSM_PRIVKEYLABEL='my key' SOFTHSM_PIN=$PIN
go_tests
verdict
