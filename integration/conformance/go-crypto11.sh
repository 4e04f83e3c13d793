#!/bin/bash
# The tests of github.com/ThalesIgnite/crypto11: Go's crypto interfaces (Signer, Decrypter, cipher.Block,
# AEAD, hash.Hash) over a token.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need pkcs11-tool swtpm
[ -d /usr/share/gocode/src/github.com/stretchr/testify ] ||
    skip 'golang-github-stretchr-testify-dev is not installed'
world conformance
go_copy github.com/ThalesIgnite/crypto11
printf '{"Path": "%s", "TokenLabel": "conformance", "Pin": "%s"}\n' "$MODULE" "$PIN" >"$GO_DIR/config"
go_tests
verdict
