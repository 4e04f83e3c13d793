#!/bin/bash
# OpenSC's pkcs11-tool, verb by verb as far as version 0.23 goes; what the token computes is compared
# with OpenSSL. integration/test-pkcs11-tool.sh is the everyday path; this is the rest.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need pkcs11-tool openssl swtpm
world tool

p11() {
    pkcs11-tool --module "$MODULE" "$@"
}

user() {
    p11 --token-label tool --login --pin "$PIN" "$@"
}

public() {
    p11 --token-label tool "$@"
}

# quiet COMMAND...: its output must have none of pkcs11-tool's complaints; some leave its status 0. That it
# asked for a sensitive key's value is none.
quiet() {
    "$@" >out 2>&1 || { cat out && return 1; }
    cat out
    ! grep -iE '\berrors?\b|failed|ERR:' <(grep -vE 'No errors|CKR_ATTRIBUTE_SENSITIVE' out)
}

same_file() {
    cmp "$1" "$2"
}

head -c 3000 /dev/urandom >data
head -c 48 /dev/urandom >block # whole AES blocks
head -c 24 /dev/urandom >short
for hash in sha1 sha224 sha256 sha384 sha512; do
    openssl dgst "-$hash" -binary -out "$hash.digest" data
done

# --- what it says of itself ----------------------------------------------------------------------

attempt show-info quiet p11 --show-info
attempt list-slots quiet p11 --list-slots
attempt list-token-slots quiet p11 --list-token-slots
attempt list-mechanisms quiet public --list-mechanisms
attempt list-interfaces quiet p11 --list-interfaces
attempt list-objects quiet public --list-objects
attempt list-objects-so quiet public --session-rw --list-objects --login --login-type so --so-pin "$SO_PIN"
attempt test quiet public --test
attempt test-login quiet user --test
attempt test-ec quiet user --session-rw --test-ec --key-type EC:prime256v1 --label ec-test --id ec
attempt test-fork quiet public --test-fork
attempt test-locking quiet public --use-locking --test
# What each thread does, two letters a call: initialize, info, slot list, token info of the first slot.
threads() {
    quiet p11 --test-threads ILGISLT0SLT0 --test-threads ILGISLT0SLT0 --test-threads ILSLT0GISL
    ! grep 'returned CKR_' out | grep -vE 'CKR_OK|CKR_CRYPTOKI_ALREADY_INITIALIZED'
}
attempt test-threads threads

random() {
    public --generate-random 64 --output-file random
    [ "$(stat -c %s random)" = 64 ]
}
attempt generate-random random

hash() { # NAME-OF-THE-MECHANISM NAME-OF-OPENSSL
    public --hash -m "$1" --input-file data --output-file hashed
    openssl dgst "-$2" -binary data | same_file - hashed
}
for name in SHA-1:sha1 SHA224:sha224 SHA256:sha256 SHA384:sha384 SHA512:sha512 \
    SHA3-224:sha3-224 SHA3-256:sha3-256 SHA3-384:sha3-384 SHA3-512:sha3-512; do
    attempt "hash-${name%:*}" hash "${name%:*}" "${name#*:}"
done

# --- keys made by the token ----------------------------------------------------------------------

