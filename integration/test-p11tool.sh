#!/bin/bash
# GnuTLS's p11tool: list, generate, export, write, and --test-sign.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need p11tool certtool openssl swtpm
scratch
cd "$WORK"
make_token demo
make_key demo ec 01 ec
make_key demo rsa 02 rsa
GNUTLS_PIN=$(cat "$PIN_FILE")
export GNUTLS_PIN

p11() {
    p11tool --provider "$MODULE" --batch "$@" 2>p11.err || {
        cat p11.err >&2
        return 1
    }
}

p11 --list-tokens >tokens
grep -q 'Label: demo' tokens
p11 --list-mechanisms pkcs11:token=demo >mechanisms
grep -q CKM_ECDSA mechanisms
grep -q CKM_RSA_PKCS_PSS mechanisms
ok 'lists the token and its mechanisms'

p11 --list-all pkcs11:token=demo >before
p11 --login --list-all pkcs11:token=demo >after
[ "$(grep -c 'type=public' before)" = 2 ]
refused 'a look at private keys' grep -q 'type=private' before
[ "$(grep -c 'URL:.*type=private' after)" = 2 ]
p11 --login --list-keys pkcs11:token=demo >keys
grep -q 'Type: Private key (EC/ECDSA-SECP256R1)' keys
grep -q 'Type: Private key (RSA-2048)' keys
grep -q 'Flags:.*CKA_SENSITIVE' keys
ok 'lists the keys, private ones after login'

for key in ec rsa; do
    p11 --export-pubkey --login "pkcs11:token=demo;object=$key;type=private" --outfile "$key.pub"
    openssl pkey -pubin -in "$key.pub" -noout
    p11 --login --test-sign "pkcs11:token=demo;object=$key;type=private" >/dev/null
done
p11 --login --test-sign --sign-params=RSA-PSS --hash=SHA256 \
    'pkcs11:token=demo;object=rsa;type=private' >/dev/null
ok 'exports public keys; --test-sign with EC, RSA, RSA-PSS'

p11 --login --generate-privkey=ecdsa --curve=secp384r1 --label made --id 0a --outfile made.pub \
    pkcs11:token=demo
p11 --login --test-sign 'pkcs11:token=demo;object=made;type=private' >/dev/null
openssl pkey -pubin -in made.pub -text -noout | grep -q P-384
ok 'generates a P-384 key'

printf 'cn = made\nca\nexpiration_days = 1\n' >template
certtool --generate-self-signed --template template --outfile made.crt --provider "$MODULE" \
    --load-privkey 'pkcs11:token=demo;object=made;type=private' \
    --load-pubkey 'pkcs11:token=demo;object=made;type=public' 2>/dev/null
openssl verify -CAfile made.crt made.crt >/dev/null
p11 --login --write --load-certificate made.crt --label made --id 0a pkcs11:token=demo
p11 --export 'pkcs11:token=demo;object=made;type=cert' --outfile made.back
same 'the certificate' <(openssl x509 -in made.crt -outform DER) \
    <(openssl x509 -in made.back -outform DER)
ok 'certtool signs a certificate with it; p11tool writes it and reads it back'

p11 --login --delete 'pkcs11:token=demo;object=made;type=private'
refused 'a deleted key' p11 --login --test-sign 'pkcs11:token=demo;object=made;type=private'
ok 'deletes the key'
