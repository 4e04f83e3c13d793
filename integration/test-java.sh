#!/bin/bash
# Java: keytool makes, lists, certifies and imports keys in the token; a client of ours gets pages over mutual TLS with
# them. EC and RSA, TLS 1.2 and 1.3.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need java javac keytool openssl swtpm
! port_open 8570 || skip 'port 8570, which the page uses, is taken'
follow docs/java.md
grep -q 'Subject: CN *= *gateway' "$PAGE_WORLD/out"

scratch
cd "$WORK"

demo_keys client-ec client-rsa
latchkey example java client-ec --token demo >java.cfg
javac -d . "$ROOT/integration/java/Get.java"

token() { # keytool's verbs on the token
    timeout 120 keytool "$@" -keystore NONE -storetype PKCS11 -addprovider SunPKCS11 -providerarg "$WORK/java.cfg" \
        -storepass:file "${STOREPASS:-$PIN_FILE}" >keytool.log 2>&1
}
logs=("$WORK/keytool.log" "$WORK/get.err" "$WORK/server.log")

entry() { # ALIAS OWNER ISSUER: what keytool says of it
    token -list -v -alias "$1"
    grep -qx 'Entry type: PrivateKeyEntry' keytool.log
    grep -qx "Owner: CN=$2" keytool.log
    grep -qx "Issuer: CN=$3" keytool.log
}

token -list
grep -q '^Your keystore contains 2 entries' keytool.log
entry client-ec client-ec 'latchkey throw-away CA'
ok 'keytool -list: keys and certificates that latchkey made'

token -genkeypair -alias made-ec -keyalg EC -groupname secp256r1 -dname CN=made-ec
token -genkeypair -alias made-rsa -keyalg RSA -keysize 2048 -dname CN=made-rsa
# No session key of keytool's was left behind beside the two that it kept.
latchkey key list --token demo --login --pin-file pin --json >keys.json
[ "$(grep -o '"protection": *"tpm"' keys.json | wc -l)" = 4 ]
for kind in ec rsa; do
    entry made-$kind made-$kind made-$kind
    token -certreq -alias made-$kind -file made-$kind.csr
    openssl req -in made-$kind.csr -noout -verify 2>verify.log
    openssl x509 -req -in made-$kind.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -out made-$kind.crt 2>/dev/null
    cat made-$kind.crt ca.crt >chain.crt # a token takes no trusted certificate of keytool's, so the reply has its CA
    token -importcert -noprompt -alias made-$kind -file chain.crt
    entry made-$kind made-$kind 'latchkey throw-away CA'
done
ok 'keytool -genkeypair, -certreq, -importcert: EC and RSA'

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=old-ec -keyout old-ec.key -out old-ec.crt \
    2>openssl.log
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=old-rsa -keyout old-rsa.key -out old-rsa.crt 2>openssl.log
for kind in ec rsa; do
    openssl pkcs12 -export -in old-$kind.crt -inkey old-$kind.key -name old-$kind -passout pass:secret -out old-$kind.p12
    timeout 120 keytool -importkeystore -noprompt -srckeystore old-$kind.p12 -srcstorepass secret -destkeystore NONE \
        -deststoretype PKCS11 -deststorepass:file pin -addprovider SunPKCS11 -providerarg java.cfg >keytool.log 2>&1
    entry old-$kind old-$kind old-$kind
done
ok 'keytool -importkeystore: EC and RSA from a PKCS#12 file'

printf 'a jar is a zip\n' >text
for kind in ec rsa; do
    jar cf signed-$kind.jar text
    timeout 120 jarsigner -keystore NONE -storetype PKCS11 -addprovider SunPKCS11 -providerArg java.cfg \
        -storepass:file pin signed-$kind.jar old-$kind >keytool.log 2>&1
    timeout 120 jarsigner -verify -verbose -certs signed-$kind.jar >keytool.log 2>&1
    grep -q '^jar verified' keytool.log
    grep -q "CN=old-$kind" keytool.log
done
ok 'jarsigner signs with the imported keys'

token -delete -alias old-ec
refused 'a deleted entry' entry old-ec old-ec old-ec
printf 00000000 >wrong-pin
STOREPASS=wrong-pin refused 'a wrong PIN' token -list
grep -q 'load failed' keytool.log
ok 'keytool -delete; a wrong PIN is refused'

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
    -addext 'subjectAltName = IP:127.0.0.1, DNS:localhost' -keyout server.key -out server.crt 2>openssl.log
PORT=$(free_port)
# -www answers with the connection's state, which names the client's certificate.
spawn openssl s_server -accept "127.0.0.1:$PORT" -cert server.crt -key server.key -CAfile ca.crt \
    -Verify 1 -verify_return_error -www -no_ticket >server.log 2>&1
wait_for 's_server' port_open "$PORT"

get() { # ALIAS VERSION PIN-FILE [TIMES]
    timeout 120 java -cp . Get java.cfg "$3" "$1" server.crt "TLSv$2" "https://localhost:$PORT/" "${@:4}" >page 2>get.err
}

for label in client-ec client-rsa made-ec made-rsa; do
    for version in 1.2 1.3; do
        get $label $version pin
        grep -q "Protocol  : TLSv$version" page
        grep -q "Subject: CN *= *$label" page
        ok "TLS $version with $label: the server names it"
    done
done
get client-rsa 1.3 pin 8
[ "$(grep -c 'Subject: CN *= *client-rsa' page)" = 8 ]
ok 'eight connections from the threads of one process'
refused 'a wrong PIN' get client-ec 1.3 wrong-pin
grep -q CKR_PIN_INCORRECT get.err
refused 'a certificate of another CA' get old-rsa 1.3 pin
ok 'a wrong PIN and a certificate of another CA get no page'