pair() { # TYPE ID LABEL [OPTION...]
    user --keypairgen --key-type "$1" --id "$2" --label "$3" "${@:4}"
}
attempt keypairgen-rsa1024 pair rsa:1024 0a rsa1024 --usage-sign
attempt keypairgen-rsa2048 pair rsa:2048 01 rsa2048 --usage-sign --usage-decrypt
attempt keypairgen-rsa3072 pair rsa:3072 0b rsa3072 --usage-sign
attempt keypairgen-rsa-wrap pair rsa:2048 0c wrapper --usage-wrap --usage-decrypt
attempt keypairgen-rsa-extractable pair rsa:2048 0d free --usage-sign --extractable
attempt keypairgen-rsa-always-auth pair rsa:2048 0e careful --usage-sign --always-auth
attempt keypairgen-p256 pair EC:prime256v1 02 p256 --usage-sign --usage-derive
attempt keypairgen-p384 pair EC:secp384r1 03 p384 --usage-sign --usage-derive
attempt keypairgen-p521 pair EC:secp521r1 04 p521 --usage-sign --usage-derive
attempt keypairgen-p224 pair EC:secp224r1 10 p224 --usage-sign
attempt keypairgen-secp256k1 pair EC:secp256k1 11 k1 --usage-sign
attempt keypairgen-brainpool pair EC:brainpoolP256r1 12 brainpool --usage-sign
attempt keypairgen-ed25519 pair EC:edwards25519 05 ed25519 --usage-sign
attempt keypairgen-x25519 pair EC:curve25519 06 x25519 --usage-derive

generate() { # TYPE ID LABEL [OPTION...]
    user --keygen --key-type "$1" --id "$2" --label "$3" "${@:4}"
}
attempt keygen-aes128 generate AES:16 20 aes128 --extractable
attempt keygen-aes192 generate AES:24 21 aes192 --extractable
attempt keygen-aes256 generate AES:32 22 aes256 --extractable
attempt keygen-aes-sensitive generate AES:32 23 aes-kept --sensitive
attempt keygen-generic generate GENERIC:32 24 generic --extractable --usage-sign
attempt keygen-generic64 generate GENERIC:64 25 generic64 --extractable

# --- objects that are written, read, renamed, deleted --------------------------------------------

openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key 2>/dev/null
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.key
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out ec384.key
for key in rsa ec ec384; do
    openssl pkey -in $key.key -outform DER -out $key.der
    openssl pkey -in $key.key -pubout -outform DER -out $key.pub.der
    openssl pkey -in $key.key -pubout -out $key.pub
done
head -c 32 /dev/urandom >secret32
head -c 16 /dev/urandom >secret16
openssl req -x509 -key rsa.key -subj '/CN=conformance' -outform DER -out cert.der 2>/dev/null

write() { # FILE TYPE ID LABEL [OPTION...]
    user --write-object "$1" --type "$2" --id "$3" --label "$4" "${@:5}"
}
attempt write-privkey-rsa write rsa.der privkey 30 in-rsa --usage-sign --usage-decrypt
attempt write-privkey-rsa-extractable write rsa.der privkey 3a in-rsa-free --extractable --usage-sign
attempt write-privkey-ec write ec.der privkey 31 in-ec --usage-sign --usage-derive
attempt write-privkey-ec384 write ec384.der privkey 32 in-ec384 --usage-sign
attempt write-pubkey-rsa write rsa.pub.der pubkey 30 in-rsa
attempt write-pubkey-ec write ec.pub.der pubkey 31 in-ec
attempt write-pubkey-ec384 write ec384.pub.der pubkey 32 in-ec384
attempt write-secrkey-aes write secret32 secrkey 34 in-aes --key-type AES:32 --extractable --usage-decrypt
attempt write-secrkey-aes-sensitive write secret32 secrkey 35 in-aes-kept --key-type AES:32 --sensitive
attempt write-secrkey-aes-wrap write secret16 secrkey 36 in-aes-wrap --key-type AES:16 --usage-wrap
attempt write-cert write cert.der cert 30 in-cert
attempt write-data user --write-object short --type data --label in-data --application-label conformance \
    --application-id 1.2.3.4
attempt write-data-private user --write-object short --type data --label in-data-private --private

read_back() { # EXPECTED LOGIN TYPE SELECTION...
    "$2" --read-object --type "$3" "${@:4}" --output-file back
    same_file "$1" back
}
attempt read-pubkey-rsa read_back rsa.pub.der public pubkey --id 30
attempt read-pubkey-ec read_back ec.pub.der public pubkey --id 31
attempt read-secrkey-aes read_back secret32 user secrkey --id 34
attempt read-cert read_back cert.der public cert --id 30
attempt read-data read_back short public data --label in-data --application-label conformance
attempt read-data-id read_back short public data --application-id 1.2.3.4
attempt read-data-private read_back short user data --label in-data-private

