#!/bin/bash
# What the command says, and leaves behind, when the module refuses what it asks for.
. "$(dirname "$0")/lib.sh"
start_token
succeeds lk key generate --type ec --label key --pin-file pin
echo text >text

refusing() { # CALL STATUS ARGUMENTS...: with a module that refuses that call
    REFUSING_MODULE=$LATCHKEY_BUILD/latchkey-pkcs11.so REFUSING_CALL=$1 \
        exits "$2" setsid -w "$COMMAND" "${@:3}" --module "$LATCHKEY_BUILD/tests/refusing-module.so"
}
tokens() { # NUMBER of those there are
    succeeds lk token list --json
    json "len(d) == $1"
}

# --- the doctor ------------------------------------------------------------------------------------------
refusing C_Initialize 1 doctor --json
found problem module
json 'any("does not initialise" in f["text"] for f in d)'
refusing none 0 doctor --json # a module that has none of latchkey's own functions
found note module
json 'any("another module than" in f["text"] for f in d)'
refusing none 0 token show web --json
json 'd["label"] == "web" and d["store"] is None and d["max_pin_tries"] is None'

# --- a token that is not made, or not ready ----------------------------------------------------------------
refusing C_GetTokenInfo 1 token create --label new --pin-file pin --so-pin-file so-pin
complains 'no empty slot'
refusing C_InitToken 6 token create --label new --pin-file pin --generate-so-pin new-so
holds test ! -e new-so
tokens 1
refusing C_OpenSession 6 token create --label shut --pin-file pin --generate-so-pin shut-so
complains 'made, but without a user PIN'
holds test -s shut-so # the token is there, and opens with it
succeeds lk token reset-pin shut --so-pin-file shut-so --new-pin-file pin
refusing C_InitPIN 6 token create --label half --pin-file pin --generate-so-pin half-so
complains 'made, but without a user PIN'
succeeds lk token reset-pin half --so-pin-file half-so --new-pin-file pin
tokens 3
succeeds lk token destroy shut -y --force
succeeds lk token destroy half -y --force

# --- an import that cannot be taken back --------------------------------------------------------------------
openssl ecparam -name P-256 -genkey -noout -out ec.pem
refusing C_CreateObject:2,C_DestroyObject 6 key import ec.pem --label half --token web --pin-file pin
complains "cannot store the public key 'half'"
complains '1 of the objects made before could not be removed'
succeeds lk key delete half --token web --pin-file pin -y

# --- a key that nothing can be done with -----------------------------------------------------------------------
refusing C_GetMechanismInfo 1 sign key text --token web --pin-file pin -o sig
complains 'has none of the mechanisms that sign with this key'
holds test ! -e sig
finish
