#!/bin/bash
# NSS's tools: the module in a database, keys and requests made by certutil, keys brought in by pk12util, S/MIME, signed
# archives, and mutual TLS 1.2 and 1.3 with EC and RSA keys on both sides.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need certutil modutil pk12util cmsutil signtool selfserv tstclnt openssl swtpm
follow docs/nss.md
grep -q '^selfserv: subject DN: CN=me$' "$PAGE_WORLD/out"
[ "$(grep -c '^hello' "$PAGE_WORLD/out")" = 2 ] || die 'the page shows no signed and no decrypted text'
scratch
cd "$WORK"

demo_keys server-ec server-rsa client-ec client-rsa
mkdir nssdb
DB=sql:$WORK/nssdb
certutil -N -d "$DB" --empty-password
certutil -A -d "$DB" -n ca -t CT,C,C -i ca.crt
logs=("$WORK/out" "$WORK/selfserv.log" "$WORK/s_server.log")

modutil -dbdir "$DB" -force -add latchkey -libfile "$MODULE" >out 2>&1
modutil -dbdir "$DB" -list latchkey >out 2>&1
grep -q 'Token Name: demo ' out
grep -q 'User Pin: Initialized' out
refused 'the module a second time' modutil -dbdir "$DB" -force -add latchkey -libfile "$MODULE"
ok 'modutil: the module is in the database, and shows its token'

# --- certutil ------------------------------------------------------------------------------------

nss() { # nss TOOL ARGUMENT...: with the token's PIN
    "$1" -d "$DB" -f pin "${@:2}" >out 2>&1
}

nss certutil -K -h demo
for label in server-ec server-rsa client-ec client-rsa; do
    grep -qE "^<.*> ${label#*-} .* $label$" out || die "certutil -K does not show $label"
done
nss certutil -L -h demo
for label in server-ec server-rsa client-ec client-rsa; do
    grep -qE "^demo:$label +u,u,u$" out || die "certutil -L does not show $label with its key"
done
nss certutil -V -h demo -n demo:client-ec -u C
grep -q 'certificate is valid' out
ok 'certutil -K, -L, -V: keys, and certificates that know theirs'

head -c 64 /dev/urandom >noise
made() { # made NAME ARGUMENT...: a key in the token and its request, which OpenSSL verifies
    nss certutil -R -h demo -z noise -s "CN=$1" -a -o "$1.csr" "${@:2}"
    openssl req -in "$1.csr" -noout -verify -subject >out 2>&1
    grep -q "subject=CN *= *$1" out
    ok "certutil -R: $1"
}
made p256 -k ec -q nistp256
made p384 -k ec -q nistp384 -Z SHA384
made p521 -k ec -q nistp521 -Z SHA512
made rsa2048 -k rsa -g 2048
made rsa3072 -k rsa -g 3072 -Z SHA384
made rsa-pss -k rsa -g 2048 --pss
openssl req -in rsa-pss.csr -noout -text | grep -q 'Signature Algorithm: rsassaPss'

nss certutil -S -h demo -z noise -n authority -s CN=authority -x -t C,C,C -2 -m 1 -k ec -q nistp256 < <(printf 'y\n\ny\n')
nss certutil -R -h demo -k 04 -s CN=again -a -o again.csr
nss certutil -C -a -c demo:authority -i again.csr -o again.crt -m 2
nss certutil -L -h demo -n demo:authority -a
sed -n '/^-----BEGIN/,/^-----END/p' out >authority.crt
openssl verify -CAfile authority.crt again.crt >/dev/null
ok "certutil -S, -C: an authority's key in the token"

n=$(certutil -K -d "$DB" -h demo -f pin | grep -c '(orphan)')
key=$(certutil -K -d "$DB" -h demo -f pin | sed -n 's/^<.*> ec *\([0-9a-f]*\) *(orphan)$/\1/p' | head -n 1)
nss certutil -F -h demo -k "$key"
[ "$(certutil -K -d "$DB" -h demo -f pin | grep -c '(orphan)')" = $((n - 1)) ]
ok 'certutil -F: a key is deleted'

# --- keys from a file ----------------------------------------------------------------------------

for kind in ec rsa; do
    how=(rsa:2048)
    [ $kind = rsa ] || how=(ec -pkeyopt ec_paramgen_curve:P-256)
    openssl req -newkey "${how[@]}" -nodes -subj /CN=old-$kind -keyout old.key -out old.csr 2>/dev/null
    openssl x509 -req -in old.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out old-$kind.crt 2>/dev/null
    openssl pkcs12 -export -inkey old.key -in old-$kind.crt -name old-$kind -passout pass:secret -out old.p12
    pk12util -d "$DB" -h demo -k pin -i old.p12 -W secret >out
    nss certutil -L -h demo
    grep -qE "^demo:old-$kind +u,u,u$" out
    refused 'a key out of the token' pk12util -d "$DB" -k pin -n demo:old-$kind -o back.p12 -W secret
    ok "pk12util -i: old-$kind is in the token, and does not come out again"
