#!/bin/bash
# stunnel as server and as client, each with its keys in the token: EC and RSA, TLS 1.2 and 1.3, client certificates demanded, many
# connections at once in the threads of one process, the configuration read anew.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need stunnel curl openssl swtpm python3
openssl engine pkcs11 >/dev/null 2>&1 || skip 'OpenSSL has no pkcs11 engine'
! port_open 8521 || skip 'port 8521, which the page uses, is taken'
follow docs/stunnel.md
[ "$(grep -c '^hello from the other end$' "$PAGE_WORLD/out")" = 2 ]
scratch
cd "$WORK"

make_token demo
make_ca .
for key in server-ec:01:ec server-rsa:02:rsa client-ec:03:ec client-rsa:04:rsa; do
    IFS=: read -r label id kind <<<"$key"
    make_key demo "$label" "$id" "$kind"
    make_cert . demo "$label"
done
logs=("$WORK/server.log" "$WORK/client.log" "$WORK/curl.err" "$WORK/wrong.err")
mkdir files
head -c 100000 /dev/urandom >files/data
PLAIN=$(free_port)
spawn python3 -m http.server --bind 127.0.0.1 --directory files "$PLAIN" >http.log 2>&1
wait_for 'the plain server' port_open "$PLAIN"
declare -A port

global() { # global NAME [LINE...]
    printf '%s\n' 'foreground = yes' "pid = $WORK/$1.pid" "output = $WORK/$1.log" 'debug = info' 'engine = pkcs11' \
        "engineCtrl = MODULE_PATH:$MODULE" "${@:2}"
}

service() { # service NAME LABEL KEY LINE...: sets port[NAME]
    port[$1]=$(free_port)
    printf '%s\n' "[$1]" "accept = 127.0.0.1:${port[$1]}" "cert = $WORK/$2.crt" 'engineId = pkcs11' "key = $3" \
        'verifyChain = yes' "CAfile = $WORK/ca.crt" 'sessionResume = no' "${@:4}"
}

stunnel_start() { # stunnel_start NAME SERVICE: sets stunnel_pid
    spawn stunnel "$WORK/$1.conf" 2>/dev/null # its log has the same
    stunnel_pid=$!
    wait_for "stunnel (see $WORK/$1.log)" port_open "${port[$2]}"
}

get() { # get SERVICE
    curl -sS -m 60 --fail -o "$1.back" "http://127.0.0.1:${port[$1]}/data" 2>curl.err && same "the data by $1" "$1.back" files/data
}

# The server's PIN is in a file that the URI names.
{
    global server
    for kind in ec rsa; do
        service $kind server-$kind "$(uri demo server-$kind)" "connect = 127.0.0.1:$PLAIN" 'requireCert = yes'
    done
} >server.conf
stunnel_start server rsa
server_pid=$stunnel_pid

# The client's is in its configuration.
{
    global client "engineCtrl = PIN:$(cat "$PIN_FILE")"
    for kind in ec rsa; do
        for version in 1.2 1.3; do
            service $kind-$version client-$kind "pkcs11:token=demo;object=client-$kind;type=private" 'client = yes' \
                "connect = 127.0.0.1:${port[$kind]}" 'checkHost = localhost' "sslVersion = TLSv$version"
        done
    done
} >client.conf
stunnel_start client rsa-1.3

for kind in ec rsa; do
    for version in 1.2 1.3; do
        : >server.log
        get $kind-$version
        grep -q "Certificate accepted at depth=0: CN=client-$kind" server.log
        grep -q "TLSv$version ciphersuite" server.log
        ok "TLS $version, $kind: keys of both ends in the token, the server has seen CN=client-$kind"
    done
done
refused 'a client without a certificate' openssl s_client -connect "127.0.0.1:${port[ec]}" -CAfile ca.crt \
    -verify_return_error -tls1_2 </dev/null

many() {
    local kind version clients=()
    for _ in 1 2 3 4; do
        for kind in ec rsa; do
            for version in 1.2 1.3; do
                curl -sS -m 60 --fail -o /dev/null "http://127.0.0.1:${port[$kind-$version]}/data" 2>>curl.err &
                clients+=($!)
            done
        done
    done
    wait "${clients[@]}"
}
many
ok 'sixteen connections at once'

: >server.log
kill -HUP "$server_pid"
wait_for 'the configuration read anew' grep -q 'Configuration successful' server.log
get ec-1.3
get rsa-1.2
ok 'SIGHUP: the configuration is read anew, keys and all'

port[example]=$(free_port)
latchkey example stunnel server-rsa --token demo --pin-file "$PIN_FILE" |
    sed "s,/etc/stunnel/,$WORK/,; s/443/127.0.0.1:${port[example]}/; s/127.0.0.1:80/127.0.0.1:$PLAIN/
        1i foreground = yes" >example.conf
stunnel_start example example
curl -sS -m 60 --cacert ca.crt -o example.back "https://localhost:${port[example]}/data" 2>curl.err
same 'the data by the example' example.back files/data
ok 'latchkey example stunnel prints a server that works'

printf 00000000 >wrong-pin
sed "s,=$PIN_FILE,=$WORK/wrong-pin,; s,server.pid,wrong.pid," server.conf >wrong.conf
! timeout 60 stunnel wrong.conf >wrong.err 2>&1 || die 'a wrong PIN was not refused'
grep -q 'PIN incorrect' wrong.err
ok 'a wrong PIN: stunnel does not start, and says why'
