#!/bin/bash
# The command is a PKCS#11 client: keys and certificates work with another module too, and what needs
# more than PKCS#11 says so.
[ -e /usr/lib/softhsm/libsofthsm2.so ] || { echo 'SoftHSM is not installed' && exit 77; }
here=$(dirname "$0")
for test in key cert import export secret-key wrap crypt sign secret ssh-agent; do
    LATCHKEY_CLI_SOFTHSM=1 "$here/$test.sh" || exit 1
done
. "$here/lib.sh"
use_softhsm
for verb in 'tpm status' 'tpm harden' 'tpm unlock' 'token destroy'; do
    read -ra words <<<"$verb"
    exits 8 lk "${words[@]}"
    complains "cannot do '$verb'"
done
exits 8 lk token create --unattended --pin-file-out gw-pin --generate-so-pin gw-so
holds test ! -e gw-pin
succeeds lk version
prints '^latchkey [0-9.]+$'
prints 'libsofthsm2.so: .* Cryptoki 2\.40'

# its private EC keys do not tell their public numbers
printf 123456 >pin
printf 87654321 >so-pin
succeeds lk token create --label web --pin-file pin --so-pin-file so-pin
succeeds lk key generate --type ec --label half --pin-file pin
succeeds pkcs11-tool --module "$MODULE" --login --pin 123456 --delete-object --type pubkey --label half
exits 3 lk key csr half --subject /CN=half --pin-file pin
complains "the key 'half' has no public key on the token"
finish
