#!/bin/bash
# GnuTLS's server and client, both with their keys and certificates in the token: EC and RSA, TLS 1.2 and 1.3.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need gnutls-serv gnutls-cli p11tool openssl swtpm
! port_open 8565 || skip 'port 8565, which the page uses, is taken'
follow docs/gnutls.md
grep -q '<TD>Protocol version:</TD><TD>TLS1.3</TD>' "$PAGE_WORLD/out"
grep -q 'Subject: CN=client$' "$PAGE_WORLD/out"

scratch
cd "$WORK"
demo_keys {server,client}-{ec,rsa}
demo_stranger
printf 00000000 >wrong-pin
logs=("$WORK/serv.log" "$WORK/cli.log")

serve() { # LABEL: sets PORT and serv_pid
    PORT=$(free_port)
    spawn gnutls-serv --provider "$MODULE" --port "$PORT" --http --x509cafile ca.crt --require-client-cert \
        --verify-client-cert --x509certfile "$(uri demo "$1" cert)" --x509keyfile "$(uri demo "$1")" >serv.log 2>&1
    serv_pid=$!
    wait_for 'gnutls-serv' port_open "$PORT"
}

# get LABEL VERSION [PIN-FILE]: the server's page, which names the client's certificate, in cli.log
get() {
    timeout 60 gnutls-cli --provider "$MODULE" --port "$PORT" --x509cafile ca.crt \
        --priority "NORMAL:-VERS-ALL:+VERS-TLS$2" --x509certfile "$(uri demo "$1" cert)" \
        --x509keyfile "pkcs11:token=demo;object=$1;type=private?pin-source=$WORK/${3:-pin}" localhost \
        <<<$'GET / HTTP/1.0\r\n\r' >cli.log 2>&1
    grep -q "<TD>Protocol version:</TD><TD>TLS$2</TD>" cli.log
}

# signed_by EC|RSA Client|Server: in the newest connection, says the server
signed_by() {
    local algorithm=ECDSA
    [ "$1" = ec ] || algorithm=RSA
    [[ "$(grep "^- $2 Signature: " serv.log | tail -n 1)" = *": $algorithm-"* ]]
}

for kind in ec rsa; do
    serve "server-$kind"
    for version in 1.2 1.3; do
        for client in ec rsa; do
            get "client-$client" $version
            grep -q "Subject: CN=client-$client\$" cli.log
            grep -q "subject .CN=server-$kind'" cli.log
            wait_for 'the server says who signed' signed_by $client Client
            signed_by $kind Server
            ok "TLS $version, server-$kind and client-$client: the server's page names the client"
        done
    done
    stop "$serv_pid"
done

serve server-ec
refused 'a certificate of another CA' get stranger 1.2
refused 'a wrong PIN' get client-ec 1.2 wrong-pin
refused 'a page' grep -q 'HTTP/1.0 200' cli.log
get client-ec 1.2
ok 'a certificate of another CA and a wrong PIN are refused'
stop "$serv_pid"
