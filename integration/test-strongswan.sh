#!/bin/bash
# strongSwan's pkcs11 plugin: pki prints, requests, issues and revokes with keys in the token, also beside a blank one;
# two charons in network namespaces know each other by an EC and an RSA key in it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need pki openssl swtpm
follow docs/strongswan.md
grep -q 'subject: *"CN=gateway"' "$PAGE_WORLD/out"
scratch
cd "$WORK"

make_token demo
make_ca .
make_key demo ec 01 ec
make_key demo rsa 02 rsa
latchkey key generate --token demo --label p384 --id 03 --type ec --curve P-384 --pin-file pin >/dev/null
latchkey key generate --token demo --label p521 --id 04 --type ec --curve P-521 --pin-file pin >/dev/null
make_cert . demo ec
make_cert . demo rsa
logs=("$WORK/pki.err")

# settings PROGRAM DIR [PLUGIN...]: for what is started from now on
settings() {
    local program=$1 dir=$2
    shift 2
    cat >"$dir/strongswan.conf" <<EOF
$program {
    ${1:+load = random nonce x509 constraints pubkey pkcs1 pkcs8 pem $*}
    plugins {
        vici {
            socket = unix://$dir/vici
        }
        pkcs11 {
            modules {
                latchkey {
                    path = $MODULE
                }
            }
        }
        tpm {
            load = no
        }
    }
    filelog {
        all {
            path = $dir/charon.log
            flush_line = yes
        }
    }
}
EOF
}
settings pki "$WORK"

# Without a terminal pki takes the PIN from its input.
token_pki() {
    STRONGSWAN_CONF=$WORK/strongswan.conf setsid -w pki "$@" <"${PIN:-$PIN_FILE}" 2>pki.err
}

signed_by() { # signed_by ISSUER CERTIFICATE ALGORITHM
    openssl verify -CAfile "$1" "$2" >/dev/null
    openssl x509 -in "$2" -noout -text | grep -q "Signature Algorithm: $3\$"
}

for key in 01:ec:'ECDSA 256' 02:rsa:'RSA 2048'; do
    IFS=: read -r id label kind <<<"$key"
    token_pki --print --type x509 --keyid "$id" >printed
    grep -q "subject: *\"CN=$label\"" printed
    token_pki --print --type priv --keyid "$id" >printed
    grep -q "privkey: *$kind bits" printed
    token_pki --pub --type priv --keyid "$id" | openssl pkey -pubin -inform der -out pub.pem
    same "the public key of $label" pub.pem <(latchkey key export "$label" --token demo)
done
ok 'pki --print and --pub: certificate, private and public key, EC and RSA'

for id in 01 02 03 04; do
    token_pki --req --type priv --keyid $id --dn "CN=key $id" --outform pem >$id.req
    openssl req -in $id.req -noout -verify -subject 2>&1 | grep -q "CN = key $id"
    token_pki --self --type priv --keyid $id --dn "CN=authority $id" --ca --outform pem >$id.crt
    openssl verify -CAfile $id.crt $id.crt >/dev/null
done
ok 'pki --req and --self: P-256, P-384, P-521 and RSA'

for digest in sha1 sha256 sha384 sha512; do
    token_pki --issue --cacert 02.crt --cakeyid 02 --type pkcs10 --in 01.req --digest $digest --outform pem >issued.crt
    # OpenSSL does not verify SHA-1 at its default level any more.
    openssl verify -auth_level 0 -CAfile 02.crt issued.crt >/dev/null
done
token_pki --issue --cacert 03.crt --cakeyid 03 --type pkcs10 --in 02.req --outform pem >issued.crt
signed_by 03.crt issued.crt ecdsa-with-SHA384
token_pki --signcrl --cacert 03.crt --cakeyid 03 --cert issued.crt --outform pem >crl.pem
openssl crl -in crl.pem -CAfile 03.crt -noout 2>&1 | grep -q 'verify OK'
refused 'a revoked certificate' openssl verify -crl_check -CRLfile crl.pem -CAfile 03.crt issued.crt
ok 'pki --issue with SHA-1 to SHA-512 and --signcrl'