hidden() { # ID: CKA_VALUE of a sensitive key stays inside
    refused 'the value of a sensitive key' user --read-object --type secrkey --id "$1" --output-file back
}
attempt read-sensitive-written hidden 35
attempt read-sensitive-generated hidden 23
read_generic() {
    user --read-object --type secrkey --id 24 --output-file generic
    [ "$(stat -c %s generic)" = 32 ]
}
attempt read-secrkey-generic read_generic

rename() { # TYPE OLD NEW
    user --type "$1" --id "$2" --set-id "$3"
    user --list-objects --type "$1" --id "$3" >out
    grep -q "ID: *$3" out
}
attempt set-id-cert rename cert 30 40
attempt set-id-pubkey rename pubkey 0a 41
attempt set-id-privkey rename privkey 0a 41
attempt set-id-secrkey rename secrkey 21 42

list_all() {
    quiet user --list-objects
    [ "$(grep -c 'Object' out)" -gt 20 ]
}
attempt list-objects-login list_all
attempt list-objects-type quiet user --list-objects --type privkey
# --- signatures ----------------------------------------------------------------------------------

sign() { # ID MECHANISM INPUT [OPTION...]
    user --sign --id "$1" -m "$2" --input-file "$3" --output-file sig "${@:4}"
}

verify() { # ID MECHANISM INPUT [OPTION...]: the token's own opinion, and of a spoilt signature
    user --verify --id "$1" -m "$2" --input-file "$3" --signature-file sig "${@:4}" | grep 'Signature is valid' >/dev/null
    printf '%b' "\\x$(printf %02x $((0x$(od -An -tx1 -j 9 -N 1 sig | tr -d ' ') ^ 1)))" |
        dd of=sig bs=1 seek=9 conv=notrunc status=none
    ! user --verify --id "$1" -m "$2" --input-file "$3" --signature-file sig "${@:4}" 2>&1 |
        grep 'Signature is valid' >/dev/null
}

