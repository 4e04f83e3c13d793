#!/bin/bash
# Fast DDS: a publisher and a subscriber that prove who they are with keys in the token (DDS Security: PKI-DH, signed
# permissions, everything encrypted) exchange readings; who has a wrong PIN or another CA's certificate gets none.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need g++ openssl swtpm
[ -e /usr/include/fastdds/dds/domain/DomainParticipant.hpp ] || skip 'libfastrtps-dev is not installed'
openssl engine pkcs11 >/dev/null 2>&1 || skip 'OpenSSL has no pkcs11 engine'
follow docs/fastdds.md
for line in 'its dds.cert.sn is /CN=sensor' 'its dds.cert.sn is /CN=display' 'sent 5 readings' 'reading 5'; do
    grep -qx "$line" "$PAGE_WORLD/out"
done

scratch
cd "$WORK"
g++ -std=c++17 -Wall -Wextra -Werror -O1 "$ROOT/integration/fastdds/readings.cpp" -o readings -lfastrtps -lfastcdr

demo_keys {publisher,subscriber}-{ec,rsa}
demo_stranger
mv other/stranger.crt .

signed() { # FILE: as S/MIME, by the CA
    openssl smime -sign -in "$1" -text -signer ca.crt -inkey ca.key
}

signed "$ROOT/integration/fastdds/governance.xml" >governance.smime
for label in {publisher,subscriber}-{ec,rsa} stranger; do
    role=${label%%-*}
    role=${role/publisher/publish} role=${role/subscriber/subscribe}
    "$ROOT/integration/fastdds/permissions" "$label" "${role/stranger/publish}" >permissions.xml
    signed permissions.xml >"$label.smime"
done
printf 00000000 >wrong-pin

# profile LABEL [PIN-FILE]: LABEL.xml
profile() {
    latchkey example fastdds "$1" --token demo --pin-file "${2:-pin}" 2>example.err |
        sed "s,/etc/dds/permissions.smime,$WORK/$1.smime,; s,/etc/dds/,$WORK/," >"$1.xml"
}

for label in {publisher,subscriber}-{ec,rsa} stranger; do
    profile "$label"
done
export PKCS11_MODULE_PATH=$MODULE
logs=("$WORK/publish.log" "$WORK/subscribe.log" "$WORK/wire.log")

# between PUBLISHER SUBSCRIBER SECONDS: 20 readings; false when they do not arrive.
between() {
    local subscriber status=0
    timeout 150 ./readings subscribe "$2.xml" 20 "$3" >subscribe.log 2>&1 &
    subscriber=$!
    timeout 150 ./readings publish "$1.xml" 20 "$3" >publish.log 2>&1 || status=1
    wait $subscriber || status=1
    return $status
}

# exchanged PUBLISHER SUBSCRIBER: each has seen the other's certificate, and every reading arrived.
exchanged() {
    between "$1" "$2" 90
    grep -qx "its dds.cert.sn is /CN=$1" subscribe.log
    grep -qx 'authenticated a participant' subscribe.log
    grep -qx "its dds.cert.sn is /CN=$2" publish.log
    grep -qx 'sent 20 readings' publish.log
    diff <(seq -f 'reading %g' 20) <(grep '^reading' subscribe.log)
}

for pair in 'ec ec' 'rsa rsa' 'ec rsa'; do
    read -r publisher subscriber <<<"$pair"
    exchanged "publisher-$publisher" "subscriber-$subscriber"
    ok "an identity with $publisher key and one with $subscriber key authenticate each other: 20 readings"
done

# Two publishers at once; the subscriber takes the readings of both.
timeout 150 ./readings subscribe subscriber-ec.xml 40 90 >subscribe.log 2>&1 &
subscriber=$!
timeout 150 ./readings publish publisher-ec.xml 20 90 >publish.log 2>&1 &
publisher=$!
timeout 150 ./readings publish publisher-rsa.xml 20 90 >publish-rsa.log 2>&1
wait $publisher
wait $subscriber
[ "$(grep -cx 'authenticated a participant' subscribe.log)" = 2 ]
[ "$(grep -cx 'reading 20' subscribe.log)" = 2 ]
ok 'two publishers at once: 40 readings'

# The PIN may come from the environment.
sed -i 's,[?]pin-source=[^<]*,,' publisher-ec.xml
refused 'a participant without a PIN' between publisher-ec subscriber-ec 5
FASTDDS_PKCS11_PIN=$(cat pin)
export FASTDDS_PKCS11_PIN
exchanged publisher-ec subscriber-ec
unset FASTDDS_PKCS11_PIN
ok 'the PIN comes from FASTDDS_PKCS11_PIN, too, and without one there is no identity'

# no_readings PUBLISHER: it tries, for long enough; it is refused for what is in FILE, and nothing was received
no_readings() { # PUBLISHER FILE PATTERN
    ! between "$1" subscriber-ec 10 || die "$1 was not refused"
    grep -q "$3" "$2"
    refused 'a reading' grep '^reading ' subscribe.log
}

profile publisher-ec wrong-pin
no_readings publisher-ec publish.log 'Login failed'
ok 'a wrong PIN: nothing is exchanged'

# The stranger takes both authorities for good, so it is the subscriber that refuses.
cat other/ca.crt ca.crt >both.crt
sed -i "/identity_ca/{n;s,ca.crt,both.crt,}" stranger.xml
no_readings stranger subscribe.log 'refused a participant'
ok 'a certificate of another CA: nothing is exchanged'

no_readings subscriber-rsa publish.log 'may not publish'
ok 'a participant whose permissions are to subscribe may not publish'

# on_the_wire PUBLISHER SUBSCRIBER: do readings go by in clear?
on_the_wire() {
    local tap
    spawn python3 "$ROOT/integration/fastdds/wire.py" >wire 2>wire.log
    tap=$!
    wait_for 'the wire tap' grep -q listening wire.log
    between "$1" "$2" 90
    stop $tap
    grep -qa 'reading 1[0-9]' wire
}

if [ "$(id -u)" = 0 ]; then
    profile publisher-ec
    for label in publisher-ec subscriber-ec; do
        sed '/<propertiesPolicy>/,/<\/propertiesPolicy>/d; s,<rtps>,&<name>open</name>,' $label.xml >open.xml
    done
    on_the_wire open open || die 'the wire tap does not see readings of participants without security'
    ! on_the_wire publisher-ec subscriber-ec || die 'readings go by in clear'
    ok 'no reading goes by in clear'
fi
