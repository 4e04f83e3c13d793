#!/bin/bash
# curl with a client key in the token, and with the certificate there too, against a server that
# demands it: TLS 1.2 and 1.3, EC and RSA.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need curl openssl swtpm
curl -V | grep -q OpenSSL || skip 'curl is not built with OpenSSL'
! port_open 8515 || skip 'port 8515, which the page uses, is taken'
follow docs/curl.md
[ "$(grep -c '^ *Subject: CN *= *me$' "$PAGE_WORLD/out")" = 2 ]
scratch
cd "$WORK"

demo_keys client-ec client-rsa
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
    -addext 'subjectAltName = IP:127.0.0.1' -keyout server.key -out server.crt 2>/dev/null
PORT=$(free_port)
logs=("$WORK/server.log" "$WORK/curl.err")
# -www answers with the connection's state, which names the client's certificate.
spawn openssl s_server -accept "127.0.0.1:$PORT" -cert server.crt -key server.key -CAfile ca.crt \
    -Verify 1 -verify_return_error -www -no_ticket >server.log 2>&1
wait_for 's_server' port_open "$PORT"

get() {
    PKCS11_MODULE_PATH=$MODULE curl -sS -m 60 --fail --cacert server.crt "https://127.0.0.1:$PORT/" "$@" \
        2>curl.err
}

refused 'a client without a certificate' get
for label in client-ec client-rsa; do
    for version in 1.2 1.3; do
        for certificate in "$label.crt" "$(uri demo $label cert)"; do
            get "--tlsv$version" --tls-max $version --cert "$certificate" \
                --key "$(uri demo $label)" >page
            grep -q "Protocol  : TLSv$version" page
            grep -q "Subject: CN *= *$label" page
        done
        ok "TLS $version, $label: certificate from a file and from the token"
    done
done
printf 00000000 >wrong-pin
refused 'a wrong PIN' get --cert client-ec.crt \
    --key "pkcs11:token=demo;object=client-ec;type=private?pin-source=file:$WORK/wrong-pin"
ok 'a wrong PIN is refused'