done

# --- S/MIME and archives -------------------------------------------------------------------------

echo hello >text
for label in client-ec client-rsa old-ec old-rsa; do
    nss cmsutil -S -N demo:$label -H SHA256 -i text -o signed
    openssl cms -verify -inform DER -in signed -CAfile ca.crt -purpose any -out back 2>/dev/null
    same "the text that $label signed" text back
done
ok 'cmsutil -S: OpenSSL verifies what EC and RSA keys sign'
for label in client-rsa old-rsa; do
    openssl cms -encrypt -binary -aes256 -in text -outform DER -out encrypted $label.crt
    cmsutil -D -d "$DB" -f pin -i encrypted -o back
    same "the text that $label decrypted" text back
done
ok 'cmsutil -D: decrypts what OpenSSL encrypts'

nss certutil -S -h demo -z noise -n signer -s CN=signer -c demo:authority -t ,, -m 3 -k rsa -g 2048 --nsCertType objectSigning
mkdir archive
cp text archive/
signtool -d "$DB" -k demo:signer -p "$(cat pin)" -Z signed.jar archive >out 2>&1
signtool -d "$DB" -v signed.jar >out 2>&1
grep -q 'verified *text' out
ok 'signtool: a signed archive'

# --- TLS -----------------------------------------------------------------------------------------

PORT=$(free_port)
printf 'GET / HTTP/1.0\r\n\r\n' >request

# get KEY PIN-FILE TSTCLNT-OPTION...
get() {
    local key=$1 pin=$2
    shift 2
    timeout 60 tstclnt -4 -h localhost -p "$PORT" -d "$DB" -n "demo:$key" -W "$pin" -A request "$@" >out 2>&1
}

# The server is OpenSSL's, which answers with what it saw.
spawn openssl s_server -4 -accept "$PORT" -cert old-rsa.crt -key <(openssl pkey -in old.key) -CAfile ca.crt \
    -Verify 1 -verify_return_error -www -no_ticket >s_server.log 2>&1
server=$!
wait_for s_server port_open "$PORT"
for label in client-ec client-rsa old-ec old-rsa; do
    for version in 1.2 1.3; do
        get $label pin -o -V tls$version:tls$version
        grep -q "Protocol  : TLSv$version" out
        grep -q "Subject: CN *= *$label" out
    done
done
ok 'tstclnt, TLS 1.2 and 1.3: OpenSSL sees the certificates of EC and RSA keys'
printf 00000000 >wrong-pin
refused 'a wrong PIN' get client-ec wrong-pin -o
grep -q 'Incorrect password/PIN entered' out
ok 'a wrong PIN is refused'
stop "$server"

PORT=$(free_port)
spawn selfserv -p "$PORT" -d "$DB" -f pin -H 1 -n demo:server-rsa -e demo:server-ec -rr -V tls1.2:tls1.3 -t 4 -v \
    >selfserv.log 2>&1
wait_for selfserv port_open "$PORT"
# served KEY SIGNATURE TSTCLNT-OPTION...
served() {
    get "$1" pin -v "${@:3}"
    grep -aq 'HTTP/1.0 200 OK' out
    grep -q "Signature Scheme: $2" out
    [ "$(grep -o 'subject DN: .*' selfserv.log | tail -n 1)" = "subject DN: CN=$1" ]
    ok "selfserv, $2: sees $1 and serves it"
}
ecdsa=ecdsa_secp256r1_sha256 pss=rsa_pss_rsae_sha256
served client-ec $ecdsa -V tls1.3:tls1.3 -J $ecdsa
served client-rsa $pss -V tls1.3:tls1.3 -J $pss,$ecdsa
served client-ec $ecdsa -V tls1.2:tls1.2 -c :C02B
served client-rsa $pss -V tls1.2:tls1.2 -c :C02F
crowd=()
for i in 1 2 3 4 5 6 7 8; do
    timeout 100 tstclnt -4 -h localhost -p "$PORT" -d "$DB" -n demo:client-rsa -W pin -A request >answer.$i 2>&1 &
    crowd+=($!)
done
wait "${crowd[@]}"
[ "$(grep -al 'HTTP/1.0 200 OK' answer.* | wc -l)" = 8 ]
ok 'selfserv: 8 clients at once, 4 threads'
