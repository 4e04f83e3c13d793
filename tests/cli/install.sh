#!/bin/bash
# What `cmake --install` puts where, and that it is the command that was built.
. "$(dirname "$0")/lib.sh"
succeeds cmake --install "$LATCHKEY_BUILD" --prefix "$DIR/prefix"
cd prefix || exit 1
for file in bin/latchkey share/man/man1/latchkey.1 share/man/man5/latchkey.conf.5 \
    share/man/man7/latchkey-pkcs11.7 share/bash-completion/completions/latchkey; do
    holds test -s "$file"
done
module=$(find . -name latchkey-pkcs11.so)
same "${module##*/pkcs11/}" latchkey-pkcs11.so
# shellcheck disable=SC2034 # lk runs it
COMMAND=$PWD/bin/latchkey
succeeds lk version --module "$module"
prints "^latchkey [0-9.]+$"
prints "$PWD/.*latchkey-pkcs11.so: "
finish