# The public keys, for OpenSSL. OpenSC 0.23 reads an EC point from memory it has freed, so that of a
# generated key is taken out of the listing.
ec_pub() { # ID LENGTH PREFIX OUT
    local point
    point=$(public --list-objects --type pubkey | awk -v id="$1" '
        $1 == "EC_POINT:" { point = $2 }
        $1 == "ID:" && $2 == id { print point }')
    perl -e 'print pack "H*", shift' "$3${point#"04$2"}" | openssl pkey -pubin -inform DER -out "$4"
}
public_keys() {
    public --read-object --type pubkey --id 01 --output-file 01.der
    openssl pkey -pubin -inform DER -in 01.der -out 01.pub
    ec_pub 02 41 3059301306072a8648ce3d020106082a8648ce3d030107034200 02.pub
    ec_pub 03 61 3076301006072a8648ce3d020106052b81040022036200 03.pub
    ec_pub 04 8185 30819b301006072a8648ce3d020106052b8104002303818600 04.pub
}
attempt public-keys public_keys
attempt public-key-ed25519 ec_pub 05 20 302a300506032b6570032100 05.pub
cp rsa.pub 30.pub && cp ec.pub 31.pub && cp ec384.pub 32.pub

hash_name() { # as pkcs11-tool spells it
    [ "$1" = sha1 ] && echo SHA-1 || echo "${1^^}"
}

sign_rsa() { # ID MECHANISM HASH [OPENSSL-OPTION...]
    sign "$1" "$2" data
    openssl dgst "-$3" -verify "$1.pub" "${@:4}" -signature sig data
    verify "$1" "$2" data
}
sign_rsa_digest() { # ID MECHANISM HASH PKEYUTL-OPTION... -- TOOL-OPTION...
    local id=$1 mechanism=$2 hash=$3 pkeyutl=()
    shift 3
    while [ "$1" != -- ]; do pkeyutl+=("$1") && shift; done
    sign "$id" "$mechanism" "$hash.digest" "${@:2}"
    openssl pkeyutl -verify -pubin -inkey "$id.pub" -sigfile sig -in "$hash.digest" "${pkeyutl[@]}"
    verify "$id" "$mechanism" "$hash.digest" "${@:2}"
}
sign_ec() { # ID MECHANISM HASH
    sign "$1" "$2" data --signature-format openssl
    openssl dgst "-$3" -verify "$1.pub" -signature sig data
    sign "$1" "$2" data
    verify "$1" "$2" data
}
sign_ec_digest() { # ID HASH
    sign "$1" ECDSA "$2.digest" --signature-format openssl
    openssl pkeyutl -verify -pubin -inkey "$1.pub" -sigfile sig -in "$2.digest"
    sign "$1" ECDSA "$2.digest"
    verify "$1" ECDSA "$2.digest"
}
sign_ed() { # ID
    sign "$1" EDDSA short
    openssl pkeyutl -verify -pubin -inkey "$1.pub" -rawin -sigfile sig -in short
    verify "$1" EDDSA short
}

for id in 01 30; do
    for hash in sha1 sha224 sha256 sha384 sha512; do
        attempt "sign-$id-${hash^^}-RSA-PKCS" sign_rsa $id "${hash^^}-RSA-PKCS" $hash
        attempt "sign-$id-${hash^^}-RSA-PKCS-PSS" sign_rsa $id "${hash^^}-RSA-PKCS-PSS" $hash \
            -sigopt rsa_padding_mode:pss
        attempt "sign-$id-RSA-PKCS-PSS-$hash" sign_rsa_digest $id RSA-PKCS-PSS $hash \
            -pkeyopt rsa_padding_mode:pss -pkeyopt digest:$hash -- --hash-algorithm "$(hash_name $hash)"
    done
    attempt "sign-$id-RSA-PKCS" sign_rsa_digest $id RSA-PKCS sha256 -pkeyopt rsa_padding_mode:pkcs1 --
done
attempt sign-always-auth sign 0e SHA256-RSA-PKCS data
for id in 02 03 04 31 32; do
    attempt "sign-$id-ECDSA" sign_ec_digest $id sha256
    for hash in sha1 sha224 sha256 sha384 sha512; do
        attempt "sign-$id-ECDSA-${hash^^}" sign_ec $id "ECDSA-${hash^^}" $hash
    done
done
# One-shot data alone: the program gives longer data in parts, which EdDSA does not have.
attempt sign-05-EDDSA sign_ed 05

mac() { # ID MECHANISM OPENSSL-MAC...
    sign "$1" "$2" data
    openssl mac -binary -in data "${@:3}" | same_file - sig
    verify "$1" "$2" data
}
hex() {
    od -An -v -tx1 "$1" | tr -d ' \n'
}
for hash in sha1 sha224 sha256 sha384 sha512; do
    attempt "sign-24-${hash^^}-HMAC" mac 24 "$(hash_name $hash)-HMAC" -digest $hash \
        -macopt "hexkey:$(hex generic)" HMAC
done

# --- encryption ----------------------------------------------------------------------------------

decrypt() { # ID MECHANISM INPUT [OPTION...]
    user --decrypt --id "$1" -m "$2" --input-file "$3" --output-file plain "${@:4}"
}
decrypt_rsa() { # ID MECHANISM PKEYUTL-OPTION... -- TOOL-OPTION...
    local id=$1 mechanism=$2 pkeyutl=()
    shift 2
    while [ "$1" != -- ]; do pkeyutl+=("$1") && shift; done
    openssl pkeyutl -encrypt -pubin -inkey "$id.pub" -in short -out sealed "${pkeyutl[@]}"
    decrypt "$id" "$mechanism" sealed "${@:2}"
    same_file short plain
}
for id in 01 30; do
    attempt "decrypt-$id-RSA-PKCS" decrypt_rsa $id RSA-PKCS -pkeyopt rsa_padding_mode:pkcs1 --
    for hash in sha1 sha224 sha256 sha384 sha512; do
        attempt "decrypt-$id-OAEP-$hash" decrypt_rsa $id RSA-PKCS-OAEP -pkeyopt rsa_padding_mode:oaep \
            -pkeyopt rsa_oaep_md:$hash -pkeyopt rsa_mgf1_md:$hash -- \
            --hash-algorithm "$(hash_name $hash)" --mgf "MGF1-${hash^^}"
    done
done

IV=000102030405060708090a0b0c0d0e0f
cipher() { # ID MECHANISM INPUT OPENSSL-CIPHER [OPTION...]: both ways, against OpenSSL with secret32
    local iv=()
    [ $# -lt 5 ] || iv=(-iv "$IV")
    # shellcheck disable=SC2086 # a word or none
    openssl enc "$4" -nosalt -K "$(hex secret32)" "${iv[@]}" ${PADDING--nopad} -in "$3" -out expected
    user --encrypt --id "$1" -m "$2" --input-file "$3" --output-file sealed "${@:5}"
    same_file expected sealed
    decrypt "$1" "$2" expected "${@:5}"
    same_file "$3" plain
}
attempt cipher-34-AES-ECB cipher 34 AES-ECB block -aes-256-ecb
attempt cipher-34-AES-CBC cipher 34 AES-CBC block -aes-256-cbc --iv "$IV"
PADDING='' attempt cipher-34-AES-CBC-PAD cipher 34 AES-CBC-PAD data -aes-256-cbc --iv "$IV"
around() { # ID MECHANISM INPUT [OPTION...]: a key that never was outside
    user --encrypt --id "$1" -m "$2" --input-file "$3" --output-file sealed "${@:4}"
    refused 'encryption that changes nothing' cmp -s "$3" sealed
    decrypt "$1" "$2" sealed "${@:4}"
    same_file "$3" plain
}
for key in 20:aes128 22:aes256 23:aes-kept; do
    attempt "cipher-${key#*:}-AES-ECB" around "${key%:*}" AES-ECB block
    attempt "cipher-${key#*:}-AES-CBC-PAD" around "${key%:*}" AES-CBC-PAD data --iv "$IV"
done

# --- derivation, wrapping ------------------------------------------------------------------------

derive() { # ID MECHANISM CURVE [OPTION...]
    openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$3" -out peer.key
    openssl pkey -in peer.key -pubout -outform DER -out peer.der
    user --derive --id "$1" -m "$2" --input-file peer.der --output-file shared "${@:4}"
    openssl pkeyutl -derive -inkey peer.key -peerkey "$1.pub" -out shared.openssl
    same_file shared shared.openssl
}
attempt derive-02 derive 02 ECDH1-DERIVE P-256
attempt derive-03 derive 03 ECDH1-DERIVE P-384
attempt derive-04 derive 04 ECDH1-DERIVE P-521
attempt derive-31 derive 31 ECDH1-DERIVE P-256
attempt derive-02-cofactor derive 02 ECDH1-COFACTOR-DERIVE P-256
attempt derive-02-der derive 02 ECDH1-DERIVE P-256 --derive-pass-der

wrap() { # WRAPPING-ID KEY-ID MECHANISM [OPTION...]
    user --wrap --id "$1" --application-id "$2" -m "$3" --output-file wrapped "${@:4}"
}
unwrap() { # UNWRAPPING-ID MECHANISM TYPE FILE ID [OPTION...]
    user --unwrap --id "$1" -m "$2" --key-type "$3" --input-file "$4" --application-id "$5" \
        --application-label "un-$5" --extractable "${@:6}"
}
# RSA: OpenSSL wraps, the token unwraps; then the token wraps and unwraps what it has.
unwrap_rsa() { # MECHANISM ID PKEYUTL-OPTION... -- TOOL-OPTION...
    local mechanism=$1 id=$2 pkeyutl=()
    shift 2
    while [ "$1" != -- ]; do pkeyutl+=("$1") && shift; done
    public --read-object --type pubkey --id 0c --output-file 0c.der
    openssl pkeyutl -encrypt -pubin -keyform DER -inkey 0c.der -in secret32 -out wrapped "${pkeyutl[@]}"
    unwrap 0c "$mechanism" AES: wrapped "$id" "${@:2}"
    read_back secret32 user secrkey --id "$id"
}
attempt unwrap-RSA-PKCS unwrap_rsa RSA-PKCS 50 -pkeyopt rsa_padding_mode:pkcs1 --
wrap_rsa() { # MECHANISM ID [OPTION...]
    wrap 0c 34 "$1" "${@:3}"
    unwrap 0c "$1" AES: wrapped "$2" "${@:3}"
    read_back secret32 user secrkey --id "$2"
}
attempt wrap-RSA-PKCS wrap_rsa RSA-PKCS 52
# Not RSA-PKCS-OAEP: 0.23 gives it no parameter here.

wrap_aes() { # MECHANISM ID OPENSSL-CIPHER [OPTION...]: the key 36, secret16, wraps the key 34, secret32
    local iv=()
    [ "$#" -lt 4 ] || iv=(-iv "$IV")
    case $3 in *wrap*) iv=(-iv A6A6A6A6A6A6A6A6) ;; esac
    wrap 36 34 "$1" "${@:4}"
    # shellcheck disable=SC2086
    openssl enc "$3" -K "$(hex secret16)" "${iv[@]}" ${PADDING--nopad} -in secret32 -out expected
    same_file expected wrapped
    unwrap 36 "$1" AES: wrapped "$2" "${@:4}"
    read_back secret32 user secrkey --id "$2"
}
attempt wrap-AES-KEY-WRAP wrap_aes AES-KEY-WRAP 54 -id-aes128-wrap
attempt wrap-AES-CBC wrap_aes AES-CBC 55 -aes-128-cbc --iv "$IV"
PADDING='' attempt wrap-AES-CBC-PAD wrap_aes AES-CBC-PAD 56 -aes-128-cbc --iv "$IV"

# --- attributes, deletion ------------------------------------------------------------------------

attempt moz-cert quiet user --session-rw --moz-cert cert.der --key-type RSA:2048 --id 61 --label moz
attempt allowed-mechanisms pair rsa:2048 60 narrow --usage-sign --allowed-mechanisms RSA-PKCS-PSS,SHA256-RSA-PKCS-PSS
narrow() {
    sign 60 SHA256-RSA-PKCS-PSS data
    refused 'a mechanism that the key does not allow' sign 60 SHA256-RSA-PKCS data
}
attempt allowed-mechanisms-held narrow
attempt undestroyable write cert.der cert 62 stays --undestroyable
stays() {
    refused 'the deletion of an object that may not be destroyed' user --delete-object --type cert --id 62
}
attempt undestroyable-stays stays

delete() { # TYPE ID
    user --delete-object --type "$1" --id "$2"
    refused 'a look at a deleted object' user --read-object --type "$1" --id "$2" --output-file back
}
attempt delete-privkey delete privkey 0b
attempt delete-pubkey delete pubkey 0b
attempt delete-cert delete cert 40
attempt delete-secrkey delete secrkey 24
attempt delete-data user --delete-object --type data --label in-data

attempt change-pin user --change-pin --new-pin 11112222
PIN=11112222
attempt change-pin-used user --list-objects
attempt init-pin public --init-pin --login --login-type so --so-pin "$SO_PIN" --new-pin 33334444
PIN=33334444
attempt init-pin-used user --list-objects
verdict
