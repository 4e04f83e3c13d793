#!/bin/bash
# Go: a server and a client over mutual TLS, both with keys and certificates in the token, by crypto11. EC and RSA,
# TLS 1.2 and 1.3.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need go gcc openssl swtpm
[ -d /usr/share/gocode/src/github.com/ThalesIgnite/crypto11 ] ||
    skip 'golang-github-thalesignite-crypto11-dev is not installed'
! port_open 8575 || skip 'port 8575, which the page uses, is taken'
follow docs/go.md
grep -qx 'server=server key=RSA client=client key=ECDSA version=0x304' "$PAGE_WORLD/out"

scratch
cd "$WORK"
demo_keys {server,client}-{ec,rsa}
demo_stranger
for pin in "$(cat pin)" 00000000; do
    printf '{"Path": "%s", "TokenLabel": "demo", "Pin": "%s"}\n' "$MODULE" "$pin" >"$pin.json"
done
GOPATH=/usr/share/gocode GO111MODULE=off GOFLAGS='' GOPROXY=off GOCACHE=$BUILD/conformance/go-cache \
    go build -o mutual "$ROOT/integration/go/mutual.go"
logs=("$WORK/serve.log" "$WORK/get.log")

get() { # LABEL VERSION [TIMES] [PIN]
    timeout 120 ./mutual get "${4:-12345678}.json" "$1" ca.crt "$2" "localhost:$PORT" "${3:-1}" >page 2>get.log
}

declare -A name=([ec]=ECDSA [rsa]=RSA) number=([1.2]=0x303 [1.3]=0x304)
for kind in ec rsa; do
    for version in 1.2 1.3; do
        PORT=$(free_port)
        spawn ./mutual serve 12345678.json "server-$kind" ca.crt $version "localhost:$PORT" >serve.log 2>&1
        serve_pid=$!
        wait_for 'the server' port_open "$PORT"
        for client in ec rsa; do
            get "client-$client" $version
            diff page - <<<"server=server-$kind key=${name[$kind]} client=client-$client key=${name[$client]} version=${number[$version]}"
        done
        ok "TLS $version, server-$kind: clients with EC and RSA keys, each knows the other"
        [ "$kind$version" = rsa1.3 ] || stop "$serve_pid"
    done
done

get client-ec 1.3 16
[ "$(grep -c 'client=client-ec key=ECDSA' page)" = 16 ]
ok '16 handshakes at once, at both ends'
refused 'a certificate of another CA' get stranger 1.3
refused 'a wrong PIN' get client-ec 1.3 1 00000000
grep -q CKR_PIN_INCORRECT get.log
refused 'a page' grep -q client= page
ok 'a certificate of another CA and a wrong PIN get no page'
stop "$serve_pid"
