#!/bin/bash
# OpenSC's pkcs11-tool: makes a token by itself, and everything it computes is checked with OpenSSL.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need pkcs11-tool openssl swtpm
scratch
cd "$WORK"

p11() {
    pkcs11-tool --module "$MODULE" "$@" 2>p11.err || {
        cat p11.err >&2
        return 1
    }
}

user() {
    p11 --token-label tool --login --pin "$PIN" "$@"
}

p11 --init-token --label tool --so-pin 87654321 >/dev/null
p11 --token-label tool --init-pin --login --login-type so --so-pin 87654321 --new-pin 1111 >/dev/null
PIN=1111
ok 'init-token, init-pin'

p11 --token-label tool --change-pin --login --pin 1111 --new-pin 2222 >/dev/null
refused 'the old PIN' user -O
PIN=2222
user -O >/dev/null
p11 --token-label tool --init-pin --login --login-type so --so-pin 87654321 --new-pin 12345678 >/dev/null
refused 'the forgotten PIN' user -O
PIN=12345678
ok 'change-pin, and a new PIN by the SO'

user --keypairgen --key-type rsa:2048 --label rsa --id 01 --usage-sign --usage-decrypt >/dev/null
user --keypairgen --key-type EC:prime256v1 --label p256 --id 02 --usage-sign --usage-derive >/dev/null
user --keypairgen --key-type EC:secp384r1 --label p384 --id 03 --usage-sign >/dev/null
p11 --token-label tool --read-object --type pubkey --id 01 -o rsa.der
openssl pkey -pubin -inform DER -in rsa.der -out rsa.pub
# OpenSC 0.23 reads EC public keys from memory it has freed, so their DER is made from the point that
# -O prints: SubjectPublicKeyInfo up to the point, then the point out of its OCTET STRING.
ec_public() { # ec_public LENGTH PREFIX: of the key whose point has that length (hexadecimal)
    local point
    point=$(p11 --token-label tool -O --type pubkey | sed -n "s/.*EC_POINT: *04${1}04/04/p")
    perl -e 'print pack "H*", shift' "$2$point" | openssl pkey -pubin -inform DER
}
ec_public 41 3059301306072a8648ce3d020106082a8648ce3d030107034200 >p256.pub
ec_public 61 3076301006072a8648ce3d020106052b81040022036200 >p384.pub
ok 'keypairgen RSA-2048, P-256, P-384; the public keys are readable without login'

head -c 3000 /dev/urandom >data
for hash in sha256 sha384 sha512; do
    openssl dgst "-$hash" -binary -out "$hash.digest" data
done

sign() { # sign ID MECHANISM INPUT [OPTION...]
    local id=$1 mechanism=$2 input=$3
    shift 3
    user --sign --id "$id" -m "$mechanism" --input-file "$input" --output-file sig "$@" >/dev/null
}

for hash in sha256 sha384 sha512; do
    sign 01 "${hash^^}-RSA-PKCS" data
    openssl dgst "-$hash" -verify rsa.pub -signature sig data >/dev/null
    sign 01 "${hash^^}-RSA-PKCS-PSS" data
    openssl dgst "-$hash" -sigopt rsa_padding_mode:pss -verify rsa.pub -signature sig data >/dev/null
    sign 01 RSA-PKCS-PSS "$hash.digest" --hash-algorithm "${hash^^}"
    openssl pkeyutl -verify -pubin -inkey rsa.pub -sigfile sig -in "$hash.digest" \
        -pkeyopt rsa_padding_mode:pss -pkeyopt "digest:$hash" >/dev/null
    for curve in p256:02 p384:03; do
        sign "${curve#*:}" "ECDSA-${hash^^}" data --signature-format openssl
        openssl dgst "-$hash" -verify "${curve%:*}.pub" -signature sig data >/dev/null
        sign "${curve#*:}" ECDSA "$hash.digest" --signature-format openssl
        openssl pkeyutl -verify -pubin -inkey "${curve%:*}.pub" -sigfile sig -in "$hash.digest" \
            >/dev/null
    done
done
ok 'RSA PKCS#1 and PSS, ECDSA with SHA-256, 384, 512: OpenSSL verifies'

openssl pkeyutl -encrypt -pubin -inkey rsa.pub -in sha256.digest -out pkcs1
user --decrypt --id 01 -m RSA-PKCS --input-file pkcs1 --output-file plain >/dev/null
same 'RSA-PKCS decryption' plain sha256.digest
openssl pkeyutl -encrypt -pubin -inkey rsa.pub -in sha256.digest -out oaep \
    -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
user --decrypt --id 01 -m RSA-PKCS-OAEP --hash-algorithm SHA256 --mgf MGF1-SHA256 \
    --input-file oaep --output-file plain >/dev/null
same 'OAEP decryption' plain sha256.digest
ok 'decrypts what OpenSSL encrypted, PKCS#1 and OAEP'

openssl ecparam -name prime256v1 -genkey -noout -out peer.key
openssl pkey -in peer.key -pubout -outform DER -out peer.der
user --derive --id 02 -m ECDH1-DERIVE --input-file peer.der --output-file shared >/dev/null
openssl pkeyutl -derive -inkey peer.key -peerkey p256.pub -out shared.openssl
same 'the ECDH secret' shared shared.openssl
ok 'derives the same ECDH secret as OpenSSL'

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=written \
    -keyout /dev/null -outform DER -out cert.der 2>/dev/null
user --write-object cert.der --type cert --id 02 --label p256 >/dev/null
p11 --token-label tool --read-object --type cert --id 02 -o cert.back
same 'the certificate' cert.der cert.back
user --write-object sha512.digest --type data --label open >/dev/null
user --write-object sha384.digest --type data --label closed --private >/dev/null
p11 --token-label tool --read-object --type data --label open -o open.back
same 'the public data object' sha512.digest open.back
user --read-object --type data --label closed -o closed.back
same 'the private data object' sha384.digest closed.back
p11 --token-label tool -O >before
user -O >after
[ "$(grep -c 'Public Key Object' before)" = 3 ]
grep -q "label: *'\?open" before
refused 'a look at private objects' grep -qE "Private Key Object|label: *'?closed" before
[ "$(grep -c 'Private Key Object' after)" = 3 ]
grep -q "label: *'\?closed" after
ok 'certificate and data objects; private ones are seen after login alone'

user --delete-object --type data --label closed >/dev/null
user -O >after
refused 'a look at a deleted object' grep -q closed after
ok 'delete-object'

user --test >test.out || {
    cat test.out p11.err >&2
    die 'pkcs11-tool --test'
}
refused 'a complaint by --test' grep -iE '\berrors?\b|FAILED' <(grep -v 'No errors' test.out)
ok 'pkcs11-tool --test --login'
