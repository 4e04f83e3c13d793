#!/bin/bash
# Signatures that openssl makes and verifies, of files of several sizes.
. "$(dirname "$0")/lib.sh"
start_token

: >empty
printf 'attack at dawn' >small
head -c 65536 /dev/urandom >piece
head -c 300000 /dev/urandom >large
printf other >other
FILES='empty small piece large'

fits_both_ways() { # KEY 'OPENSSL SIGN/VERIFY OPTIONS' OPTIONS...
    local key=$1 openssl=$2 file
    shift 2
    for file in $FILES; do
        succeeds lk sign "$key" "$file" "$@" --pin-file pin -o sig
        # shellcheck disable=SC2086 # options
        openssl dgst $openssl -verify "$key.pub" -signature sig "$file" >verdict 2>&1 ||
            fails "openssl: $key $* $file"
        # shellcheck disable=SC2086
        openssl dgst $openssl -sign "$key.pem" -out sig "$file"
        succeeds lk verify "$key" "$file" "$@" --signature sig
        prints 'fits'
        exits 1 lk verify "$key" other "$@" --signature sig
        complains 'does not fit'
    done
}
import() { # NAME OPENSSL-ARGUMENTS...
    local name=$1
    shift
    openssl genpkey "$@" -out "$name.pem" 2>/dev/null
    openssl pkey -in "$name.pem" -pubout -out "$name.pub"
    succeeds lk key import "$name.pem" --label "$name" --pin-file pin
}
import rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048
import ec -algorithm EC -pkeyopt ec_paramgen_curve:P-256
import ec521 -algorithm EC -pkeyopt ec_paramgen_curve:P-521
import ed -algorithm ed25519

fits_both_ways rsa -sha256
fits_both_ways rsa -sha512 --mechanism rsa-pkcs-sha512
fits_both_ways rsa '-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest' \
    --mechanism rsa-pss-sha256
fits_both_ways ec -sha256 --der
fits_both_ways ec521 -sha512 --der --mechanism ecdsa-sha512
for file in $FILES; do
    succeeds lk sign ec "$file" --pin-file pin -o sig
    same "$(stat -c %s sig)" 64
    succeeds lk verify ec "$file" --signature sig
    exits 1 lk verify ec "$file" --signature sig --der
    exits 1 lk verify ec "$file" --signature sig --mechanism ecdsa-sha384
    exits 1 lk verify ec "$file" --signature empty
done
edwards='ed'
on_softhsm || { import ed448 -algorithm ed448 && edwards='ed ed448'; }
for key in $edwards; do
    for file in small piece large; do # openssl 3.0 does not sign nothing
        succeeds lk sign "$key" "$file" --pin-file pin -o sig
        openssl pkeyutl -verify -pubin -inkey "$key.pub" -rawin -in "$file" -sigfile sig >verdict ||
            fails "openssl: $key $file"
        openssl pkeyutl -sign -inkey "$key.pem" -rawin -in "$file" -out sig
        succeeds lk verify "$key" "$file" --signature sig
        exits 1 lk verify "$key" empty --signature sig
    done
done

# MACs
printf 'key of an HMAC, %.0s' {1..4} >hmac.raw
same "$(stat -c %s hmac.raw)" 64
succeeds lk key import hmac.raw --type generic --label mac --pin-file pin
for file in $FILES; do
    for hash in sha1 sha256 sha512; do
        succeeds lk sign mac "$file" --mechanism "hmac-$hash" --pin-file pin -o sig
        openssl dgst "-$hash" -mac HMAC -macopt "key:$(cat hmac.raw)" -binary "$file" >want
        holds cmp sig want
        succeeds lk verify mac "$file" --mechanism "hmac-$hash" --signature want --pin-file pin
    done
    exits 1 lk verify mac "$file" --signature sig --pin-file pin
done
exits 3 lk verify mac small --signature sig
complains '--login'
head -c 16 hmac.raw >cmac.raw
succeeds lk key import cmac.raw --type aes --usage sign --label cmac --pin-file pin
succeeds lk sign cmac small --pin-file pin -o sig
openssl mac -cipher AES-128-CBC -macopt "key:$(cat cmac.raw)" -in small -binary CMAC >want
holds cmp sig want
if ! on_softhsm; then
    succeeds lk key import hmac.raw --type hmac-sha384 --label mac384 --pin-file pin
    succeeds lk sign mac384 small --pin-file pin -o sig
    openssl dgst -sha384 -mac HMAC -macopt "key:$(cat hmac.raw)" -binary small >want
    holds cmp sig want
fi

# pipes, and a key that wants the PIN at each use
lk sign ec --pin-file pin <small | cat >piped
# shellcheck disable=SC2002 # a pipe it is to be
cat piped | lk verify ec small --signature - >out || fails 'not through a pipe'
succeeds lk key generate --label careful --always-authenticate --pin-file pin
succeeds lk sign careful small --pin-file pin -o sig
succeeds lk verify careful small --signature sig

exits 2 lk verify ec small
complains '--signature is missing'
exits 2 lk sign rsa small --der --pin-file pin
exits 2 lk sign ec small --mechanism rsa-pkcs-sha256 --pin-file pin
complains 'ecdsa-sha256, ecdsa-sha384'
truncate -s 65M long
exits 1 lk sign ed long --pin-file pin -o sig
complains 'too long: EdDSA'
succeeds lk sign ec long --pin-file pin -o sig
exits 3 lk sign ec nowhere --pin-file pin
exits 3 lk verify ec small --signature nowhere
exits 3 lk sign nothing small --pin-file pin
exits 4 lk sign ec small --pin-file so-pin
succeeds lk key generate --type rsa --label decrypts --usage decrypt --pin-file pin
exits 1 lk sign decrypts small --pin-file pin
complains 'other uses'
finish
