#!/bin/bash
# The openssl command with libp11's pkcs11 engine: as -engine, in the key's URI, and as the default
# engine of the process, which sends the module's own OpenSSL calls back to it if it is not careful.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need openssl swtpm
openssl engine pkcs11 >/dev/null 2>&1 || skip 'OpenSSL has no pkcs11 engine'
! port_open 8510 || skip 'port 8510, which the page uses, is taken'
if [ -z "${LATCHKEY_PRELOAD:-}" ]; then # which a page's programs do not get
    follow docs/openssl.md
    grep -q 'Subject: CN *= *me$' "$PAGE_WORLD/out"
fi
scratch
cd "$WORK"

make_token demo
make_ca .
make_key demo rsa 01 rsa
latchkey key generate --token demo --type ec --curve P-256 --usage sign,derive --label ec --id 02 \
    --pin-file "$PIN_FILE" >/dev/null
for label in rsa ec; do
    make_cert . demo $label
    openssl x509 -in $label.crt -noout -pubkey -out $label.pub
done
engine_conf engine.cnf
sed '/^init = 1/a default_algorithms = ALL' engine.cnf >default.cnf
openssl ecparam -name prime256v1 -genkey -noout -out peer.key
openssl pkey -in peer.key -pubout -out peer.pub
head -c 3000 /dev/urandom >data
openssl dgst -sha256 -binary -out digest data
engine=()

# with LABEL COMMAND KEY-OPTION...: openssl with the engine; KEY-OPTION is -inkey, -sign or the like.
with() {
    local label=$1 command=$2 option=$3 key
    shift 3
    key=$(uri demo "$label")
    [ ${#engine[@]} != 0 ] || key=org.openssl.engine:pkcs11:$key
    OPENSSL_CONF=$WORK/$conf openssl "$command" "${engine[@]}" "$option" "$key" "$@" 2>openssl.err || {
        cat openssl.err >&2
        return 1
    }
}

verify() { # verify LABEL [OPTION...]: sig is a signature of digest
    local label=$1
    shift
    openssl pkeyutl -verify -pubin -inkey "$label.pub" -in digest -sigfile sig \
        -pkeyopt digest:sha256 "$@" >/dev/null
}

signatures() {
    local label padding
    for label in rsa ec; do
        with $label pkeyutl -inkey -sign -in digest -out sig -pkeyopt digest:sha256
        verify $label
        with $label dgst -sign -sha256 -out sig data
        verify $label
    done
    for padding in digest max; do
        with rsa pkeyutl -inkey -sign -in digest -out sig -pkeyopt digest:sha256 \
            -pkeyopt rsa_padding_mode:pss -pkeyopt "rsa_pss_saltlen:$padding"
        verify rsa -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:auto
    done
}

decryption() {
    local padding
    for padding in pkcs1 oaep; do
        openssl pkeyutl -encrypt -pubin -inkey rsa.pub -in digest -out secret \
            -pkeyopt "rsa_padding_mode:$padding"
        with rsa pkeyutl -inkey -decrypt -in secret -out plain -pkeyopt "rsa_padding_mode:$padding"
        same "$padding decryption" plain digest
    done
}

derivation() {
    with ec pkeyutl -inkey -derive -peerkey peer.pub -out shared
    openssl pkeyutl -derive -inkey peer.key -peerkey ec.pub -out shared.openssl
    same 'the ECDH secret' shared shared.openssl
}

documents() {
    local label
    for label in rsa ec; do
        with $label req -key -new -subj "/CN=$label" -out req.pem
        openssl req -in req.pem -noout -verify 2>/dev/null
        with $label req -key -new -x509 -subj "/CN=$label" -days 1 -out self.pem
        openssl verify -CAfile self.pem self.pem >/dev/null
        with $label cms -inkey -sign -signer $label.crt -in data -binary -out signed.pem
        openssl cms -verify -in signed.pem -binary -CAfile ca.crt -out data.back 2>/dev/null
        same 'the signed document' data data.back
    done
    openssl cms -encrypt -in data -binary -aes256 -out sealed.pem rsa.crt
    with rsa cms -inkey -decrypt -in sealed.pem -recip rsa.crt -out data.back
    same 'the encrypted document' data data.back
}

# both ends with a key of the token; the server tells whose certificate it saw
tls() {
    local label version port args server
    for label in rsa ec; do
        port=$(free_port)
        args=(-accept "127.0.0.1:$port" -cert "$label.crt" -CAfile ca.crt -Verify 1 -verify_return_error -www)
        OPENSSL_CONF=$WORK/$conf spawn openssl s_server "${args[@]}" \
            -key "org.openssl.engine:pkcs11:$(uri demo $label)" >s_server.log 2>&1
        server=$!
        wait_for 's_server' port_open "$port"
        for version in 1_2 1_3; do
            printf 'GET / HTTP/1.0\r\n\r\n' | with $label s_client -key "-tls$version" -quiet \
                -connect "127.0.0.1:$port" -cert $label.crt -CAfile ca.crt -verify_return_error >page
            grep -q "Protocol  : TLSv${version/_/.}" page
            grep -q "Subject: CN *= *$label" page
        done
        stop "$server"
    done
}

for conf in engine.cnf default.cnf; do
    for way in engine uri; do
        engine=()
        [ $way = uri ] || engine=(-engine pkcs11 -keyform engine)
        title="key as $way"
        [ $conf = engine.cnf ] || title="$title, engine is the process's default"
        signatures
        ok "$title: pkeyutl and dgst, RSA PKCS#1 and PSS, ECDSA"
        decryption
        ok "$title: pkeyutl decrypts PKCS#1 and OAEP"
        derivation
        ok "$title: pkeyutl derives the ECDH secret"
        documents
        ok "$title: req, cms sign and decrypt"
        tls
        ok "$title: s_server and s_client, TLS 1.2 and 1.3"
    done
done

printf 00000000 >wrong-pin
! OPENSSL_CONF=$WORK/engine.cnf openssl dgst -sha256 -out sig -engine pkcs11 -keyform engine \
    -sign "pkcs11:token=demo;object=ec;type=private?pin-source=file:$WORK/wrong-pin" data 2>openssl.err ||
    die 'a wrong PIN was not refused'
grep -q 'PIN incorrect' openssl.err
ok 'a wrong PIN is refused'
