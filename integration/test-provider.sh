#!/bin/bash
# OpenSSL 3 with pkcs11-provider: keys by their URI in pkeyutl, dgst, req and cms, beside OpenSSL's own algorithms and in
# their place, and at both ends of TLS 1.2 and 1.3, EC and RSA.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need openssl swtpm
[ -e "$(openssl version -m | cut -d'"' -f2)/pkcs11.so" ] || skip 'pkcs11-provider is not installed (Debian has it since 13)'
scratch
cd "$WORK"

make_token demo
make_ca .
make_key demo rsa 01 rsa
latchkey key generate --token demo --type ec --curve P-256 --usage sign,derive --label ec --id 02 \
    --pin-file "$PIN_FILE" >/dev/null
make_key demo client-ec 03 ec
make_key demo client-rsa 04 rsa
for label in rsa ec client-ec client-rsa; do
    make_cert . demo $label
    openssl x509 -in $label.crt -noout -pubkey -out $label.pub
done
openssl ecparam -name prime256v1 -genkey -noout -out peer.key
openssl pkey -in peer.key -pubout -out peer.pub
head -c 3000 /dev/urandom >data
openssl dgst -sha256 -binary -out digest data
logs=("$WORK/server.log" "$WORK/client.log" "$WORK/openssl.err")

# provider_conf FILE [LINE]: LINE is one of the section of algorithms
provider_conf() {
    cat >"$1" <<EOF
openssl_conf = init
[init]
providers = providers
alg_section = algorithms
[algorithms]
${2:-}
[providers]
default = openssl
pkcs11 = pkcs11
[openssl]
activate = 1
[pkcs11]
pkcs11-module-path = $MODULE
activate = 1
[req]
distinguished_name = name
[name]
EOF
}

# with COMMAND ARGUMENT...: openssl with the provider
with() {
    OPENSSL_CONF=$WORK/$conf openssl "$@" 2>openssl.err
}

verify() { # verify LABEL [OPTION...]: sig is a signature of digest
    local label=$1
    shift
    openssl pkeyutl -verify -pubin -inkey "$label.pub" -in digest -sigfile sig \
        -pkeyopt digest:sha256 "$@" >/dev/null
}

signatures() {
    local label
    for label in rsa ec; do
        with pkeyutl -sign -inkey "$(uri demo $label)" -in digest -out sig -pkeyopt digest:sha256
        verify $label
        with dgst -sha256 -sign "$(uri demo $label)" -out sig data
        verify $label
    done
    with pkeyutl -sign -inkey "$(uri demo rsa)" -in digest -out sig -pkeyopt digest:sha256 \
        -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest
    verify rsa -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest
}

# The hashes of OAEP are named: the provider (1.0) sends none where OpenSSL's default is meant.
decryption() {
    local padding option
    for padding in pkcs1 'oaep rsa_oaep_md:sha256 rsa_mgf1_md:sha256'; do
        local options=()
        for option in rsa_padding_mode:$padding; do
            options+=(-pkeyopt "$option")
        done
        openssl pkeyutl -encrypt -pubin -inkey rsa.pub -in digest -out secret "${options[@]}"
        with pkeyutl -decrypt -inkey "$(uri demo rsa)" -in secret -out plain "${options[@]}"
        same "$padding decryption" plain digest
    done
}

derivation() {
    with pkeyutl -derive -inkey "$(uri demo ec)" -peerkey peer.pub -out shared
    openssl pkeyutl -derive -inkey peer.key -peerkey ec.pub -out shared.openssl
    same 'the ECDH secret' shared shared.openssl
}

documents() {
    local label
    for label in rsa ec; do
        with req -new -key "$(uri demo $label)" -subj "/CN=$label" -out req.pem
        openssl req -in req.pem -noout -verify >verified 2>&1
        grep -q OK verified
        with req -x509 -new -key "$(uri demo $label)" -subj "/CN=$label" -days 1 -out self.pem
        openssl verify -CAfile self.pem self.pem >/dev/null
        with cms -sign -inkey "$(uri demo $label)" -signer $label.crt -in data -binary -out signed.pem
        openssl cms -verify -in signed.pem -binary -CAfile ca.crt -out data.back 2>/dev/null
        same 'the signed document' data data.back
    done
}

# tls KIND VERSION: the server's key and the client's are in the token, and each end says whom it sees
tls() {
    local kind=$1 version=$2 port server
    port=$(free_port)
    # -www answers with the connection's state, which names the client's certificate
    OPENSSL_CONF=$WORK/$conf spawn openssl s_server -accept "127.0.0.1:$port" -cert "$kind.crt" \
        -key "$(uri demo "$kind")" -CAfile ca.crt -Verify 1 -verify_return_error -www -no_ticket >server.log 2>&1
    server=$!
    wait_for s_server port_open "$port"
    (printf 'GET / HTTP/1.0\r\n\r\n' && sleep 1) |
        OPENSSL_CONF=$WORK/$conf timeout 60 openssl s_client -connect "127.0.0.1:$port" "-tls${version/./_}" \
            -CAfile ca.crt -verify_return_error -cert "client-$kind.crt" -key "$(uri demo "client-$kind")" \
            -ign_eof >client.log 2>&1
    stop "$server"
    grep -q "^subject=CN *= *$kind\$" client.log
    grep -q "Protocol  *: TLSv$version" client.log
    grep -q "Subject: CN *= *client-$kind" client.log
}

provider_conf beside.cnf
provider_conf instead.cnf 'default_properties = ?provider=pkcs11'
for conf in instead.cnf beside.cnf; do
    title='pkcs11-provider'
    [ $conf = beside.cnf ] || title='pkcs11-provider preferred for every algorithm'
    signatures
    ok "$title: pkeyutl and dgst, RSA PKCS#1 and PSS, ECDSA"
    decryption
    ok "$title: pkeyutl decrypts PKCS#1 and OAEP"
    derivation
    ok "$title: pkeyutl derives the ECDH secret"
    documents
    ok "$title: req and cms sign"
done
# Not in place of OpenSSL's digests: the provider (1.0) uses a session again in which it left one unfinished.
for kind in ec rsa; do
    for version in 1.2 1.3; do
        tls $kind $version
        ok "$title: TLS $version, $kind keys of s_server and s_client"
    done
done
with storeutl -noout "pkcs11:token=demo;type=public" >objects
[ "$(grep -cE '^[0-9]+: (Public key|Pkey)' objects)" = 4 ]
ok 'storeutl sees the four public keys'
printf 00000000 >wrong-pin
refused 'a wrong PIN' with pkeyutl -sign -inkey "pkcs11:token=demo;object=ec;type=private?pin-source=file:$WORK/wrong-pin" \
    -in digest -out sig
ok 'a wrong PIN is refused'
