#!/bin/bash
# Keys for programs that know nothing of the token: `key export --tss2` and what tpm2-openssl and
# tpm2-tools make of the file, whose signatures fit the certificate of the token's key.
. "$(dirname "$0")/lib.sh"
start_token
printf 'sesame-of-the-file\n' >password
printf 'wrong\n' >wrong
export TPM2OPENSSL_TCTI=$LATCHKEY_TCTI
echo text >text
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
    -subj '/CN=Test CA' -days 10 2>/dev/null

tpm2_openssl() { # the provider of tpm2-openssl beside the usual one
    openssl "$@" -provider tpm2 -provider default
}

certify() { # NAME: a certificate for the token's key, NAME.crt
    succeeds lk key csr "$1" --token web --subject "/CN=$1" --pin-file pin -o "$1.csr"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -days 5 -out "$1.crt" 2>/dev/null
}

# shellcheck disable=SC2317 # called by succeeds and exits
out() { # NAME FILE ARGUMENTS...: exports the key
    lk key export "$1" --token web --pin-file pin --tss2 -o "$2" "${@:3}"
}

signs() { # FILE CERTIFICATE OPENSSL-ARGUMENTS...: as the certificate's key
    rm -f text.sig
    holds tpm2_openssl pkeyutl -sign -rawin -digest sha256 -inkey "$1" -in text -out text.sig "${@:3}" 2>sign.log
    openssl x509 -in "$2" -noout -pubkey >spki
    holds openssl dgst -sha256 -verify spki -signature text.sig text >verified
}

