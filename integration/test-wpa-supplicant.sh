#!/bin/bash
# EAP-TLS with the key in the token: eapol_test against hostapd's RADIUS server, EC and RSA, TLS 1.2 and 1.3, both ways
# to write it down; wpa_supplicant itself on a wire with 802.1X.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need eapol_test hostapd openssl swtpm
openssl engine pkcs11 >/dev/null 2>&1 || skip 'OpenSSL has no pkcs11 engine'
# wpa_supplicant trusts modules below /usr/lib only: root gets a private view of it.
if [ "$(id -u)" = 0 ] && [ -z "${OWN_VIEW:-}" ] && unshare --mount --net true 2>/dev/null; then
    OWN_VIEW=yes exec unshare --mount "$0"
fi
! port_open 8610 || skip 'port 8610, which the page uses, is taken'
follow docs/wpa-supplicant.md
grep -q '^SUCCESS$' "$PAGE_WORLD/out"
grep -q 'peer certificate: depth=0 .*subject=/CN=me$' "$PAGE_WORLD/out"
scratch
cd "$WORK"

demo_keys client-ec client-rsa
openssl req -newkey rsa:2048 -nodes -subj /CN=radius -keyout radius.key -out radius.csr 2>/dev/null
openssl x509 -req -in radius.csr -CA ca.crt -CAkey ca.key -days 30 -out radius.crt 2>/dev/null
PORT=$(free_port)
logs=("$WORK/hostapd.log" "$WORK/eapol.log" "$WORK/supplicant.log")

hostapd_conf() { # hostapd_conf LINE...
    echo '* TLS' >users
    echo '127.0.0.1 secret' >clients
    printf '%s\n' "$@" eap_server=1 "eap_user_file=$WORK/users" "ca_cert=$WORK/ca.crt" "server_cert=$WORK/radius.crt" \
        "private_key=$WORK/radius.key" 'tls_flags=[ENABLE-TLSv1.3]' >hostapd.conf
}
hostapd_conf driver=none "radius_server_clients=$WORK/clients" "radius_server_auth_port=$PORT"
spawn hostapd -d hostapd.conf >hostapd.log 2>&1
wait_for hostapd grep 'Setup of interface done' hostapd.log

# enter [OPTION...]: the network block is on standard input
enter() {
    (echo 'network={' && sed '$a}' && echo) >eapol.conf
    : >hostapd.log
    PKCS11_MODULE_PATH=$MODULE eapol_test -c eapol.conf -a 127.0.0.1 -p "$PORT" -s secret "$@" >eapol.log 2>&1 &&
        [ "$(tail -n 1 eapol.log)" = SUCCESS ]
}

block() { # block LINE...
    printf '%s\n' key_mgmt=WPA-EAP eap=TLS 'identity="me"' "ca_cert=\"$WORK/ca.crt\"" "$@"
}

seen() { # seen LABEL VERSION: by the server
    grep -q "peer certificate: depth=0 .*subject=/CN=$1\$" hostapd.log
    grep -q "Using TLS version TLSv$2\$" hostapd.log
}

for label in client-ec client-rsa; do
    for version in 1.2 1.3; do
        phase1="phase1=\"tls_disable_tlsv1_3=$([ $version = 1.3 ] && echo 0 || echo 1)\""
        block "client_cert=\"$WORK/$label.crt\"" "private_key=\"$(uri demo $label)\"" "$phase1" | enter
        seen $label $version
        block "client_cert=\"$(uri demo $label cert)\"" "private_key=\"$(uri demo $label)\"" "$phase1" | enter
        seen $label $version
        block engine=1 'engine_id="pkcs11"' "key_id=\"pkcs11:token=demo;object=$label;type=private\"" \
            "cert_id=\"$(uri demo $label cert)\"" "pin=\"$(cat "$PIN_FILE")\"" "$phase1" | enter
        seen $label $version
        ok "TLS $version, $label: certificate from a file and from the token, and with engine=1"
    done
done

block "client_cert=\"$(uri demo client-rsa cert)\"" "private_key=\"$(uri demo client-rsa)\"" | enter -r 3
[ "$(grep -c 'EAP entering state SUCCESS' hostapd.log)" = 4 ]
ok 'four authentications in one process'

block "client_cert=\"$WORK/client-ec.crt\"" 'private_key="pkcs11:token=demo;object=client-ec;type=private"' 'pin="00000000"' >wrong
refused 'a wrong PIN' enter -t 5 <wrong
grep -q 'PIN incorrect' eapol.log
refused 'a wrong PIN' grep -q 'EAP entering state SUCCESS' hostapd.log
ok 'a wrong PIN is refused'

# --- a wire --------------------------------------------------------------------------------------------

if [ -z "${OWN_VIEW:-}" ]; then
    echo '  --  no wire: that takes root'
    exit
fi
need wpa_supplicant ip
engines=$(openssl version -e | cut -d'"' -f2)
modules=${engines%/*}/pkcs11
mkdir pkcs11
cp "$MODULE" pkcs11/
mount --bind pkcs11 "$modules"
apart() {
    ! [ "/proc/$1/ns/net" -ef /proc/self/ns/net ]
}
spawn unshare --net sleep 300
wire=$!
wait_for 'a network namespace' apart $wire
inside=(nsenter -t "$wire" -n)
"${inside[@]}" ip link add switch type veth peer name client
"${inside[@]}" ip link set switch up
"${inside[@]}" ip link set client up
hostapd_conf driver=wired interface=switch ieee8021x=1 eapol_version=2 use_pae_group_addr=1
spawn "${inside[@]}" hostapd -d "$WORK/hostapd.conf" >hostapd.log 2>&1
wait_for hostapd grep 'AP-ENABLED' hostapd.log
{
    echo ap_scan=0
    echo "pkcs11_engine_path=$engines/pkcs11.so"
    echo "pkcs11_module_path=$modules/latchkey-pkcs11.so"
    latchkey example wpa-supplicant client-ec --token demo --pin-file "$PIN_FILE" |
        sed "s/WPA-EAP/IEEE8021X/; /ssid/d; s,/etc/ssl/certs/corporate.crt,$WORK/ca.crt,"
} >supplicant.conf
spawn "${inside[@]}" wpa_supplicant -D wired -i client -c "$WORK/supplicant.conf" -dd >supplicant.log 2>&1
wait_for 'the network' grep 'CTRL-EVENT-EAP-SUCCESS' supplicant.log
grep -q 'peer certificate: depth=0 .*subject=/CN=client-ec$' hostapd.log
wait_for 'the port' grep -E 'AP-STA-CONNECTED|IEEE 802.1X: authorizing port' hostapd.log
ok 'wpa_supplicant enters a wired network, the module named in its configuration'
