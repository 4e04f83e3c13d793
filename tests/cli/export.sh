#!/bin/bash
# Public keys as openssl and OpenSSH read them.
. "$(dirname "$0")/lib.sh"
start_token

make() { # NAME OPENSSL-ARGUMENTS...
    local name=$1
    shift
    openssl genpkey "$@" -out "$name.pem" 2>/dev/null
    openssl pkey -in "$name.pem" -pubout -out "$name.pub"
    succeeds lk key import "$name.pub" --label "$name" --pin-file pin
}
make ec -algorithm EC -pkeyopt ec_paramgen_curve:P-256
make ec384 -algorithm EC -pkeyopt ec_paramgen_curve:P-384
make ec521 -algorithm EC -pkeyopt ec_paramgen_curve:P-521
make rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048
make ed -algorithm ed25519
for name in ec ec384 ec521 rsa ed; do
    succeeds lk key export "$name"
    holds cmp out "$name.pub"
    succeeds lk key export "$name" --format spki -o exported
    holds cmp exported "$name.pub"
    succeeds lk key export "$name" --format der
    openssl pkey -pubin -in "$name.pub" -pubout -outform DER -out want
    holds cmp out want
    succeeds lk key export "$name" --format ssh
    ssh-keygen -l -f out >fingerprint || fails "ssh-keygen does not read $name"
    prints " $name\$"
    # ssh-keygen -i knows RSA and EC; Ed25519's 32 bytes are the last ones of both forms
    if [ "$name" = ed ]; then
        same "$(cut -d' ' -f2 out | base64 -d | tail -c 32 | base64)" "$(tail -c 32 want | base64)"
    else
        ssh-keygen -i -m PKCS8 -f "$name.pub" >want
        same "$(cut -d' ' -f1,2 out)" "$(cut -d' ' -f1,2 want)"
    fi
done
for name in ed448 x448; do
    on_softhsm && break
    make "$name" -algorithm "$name"
    succeeds lk key export "$name"
    holds cmp out "$name.pub"
    succeeds lk key export "$name" --format der
    openssl pkey -pubin -in "$name.pub" -pubout -outform DER -out want
    holds cmp out want
    exits 1 lk key export "$name" --format ssh
    complains 'OpenSSH has no keys of this type'
done

# a pair's, by label and URI, with and without its public half
succeeds lk key generate --label pair --pin-file pin
succeeds lk key show pair --json
python3 -c 'import json; print(json.load(open("out"))["public_key"], end="")' >pair.pub
succeeds lk key export pair
holds cmp out pair.pub
succeeds lk key export 'pkcs11:object=pair;type=public' --format pem
holds cmp out pair.pub
exits 3 lk key export 'pkcs11:object=pair;type=private'
complains '--login'
succeeds lk key export 'pkcs11:object=pair;type=private' --login --pin-file pin
holds cmp out pair.pub
succeeds lk key export 'pkcs11:object=pair;type=public' -o pair2.pub
holds cmp pair2.pub pair.pub

# a line break in a label does not make a second line for authorized_keys
succeeds lk key import ec.pub --force --label $'a\nssh-ed25519 AAAA' --pin-file pin
succeeds lk key export $'a\nssh-ed25519 AAAA' --format ssh
same "$(wc -l <out)" 1

exits 2 lk key export ec --format jwk
exits 3 lk key export nothing
exits 1 lk key export ec -o /nonexistent/file
finish