echo 00000000 >wrong-pin
PIN=wrong-pin refused 'a wrong PIN' token_pki --req --type priv --keyid 01 --dn CN=x
grep -q PIN_INCORRECT pki.err
refused 'a key that is not there' token_pki --req --type priv --keyid 77 --dn CN=x
grep -q 'no PKCS#11 module found having a keyid 77' pki.err
ok 'a wrong PIN and an unknown key are refused'

echo 'show-empty-slot = yes' >>"$LATCHKEY_CONF"
token_pki --req --type priv --keyid 01 --dn CN=beside --outform pem >beside.req
grep -q 'slot 2 (empty)' pki.err
openssl req -in beside.req -noout -verify 2>/dev/null
sed -i '$d' "$LATCHKEY_CONF"
ok 'a blank token beside it does not matter'

# --- IKE ---------------------------------------------------------------------------------------------

if ! unshare -n true 2>/dev/null; then
    echo '  --  no charon: that takes root'
    exit
fi
need charon-systemd swanctl ip

# peer NAME ADDRESS LABEL ITS-ADDRESS ITS-LABEL: what 'latchkey example' prints, filled in
peer() {
    mkdir -p "$1/x509ca"
    cp ca.crt "$1/x509ca/"
    settings charon-systemd "$WORK/$1" pkcs11 openssl kdf kernel-netlink socket-default vici
    latchkey example strongswan "$3" --token demo >"$1/swanctl.conf" 2>/dev/null
    # No IPsec, for which the kernel may lack the means: the keys are used in IKE.
    sed -i "s/version = 2/&\nchildless = force\nlocal_addrs = $2/; s/= vpn.example.org/= $4/; /start_action/d
        s/id = $4/id = \"CN=$5\"/; s/# pin = .*/pin = $(cat "$PIN_FILE")/" "$1/swanctl.conf"
}

apart() {
    ! [ "/proc/$1/ns/net" -ef /proc/self/ns/net ]
}

# in_place NAME: sets place, the command's beginning that has it run there
in_place() {
    place=(env "STRONGSWAN_CONF=$WORK/$1/strongswan.conf" "SWANCTL_DIR=$WORK/$1" nsenter -t "${namespace[$1]}" -n)
}

charon() { # charon NAME ADDRESS
    in_place "$1"
    "${place[@]}" ip address add "$2/24" dev wire0
    "${place[@]}" ip link set wire0 up
    spawn "${place[@]}" charon-systemd >"$1/out" 2>&1
    wait_for "charon ($1)" test -S "$1/vici"
    "${place[@]}" swanctl --load-all --uri "unix://$WORK/$1/vici" >"$1/loaded" 2>&1
    grep -q 'loaded key token-.* from token' "$1/loaded"
}

declare -A namespace
for name in here there; do
    spawn unshare -n sleep 600
    namespace[$name]=$!
    wait_for 'a network namespace' apart "$!"
done
ip link add wire0 netns "${namespace[here]}" type veth peer name wire0 netns "${namespace[there]}"
peer here 192.0.2.2 ec 192.0.2.1 rsa
peer there 192.0.2.1 rsa 192.0.2.2 ec
logs=("$WORK/here/charon.log" "$WORK/there/charon.log" "$WORK/here/loaded" "$WORK/initiated")
charon here 192.0.2.2
charon there 192.0.2.1
in_place here
"${place[@]}" swanctl --initiate --ike ec --timeout 60 --uri "unix://$WORK/here/vici" >initiated
grep -q "authentication of 'CN=ec' with ECDSA_WITH_SHA256_DER successful" there/charon.log
grep -q "authentication of 'CN=rsa' with RSA_EMSA_PKCS1_SHA2_256 successful" here/charon.log
in_place there
"${place[@]}" swanctl --list-sas --uri "unix://$WORK/there/vici" | grep -q "remote 'CN=ec'"
ok 'charon: an IKE_SA between an EC and an RSA key, both in the token'
