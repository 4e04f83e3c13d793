#!/bin/bash
# OpenVPN with the client's key, and the server's, in the token; the PIN comes over the management socket: TLS 1.2 and
# 1.3, EC and RSA, renegotiations that log out and ask for the PIN again, a wrong PIN, and a ping through the tunnel.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need openvpn socat openssl swtpm
! port_open 8600 || skip 'port 8600, which the page uses, is taken'
follow docs/openvpn.md
grep -q '^\(.* \)\?\[me\] Peer Connection Initiated' "$PAGE_WORLD/out"
scratch
cd "$WORK"

demo_keys client-ec client-rsa server:rsa
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout file.key -out file.csr 2>/dev/null
openssl x509 -req -in file.csr -CA ca.crt -CAkey ca.key -days 30 -out file.crt 2>/dev/null
logs=("$WORK/server.log" "$WORK/client.log")
PORT=$(free_port)

# serialized_id LABEL: as OpenVPN names the certificate CN=LABEL and its key
serialized_id() {
    awk -v dn="DN: *CN=$1\$" '$0 ~ dn { here = 1 } here && sub(/.*Serialized id: */, "") { print; exit }' ids
}

# with_token NAME LABEL: sets options, for the key LABEL with the PIN asked for at NAME.sock
with_token() {
    options=(--pkcs11-providers "$MODULE" --pkcs11-id "$(serialized_id "$2")"
        --management "$WORK/$1.sock" unix --management-query-passwords)
}

# answer NAME PIN: whenever NAME asks for it; each question is a line of NAME.asked
answer() {
    wait_for "OpenVPN's question" test -S "$1.sock"
    rm -f "$1.asked"
    cat >"$1.answer" <<EOF
while read -r line; do
    case \$line in
    ">PASSWORD:Need 'demo token'"*)
        echo "\$line" >>$1.asked
        printf 'password "demo token" "%s"\n' $2
        ;;
    esac
done
EOF
    spawn socat "UNIX-CONNECT:$1.sock" "EXEC:bash $1.answer"
}

# server VERSION OPTION...: without a device, for the handshake is what is looked at
server() {
    local version=$1
    shift
    spawn openvpn --dev null --verb 3 --tls-server --local 127.0.0.1 --port "$PORT" --dh none --ca ca.crt \
        --tls-version-min "$version" --tls-version-max "$version" "$@" >server.log 2>&1
    server=$!
    wait_for 'the server' grep 'UDPv4 link remote' server.log
}

# client LABEL PIN OPTION...
client() {
    local label=$1 pin=$2
    shift 2
    with_token client "$label"
    spawn openvpn --dev null --verb 3 --tls-client --remote 127.0.0.1 "$PORT" --nobind --ca ca.crt \
        --verify-x509-name server name "${options[@]}" "$@" >client.log 2>&1
    client=$!
    answer client "$pin"
}

part() { # both ends
    stop "$client"
    stop "$server"
    rm -f client.sock server.sock
}

at_least() { # at_least N PATTERN FILE
    [ "$(grep -c -- "$2" "$3")" -ge "$1" ]
}

openvpn --show-pkcs11-ids "$MODULE" >ids
at_least 3 'Serialized id: *latchkey/.*/demo/0[123]$' ids
ok 'openvpn --show-pkcs11-ids names the three keys that have certificates'

for label in client-ec client-rsa; do
    for version in 1.2 1.3; do
        server $version --cert file.crt --key file.key
        client $label 12345678
        wait_for 'the handshake' grep "\[$label\] Peer Connection Initiated" server.log
        grep -q "VERIFY OK: depth=0, CN=$label\$" server.log
        grep -q "Control Channel: TLSv$version," server.log
        [ "$(wc -l <client.asked)" = 1 ]
        ok "TLS $version: the server sees $label"
        part
    done
done

for label in client-ec client-rsa; do
    server 1.3 --cert file.crt --key file.key
    # A PIN that is kept for 2 s: OpenVPN logs out, and asks for it again, before each new handshake.
    client $label 12345678 --pkcs11-pin-cache 2 --reneg-sec 3
    wait_for 'the second handshake' at_least 2 'Control Channel' server.log
    wait_for 'the third handshake' at_least 3 'Control Channel' server.log
    at_least 3 "VERIFY OK: depth=0, CN=$label\$" server.log
    at_least 3 . client.asked
    ok "$label: two renegotiations, each with a logout and a login"
    part
done

server 1.3 --cert file.crt --key file.key
client client-ec 00000000
wait_for 'the refusal' grep 'TLS handshake failed' client.log
refused 'a wrong PIN' grep 'Peer Connection Initiated' server.log
[ "$(wc -l <client.asked)" = 3 ]
ok 'a wrong PIN is refused; OpenVPN tries it three times'
part

with_token server server
server 1.2 "${options[@]}"
client client-rsa 12345678
answer server 12345678
wait_for 'the handshake' grep '\[client-rsa\] Peer Connection Initiated' server.log
grep -q 'Control Channel: TLSv1.2, .* peer certificate: 2048 bits RSA' client.log
[ "$(wc -l <server.asked)" = 1 ]
ok 'a server with its key in the token'
part

# --- a real tunnel, between two network namespaces -------------------------------------------------

if ! unshare -n true 2>/dev/null || ! [ -w /dev/net/tun ]; then
    echo '  --  no tunnel: that takes root and /dev/net/tun'
    exit
fi
need ip ping
spawn unshare -n sleep 300
there=$!
spawn unshare -n sleep 300
here=$!
apart() {
    ! [ "/proc/$1/ns/net" -ef /proc/self/ns/net ]
}
wait_for 'a network namespace' apart "$there"
wait_for 'a network namespace' apart "$here"
ip link add wire0 netns "$there" type veth peer name wire0 netns "$here"
nsenter -t "$there" -n ip address add 192.0.2.1/24 dev wire0
nsenter -t "$here" -n ip address add 192.0.2.2/24 dev wire0
nsenter -t "$there" -n ip link set wire0 up
nsenter -t "$here" -n ip link set wire0 up

with_token server server
spawn nsenter -t "$there" -n openvpn --dev tun --topology subnet --server 10.8.0.0 255.255.255.0 --dh none \
    --ca ca.crt --verb 3 "${options[@]}" >server.log 2>&1
with_token client client-ec
spawn nsenter -t "$here" -n openvpn --client --dev tun --remote 192.0.2.1 --nobind --ca ca.crt \
    --verify-x509-name server name --verb 3 "${options[@]}" >client.log 2>&1
answer client 12345678
answer server 12345678
wait_for 'the tunnel' nsenter -t "$here" -n ping -c 1 -W 1 10.8.0.1
grep -q 'Learn: 10.8.0.2 -> client-ec/' server.log
ok 'a ping through the tunnel, the keys of both ends in the token'
