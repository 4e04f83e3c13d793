#!/bin/bash
# URIs and configurations to paste: `uri` and `example`.
. "$(dirname "$0")/lib.sh"
start_token
succeeds lk key generate --label web --id 0a0b --pin-file pin
succeeds lk key generate --type aes --label box --id 0c --pin-file pin
openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -subj /CN=other -out other.crt 2>/dev/null
succeeds lk cert import other.crt --label other --id 0d --pin-file pin

# --- uri -------------------------------------------------------------------------------------------
succeeds lk uri
prints '^pkcs11:token='
same "$(wc -l <out)" 1
token=$(cat out)
succeeds lk uri web
same "$(cat out)" "$token;id=%0A%0B;object=web;type=private"
succeeds lk uri web --pin-file pin
same "$(cat out)" "$token;id=%0A%0B;object=web;type=private?pin-source=$DIR/pin"
succeeds lk uri web --class public
same "$(cat out)" "$token;id=%0A%0B;object=web;type=public"
succeeds lk uri 'pkcs11:id=%0D' --class cert
same "$(cat out)" "$token;id=%0D;object=other;type=cert"
succeeds lk uri box --login --pin-file pin
prints ';object=box;type=secret-key.pin-source'
# what it prints, the other verbs take
succeeds lk uri web --pin-file pin
succeeds lk sign "$(cat out)" other.crt -o signature
cp pin 'a pin & more?'
succeeds lk uri web --pin-file 'a pin & more?'
prints "pin-source=$DIR/a%20pin%20%26%20more%3F\$"
succeeds lk sign "$(cat out)" other.crt -o signature
exits 3 lk uri nothing
complains "there is no key 'nothing'"
exits 3 lk uri web --pin-file nowhere
complains 'there is no file nowhere'
exits 3 lk uri web --class cert
exits 2 lk uri web --class certificate
complains '--class is private'

succeeds lk module
same "$(cat out)" "$(realpath "$COMMAND" | xargs dirname)/latchkey-pkcs11.so"
exits 8 lk module --module /nowhere.so

# --- example ---------------------------------------------------------------------------------------
succeeds lk example
for program in nginx openssl; do
    prints "^$program "
done
succeeds lk example nginx web --pin-file pin
prints "ssl_certificate_key \"engine:pkcs11:$token;id=%0A%0B;object=web;type=private.pin-source=$DIR/pin\";"
complains 'The key has no certificate yet'
succeeds lk example nginx web
prints 'pin-source=/path/to/pin"'
succeeds lk key csr web --subject /CN=web --pin-file pin -o web.csr
openssl x509 -req -in web.csr -CA other.crt -CAkey other.key -CAcreateserial -out web.crt 2>/dev/null
succeeds lk cert import web.crt --pin-file pin
succeeds lk example openssl web -o openssl.cnf
same "$(cat err)" ''
holds grep -q "^MODULE_PATH = $(realpath "$COMMAND" | xargs dirname)/latchkey-pkcs11.so\$" openssl.cnf

# each template is filled whole, and says nothing of ours alone
succeeds lk example
while read -r program _; do
    lk example "$program" web --pin-file pin >filled 2>err || fails "example $program"
    [ -s filled ] || fails "$program is empty"
    ! grep -E '@[A-Z_]+@' filled || fails "$program has a placeholder that is not known"
done < <(cp out programs && cat programs)

# libp11 finds no key beside one that is neither RSA nor EC
succeeds lk key generate --type ed25519 --label login --pin-file pin
succeeds lk example nginx web
complains 'The token has an Ed25519 or X25519 key'
succeeds lk example ssh login
complains 'Most programs know RSA keys and EC keys on the NIST curves only'

head -c 32 other.key >long
succeeds lk example openssl web --pin-file long -o openssl.cnf
complains 'longer than the 31 bytes'

exits 2 lk example emacs web
complains "there is no example for 'emacs'"
exits 2 lk example nginx
complains 'the key is missing'
exits 3 lk example nginx nothing
exits 3 lk example nginx box
finish
