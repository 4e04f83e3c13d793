#!/bin/bash
# The lines that `key generate` prints do what they say when they are pasted.
. "$(dirname "$0")/lib.sh"
for tool in openssl ssh-keygen; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed" && exit 77; }
done
openssl engine pkcs11 >/dev/null 2>&1 || { echo "OpenSSL's PKCS#11 engine is not installed" && exit 77; }
start_token
for type in ec rsa; do
    succeeds lk key generate --label "$type" --type "$type" --pin-file pin
    cp out printed

    line=$(sed -n '/PKCS11_MODULE_PATH=/,/-subj/p' printed)
    bash -c "${line/type=private/type=private?pin-source=file:$DIR/pin}" >out 2>err ||
        fails "the OpenSSL line: $line"
    holds openssl req -in out -verify -noout 2>/dev/null

    line=$(grep -o 'ssh-keygen -D [^ ]*' printed)
    bash -c "$line" >out 2>err || fails "the ssh line: $line"
    prints " $type\$"

    # nginx hands what follows the first "engine:pkcs11:" to the engine
    line=$(sed -n 's/.*"engine:pkcs11:\(.*\)";/\1/p' printed)
    PKCS11_MODULE_PATH=$LATCHKEY_BUILD/latchkey-pkcs11.so openssl pkey -engine pkcs11 -inform engine \
        -in "${line/\/path\/to\/pin/$DIR/pin}" -pubout >out 2>err || fails "the nginx line: $line"
    prints 'BEGIN PUBLIC KEY'
done

# OpenSSL's engine and OpenSSH's own PKCS#11 code know no Ed25519 here
succeeds lk key generate --label ed --type ed25519 --pin-file pin
prints_not 'engine|PKCS11Provider'
complains 'keep it in a token of its own'
cp out printed
line=$(grep -o 'latchkey key export .*' printed)
PATH=$LATCHKEY_BUILD:$PATH bash -c "$line" >out 2>err || fails "the ssh line: $line"
prints '^ssh-ed25519 .* ed$'
line=$(grep -o 'eval .*;' printed)
(
    # shellcheck disable=SC1090 # what the agent prints
    . <(PATH=$LATCHKEY_BUILD:$PATH bash -c "${line/ssh-agent/ssh-agent --pin-file pin}"' declare -p SSH_AUTH_SOCK SSH_AGENT_PID')
    ssh-add -L
    kill "$SSH_AGENT_PID"
) >out 2>err
prints '^ssh-ed25519 .* ed$'
# ... and nothing here but C_DeriveKey knows X25519
succeeds lk key generate --label x --type x25519 --pin-file pin
prints_not 'engine|ssh'
succeeds lk key generate --label x448 --type x448 --pin-file pin
prints_not 'engine|ssh'
# ... and OpenSSH has no Ed448
succeeds lk key generate --label ed448 --type ed448 --pin-file pin
prints_not 'engine|ssh'
finish
