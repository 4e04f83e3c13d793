#!/bin/bash
# Keys wrapped under others and unwrapped again, on the token and by openssl.
. "$(dirname "$0")/lib.sh"
start_token

head -c 32 /dev/urandom >kek.raw
succeeds lk key import kek.raw --type aes --label kek --usage wrap --pin-file pin
succeeds lk key generate --type aes --label data --extractable --pin-file pin
printf 'attack at dawn' >plain
succeeds lk encrypt data plain --pin-file pin -o sealed

same_key() { # NAME: decrypts what the key "data" encrypted
    succeeds lk decrypt "$1" sealed --pin-file pin
    holds cmp out plain
    succeeds lk key delete "$1" -y --pin-file pin
}
there_and_back() { # WITH OPTIONS...
    local with=$1
    shift
    succeeds lk key wrap data --with "$with" "$@" --pin-file pin -o wrapped
    succeeds lk key unwrap wrapped --with "$with" "$@" --type aes --label back --pin-file pin
    prints 'TYPE +AES'
    same_key back
}
there_and_back kek
there_and_back kek --mechanism aes-key-wrap
same "$(stat -c %s wrapped)" 40
cp wrapped wrapped.rfc3394
if ! on_softhsm; then
    there_and_back kek --mechanism aes-kwp
    there_and_back kek --mechanism aes-cbc-pad
    same "$(stat -c %s wrapped)" 64 # IV, 32 bytes, a block of padding
    there_and_back kek --mechanism aes-gcm
    same "$(stat -c %s wrapped)" 60 # nonce, 32 bytes, tag
fi

# what openssl unwraps is the key that decrypts (RFC 3394)
hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }
openssl enc -d -id-aes256-wrap -K "$(hex kek.raw)" -iv A6A6A6A6A6A6A6A6 -in wrapped.rfc3394 -out data.raw
succeeds lk key import data.raw --type aes --label copy --pin-file pin
same_key copy
# and the reverse
openssl enc -id-aes256-wrap -K "$(hex kek.raw)" -iv A6A6A6A6A6A6A6A6 -in data.raw -out by-openssl
succeeds lk key unwrap by-openssl --with kek --mechanism aes-key-wrap --type aes --label back \
    --pin-file pin
same_key back

if ! on_softhsm; then # RFC 5649
    succeeds lk key wrap data --with kek --mechanism aes-kwp --pin-file pin -o wrapped
    openssl enc -d -id-aes256-wrap-pad -K "$(hex kek.raw)" -iv A65959A6 -in wrapped -out again.raw
    holds cmp again.raw data.raw
fi

# a private key comes back with its public half
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem 2>/dev/null
openssl pkey -in rsa.pem -pubout -out rsa.pub
succeeds lk key import rsa.pem --label rsa --extractable --pin-file pin
succeeds lk key wrap rsa --with kek --pin-file pin -o wrapped
succeeds lk key delete rsa -y --pin-file pin
succeeds lk key unwrap wrapped --with kek --type rsa --label rsa2 --id aa --pin-file pin
prints 'ID +aa'
succeeds lk key export rsa2
holds cmp out rsa.pub
succeeds lk sign rsa2 plain --pin-file pin -o sig
holds openssl dgst -sha256 -verify rsa.pub -signature sig plain >verdict

# all or nothing: where the public half is refused, the private one does not stay
(
    export REFUSING_MODULE=${MODULE:-$LATCHKEY_BUILD/latchkey-pkcs11.so} REFUSING_CALL=C_CreateObject:1
    MODULE=$LATCHKEY_BUILD/tests/refusing-module.so
    exits 6 lk key unwrap wrapped --with kek --type rsa --label half --pin-file pin
    complains "public key 'half'"
    exits 3 lk key show half --login --pin-file pin
    exit "$FAILURES"
) || FAILURES=$((FAILURES + 1))

# under RSA
succeeds lk key generate --type rsa --label transport --usage wrap --pin-file pin
there_and_back transport --mechanism rsa-pkcs
there_and_back transport --mechanism rsa-oaep-sha1
if ! on_softhsm; then
    there_and_back transport
    there_and_back transport --mechanism rsa-aes
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out ours.pem 2>/dev/null
    openssl ecparam -name P-256 -genkey -noout -out ec.pem
    openssl pkey -in ec.pem -pubout -out ec.pub
    succeeds lk key import ec.pem --label ec --extractable --pin-file pin
    succeeds lk key wrap ec --with transport --pin-file pin -o wrapped
    # openssl finds the same: an AES key under OAEP, and PKCS#8 under that
    succeeds lk key import ours.pem --label ours --usage wrap --pin-file pin
    succeeds lk key wrap ec --with ours --pin-file pin -o for-openssl
    head -c 256 for-openssl >key-part
    tail -c +257 for-openssl >body
    openssl pkeyutl -decrypt -inkey ours.pem -in key-part -out inner.raw -pkeyopt rsa_padding_mode:oaep \
        -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
    openssl enc -d -id-aes256-wrap-pad -K "$(hex inner.raw)" -iv A65959A6 -in body -out inner.der
    openssl pkey -inform DER -in inner.der -pubout -out inner.pub
    holds cmp inner.pub ec.pub
    succeeds lk key delete ec -y --pin-file pin
    succeeds lk key unwrap wrapped --with transport --type ec --label ec2 --pin-file pin
    succeeds lk key export ec2
    holds cmp out ec.pub
fi

# refused
succeeds lk key generate --type aes --label stays --pin-file pin
exits 1 lk key wrap stays --with kek --pin-file pin -o no
complains '--extractable'
holds test ! -e no
succeeds lk key generate --type aes --label no-kek --pin-file pin
exits 1 lk key wrap data --with no-kek --pin-file pin -o no
complains 'other uses'
succeeds lk key import rsa.pem --force --label rsa3 --extractable --pin-file pin
exits 2 lk key wrap rsa3 --with transport --mechanism rsa-oaep --pin-file pin -o no
complains 'rsa-aes'
exits 2 lk key wrap data --pin-file pin
complains '--with is missing'
exits 2 lk key unwrap wrapped --with kek --label n --pin-file pin
complains '--type is missing'
exits 2 lk key wrap data --with kek --mechanism rot13 --pin-file pin
complains 'aes-key-wrap'
exits 3 lk key wrap data --with nothing --pin-file pin
exits 3 lk key unwrap nowhere --with kek --type aes --label n --pin-file pin
: >empty
exits 1 lk key unwrap empty --with kek --type aes --label n --pin-file pin
flip wrapped.rfc3394 9
exits 1 lk key unwrap wrapped.rfc3394 --with kek --mechanism aes-key-wrap --type aes --label n --pin-file pin
exits 3 lk key show n --login --pin-file pin
finish
