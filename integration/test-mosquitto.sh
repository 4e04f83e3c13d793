#!/bin/bash
# Mosquitto: a broker with its own key in the token demands client certificates, a device whose key is there, too,
# publishes its readings, a subscriber gets them. EC and RSA keys, TLS 1.2 and 1.3. As root, the broker becomes the user
# mosquitto before it logs in.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PATH=$PATH:/usr/sbin
need mosquitto mosquitto_pub mosquitto_sub openssl swtpm
openssl engine pkcs11 >/dev/null 2>&1 || skip 'OpenSSL has no pkcs11 engine'
for port in 8560 8561; do
    ! port_open $port || skip "port $port, which the page uses, is taken"
done
follow docs/mosquitto.md
[ "$(grep '^readings/' "$PAGE_WORLD/out")" = 'readings/device-0042 21.5
readings/device-0042 22.0' ]

SERVICE=
[ "$(id -u)" != 0 ] || SERVICE=mosquitto
scratch_for "$SERVICE"
cd "$WORK"
cp "$MODULE" . # where that user can pass, too
cp pin broker-pin
[ -z "$SERVICE" ] || chown "$SERVICE" broker-pin

demo_keys {broker,device,display}-{ec,rsa}
demo_stranger
cp other/stranger.crt .
printf 00000000 >wrong-pin
export PKCS11_MODULE_PATH=$WORK/latchkey-pkcs11.so
logs=("$WORK/s_client.out" "$WORK/broker.log" "$WORK/gateway.log" "$WORK/pub.err" "$WORK/sub.err")

# broker_conf KIND VERSION [PIN-FILE]: broker.conf, and PORT
broker_conf() {
    PORT=$(free_port)
    cat >broker.conf <<END
listener $PORT 127.0.0.1
cafile $WORK/ca.crt
certfile $WORK/broker-$1.crt
tls_engine pkcs11
tls_keyform engine
keyfile pkcs11:token=demo;object=broker-$1;type=private?pin-source=$WORK/${3:-broker-pin}
tls_version tlsv$2
require_certificate true
use_identity_as_username true
acl_file $WORK/acl
END
    printf '%s\n' 'pattern write readings/%u' \
        'user display-ec' 'topic read readings/#' 'user display-rsa' 'topic read readings/#' >acl
}

# As broker_conf; sets broker_pid, too. tls_version is the lowest version of the protocol; the highest is OpenSSL's matter.
broker_start() {
    broker_conf "$@"
    cat >tls.cnf <<END
openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = system_default
[system_default]
MaxProtocol = TLSv$2
END
    OPENSSL_CONF=$WORK/tls.cnf spawn mosquitto -v -c broker.conf >broker.log 2>&1
    broker_pid=$!
    wait_for 'mosquitto' port_open "$PORT"
    [ -z "$SERVICE" ] || [ "$(ps -o user= -p "$broker_pid")" = "$SERVICE" ] || die "mosquitto is not the user $SERVICE"
}

# as LABEL [PIN-FILE]: the options of a client with that key. The clients look whether the key is a file before they ask
# the engine for it, so there is an empty one of its name.
as() {
    local key="pkcs11:token=demo;object=$1;type=private?pin-source=file:${2:-pin}"
    touch "$key"
    client=(-h localhost -p "$PORT" --cafile ca.crt --cert "$1.crt" --tls-engine pkcs11 --keyform engine --key "$key")
}

publish() { # LABEL MESSAGE [PIN-FILE]
    as "$1" "${3:-pin}"
    timeout 60 mosquitto_pub "${client[@]}" -q 1 -t "readings/$1" -m "$2" 2>pub.err
}

subscriptions() { # that the broker has confirmed
    grep -c 'Sending SUBACK to ' broker.log || true
}

more_than() {
    [ "$(subscriptions)" -gt "$1" ]
}

# subscribe LABEL READINGS: takes so many and ends; they are in sub.out.
subscribe() {
    local before
    before=$(subscriptions)
    as "$1"
    spawn mosquitto_sub "${client[@]}" -v -t 'readings/#' -q 1 -C "$2" -W 120 >sub.out 2>sub.err
    sub_pid=$!
    wait_for 'the subscription' more_than "$before"
}

speaks() { # VERSION: the broker, and no other
    timeout 60 openssl s_client -connect "127.0.0.1:$PORT" -CAfile ca.crt -brief -cert device-ec.crt \
        -engine pkcs11 -keyform engine -key "$(uri demo device-ec)" </dev/null >s_client.out 2>&1
    grep -q "^Protocol version: TLSv$1\$" s_client.out
}

for version in 1.2 1.3; do
    for kind in ec rsa; do
        broker_start $kind $version
        speaks $version
        subscribe display-$kind 4
        for reading in 1 2; do
            publish device-ec "ec $reading"
            publish device-rsa "rsa $reading"
        done
        wait "$sub_pid"
        diff sub.out - <<END
readings/device-ec ec 1
readings/device-rsa rsa 1
readings/device-ec ec 2
readings/device-rsa rsa 2
END
        grep -q "u'device-rsa'" broker.log
        [ "$kind$version" = rsa1.3 ] || stop "$broker_pid"
        ok "TLS $version, the broker's and the display's key $kind, the devices' both: four readings"
    done
done

refused 'a device whose certificate is of another CA' publish stranger 'I am here'
grep -q 'certificate verify failed' broker.log
received=$(grep -c 'Received PUBLISH' broker.log)
refused 'a device without a certificate' mosquitto_pub -h localhost -p "$PORT" --cafile ca.crt -t readings/x -m x
refused 'a wrong PIN' publish device-ec 'I am here' wrong-pin
grep -q '^Login failed' pub.err
[ "$(grep -c 'Received PUBLISH' broker.log)" = "$received" ]
ok 'no certificate, one of another CA, a wrong PIN: the broker gets nothing'

# A gateway of its own, which passes on over mutual TLS what reaches it on loopback.
subscribe display-ec 1
GATEWAY=$(free_port)
cat >gateway.conf <<END
tls_engine pkcs11
tls_keyform engine
port $GATEWAY
bind_address 127.0.0.1
allow_anonymous true
connection up
address localhost:$PORT
topic readings/# out 1
bridge_cafile $WORK/ca.crt
bridge_certfile $WORK/device-ec.crt
bridge_keyfile pkcs11:token=demo;object=device-ec;type=private?pin-source=$WORK/broker-pin
END
spawn mosquitto -v -c gateway.conf >gateway.log 2>&1
wait_for 'gateway' port_open "$GATEWAY"
mosquitto_pub -h localhost -p "$GATEWAY" -t readings/device-ec -m 'passed on' -q 1
wait "$sub_pid"
[ "$(cat sub.out)" = 'readings/device-ec passed on' ]
ok 'a bridge with its key in the token passes readings on'

broker_conf ec 1.2 wrong-pin
! timeout 60 mosquitto -c broker.conf >refused.log 2>&1 || die 'a broker with a wrong PIN starts'
grep -q 'Login failed' refused.log
grep -q 'Unable to load engine private key file' refused.log
ok 'a broker with a wrong PIN does not start'