# --- with a password ---------------------------------------------------------------------------------
for what in 'ec --curve P-256' 'ec384 --type ec --curve P-384' 'rsa --type rsa'; do
    name=${what%% *}
    # shellcheck disable=SC2086 # words
    succeeds lk key generate --label "$name" ${what#* } --pin-file pin
    certify "$name"
    succeeds out "$name" "$name.pem" --password-file password
    complains 'without the token.s PIN'
    complains 'a short one can be guessed'
    holds grep -q '^-----BEGIN TSS2 PRIVATE KEY-----' "$name.pem"
    same "$(stat -c %a "$name.pem")" 600
    signs "$name.pem" "$name.crt" -passin file:password
    exits 1 tpm2_openssl pkeyutl -sign -rawin -digest sha256 -inkey "$name.pem" -in text -out no.sig -passin file:wrong
    exits 1 tpm2_openssl pkeyutl -sign -rawin -digest sha256 -inkey "$name.pem" -in text -out no.sig -passin pass:
done
holds tpm2 load -Q -r ec.pem -c ec.ctx 2>load.log # it tries another form first, and says so
holds tpm2 sign -Q -c ec.ctx -p "$(cat password)" -g sha256 -f plain -o tools.sig text
openssl x509 -in ec.crt -noout -pubkey >spki
holds openssl dgst -sha256 -verify spki -signature tools.sig text >verified
tpm2 flushcontext -t

# a key is decrypted with, too
openssl x509 -in rsa.crt -noout -pubkey >spki
openssl pkeyutl -encrypt -pubin -inkey spki -in text -out encrypted
holds tpm2_openssl pkeyutl -decrypt -inkey rsa.pem -passin file:password -in encrypted -out decrypted
holds cmp decrypted text

# --- without one ---------------------------------------------------------------------------------------
succeeds out ec open.pem --password-file /dev/null
exits 2 out ec nothing.pem # nobody to ask
complains '--password-file'
: >empty
succeeds out ec open.pem --password-file empty
complains 'whoever reads the file can use it'
signs open.pem ec.crt

# --- typed --------------------------------------------------------------------------------------------
succeeds lk_typing 'two words|two words' key export ec --pin-file pin --tss2 -o typed.pem
signs typed.pem ec.crt -passin 'pass:two words'
exits 2 lk_typing 'two words|too words' key export ec --pin-file pin --tss2 -o nothing.pem
printf '%033d' 0 >long
exits 2 lk_typing "$(cat long)|$(cat long)" key export ec --pin-file pin --tss2 -o nothing.pem
exits 2 out ec nothing.pem --password-file long
complains 'at most 32 bytes'

# --- whatever becomes of the token -----------------------------------------------------------------------
printf abcdefgh >new-pin
succeeds lk token pin --pin-file pin --new-pin-file new-pin
signs ec.pem ec.crt -passin file:password
succeeds lk token pin --pin-file new-pin --new-pin-file pin
# into another one
succeeds lk token create --label second --pin-file pin --so-pin-file so-pin
for name in ec rsa; do
    exits 4 lk key import "$name.pem" --token second --label "$name" --pin-file pin --password-file wrong
    succeeds lk key import "$name.pem" --token second --label "$name" --pin-file pin --password-file password
    der=()
    [ $name != ec ] || der=(--der)
    succeeds lk sign "$name" text --token second --pin-file pin "${der[@]}" -o second.sig
    openssl x509 -in "$name.crt" -noout -pubkey >spki
    holds openssl dgst -sha256 -verify spki -signature second.sig text >verified
done
succeeds lk key delete ec --token web -y --pin-file pin
signs ec.pem ec.crt -passin file:password
succeeds lk key import ec.pem --token web --label ec --pin-file pin --password-file password
succeeds out ec again.pem --password-file password
signs again.pem ec.crt -passin file:password

# --- below a primary key that is made at each use ----------------------------------------------------------
tpm2_openssl genpkey -algorithm EC -pkeyopt group:P-256 -out theirs.pem 2>/dev/null
succeeds lk key import theirs.pem --token web --label theirs --pin-file pin
certify theirs
succeeds out theirs back.pem --password-file password
complains 'counts as a wrong PIN'
signs back.pem theirs.crt -passin file:password
tpm2 createprimary -Q -C o -G rsa2048 -c primary.ctx
tpm2 create -Q -C primary.ctx -G ecc256 -u tools.pub -r tools.priv
tpm2 encodeobject -Q -C primary.ctx -u tools.pub -r tools.priv -o tools.pem
tpm2 flushcontext -t
succeeds lk key import tools.pem --token web --label tools --pin-file pin --password-file /dev/null
exits 1 out tools nothing.pem --password-file password
complains 'a primary key that other programs do not make'

# --- secret keys: tpm2-tools take them ----------------------------------------------------------------------
succeeds lk key generate --token web --label aes --type aes --bits 128 --pin-file pin
succeeds out aes aes.pem --password-file password
holds tpm2 load -Q -r aes.pem -c aes.ctx 2>load.log
head -c 16 /dev/zero >iv
holds tpm2 encryptdecrypt -Q -c aes.ctx -p "$(cat password)" -G cbc -t iv -e -o aes.out text 2>tools.log
tpm2 flushcontext -t
cat iv aes.out >with-iv
succeeds lk decrypt aes with-iv --token web --mechanism aes-cbc-pad --pin-file pin -o decrypted
holds cmp decrypted text
# an HMAC key is bound to no hash there: of which it is says who takes it in again
succeeds lk key generate --token web --label mac --type hmac-sha512 --bits 256 --pin-file pin
succeeds lk sign mac text --token web --pin-file pin -o mac.sig
succeeds out mac mac.pem --password-file password
succeeds lk key import mac.pem --token second --label mac --pin-file pin --password-file password --json
json 'd["type"] == "generic 256"'
holds tpm2 load -Q -r mac.pem -c mac.ctx 2>load.log
tpm2 evictcontrol -Q -C o -c mac.ctx 0x81000021 -o /dev/null
tpm2 flushcontext -t
succeeds lk key import --handle 0x81000021 --type hmac-sha512 --token second --label handle --pin-file pin \
    --password-file password --json
json 'd["type"] == "SHA512_HMAC 256"'
for name in mac handle; do
    succeeds lk sign $name text --token second --mechanism hmac-sha512 --pin-file pin -o second.sig
    holds cmp second.sig mac.sig
done
exits 2 lk sign handle text --token second --mechanism hmac-sha256 --pin-file pin -o second.sig

# --- refused ---------------------------------------------------------------------------------------------
succeeds lk key generate --token web --label ed --type ed25519 --pin-file pin
exits 1 out ed nothing.pem --password-file password
complains 'is not in the TPM'
succeeds lk key generate --token web --label leaves --extractable --pin-file pin
exits 1 out leaves nothing.pem --password-file password
complains 'key wrap'
openssl genpkey -algorithm ed25519 -out mine.pem
succeeds lk key import mine.pem --token web --label mine --pin-file pin
exits 1 out mine nothing.pem --password-file password
complains 'is not in the TPM'
succeeds lk key generate --token web --label strict --always-authenticate --pin-file pin
exits 1 out strict nothing.pem --password-file password
complains 'stays: it wants the PIN at each use'
openssl pkey -in mine.pem -pubout -out mine.pub
succeeds lk key import mine.pub --token second --label half --pin-file pin
exits 1 lk key export half --token second --pin-file pin --tss2 --password-file password
complains 'its private half is not here'
exits 4 out ec nothing.pem --password-file password --pin-file wrong
exits 3 out none nothing.pem --password-file password
exits 2 out ec nothing.pem --password-file password --format pem
exits 2 lk key export ec --token web --password-file password
exits 3 out ec nothing.pem --password-file nowhere
exits 1 out ec no-directory/file.pem --password-file password
holds [ ! -e nothing.pem ]
finish
