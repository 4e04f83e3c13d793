#!/bin/bash
# pkcs11-data, which keeps files as data objects, and pkcs11-dump, which asks every object for every
# attribute it knows. The first goes through pkcs11-helper, as OpenVPN and gnupg-pkcs11-scd do.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need pkcs11-tool pkcs11-data pkcs11-dump swtpm
world conformance

printf '#!/bin/sh\necho %s\n' "$PIN" >prompt # it asks a program for PINs
chmod +x prompt

data() {
    pkcs11-data --add-provider="$MODULE" --prompt-prog="$WORK/prompt" "$@"
}

head -c 2000 /dev/urandom >first
head -c 10 /dev/urandom >second

tokens() {
    data --cmd=tokens >tokens
    cat tokens
    grep -q conformance tokens
}
attempt tokens tokens
TOKEN=$(sed -n "s|.*label=.conformance.*id=.\(.*\).$|\1|p" tokens)

import() { # FILE [OPTION...]
    data --cmd=import --token="$TOKEN" --application=tests --label="$1" --file="$1" "${@:2}"
}
export_() { # FILE [OPTION...]
    data --cmd=export --token="$TOKEN" --application=tests --label="$1" --file="$1.back" "${@:2}"
    cmp "$1" "$1.back"
}
listing() {
    data --cmd=list --token="$TOKEN" "$@" >list
    cat list
    grep -q tests list
}
remove() { # FILE [OPTION...]
    data --cmd=remove --token="$TOKEN" --application=tests --label="$1" "${@:2}"
    refused 'an export of what was removed' export_ "$1" "${@:2}"
}
attempt import-private import first
attempt import-public import second --public
attempt list listing
attempt list-public listing --public
attempt export-private export_ first
attempt export-public export_ second --public
attempt remove-private remove first

for key in 01=rsa:2048 02=EC:prime256v1; do
    pkcs11-tool --module "$MODULE" --token-label conformance --login --pin "$PIN" --keypairgen \
        --key-type ${key#*=} --id ${key%=*} --label $key &>>tool.log
done
pkcs11-tool --module "$MODULE" --list-slots >slots
SLOT=$(sed -n 's/^Slot .* (\(0x[0-9a-f]*\)).*/\1/p' slots | head -n 1)
dump() {
    pkcs11-dump dump "$MODULE" "$((SLOT))" "$PIN" >dump
    cat dump
    [ "$(grep -c 'CKA_CLASS: *CKO_PRIVATE_KEY' dump)" = 2 ]
}
attempt dump-info pkcs11-dump info "$MODULE"
attempt dump-slotlist pkcs11-dump slotlist "$MODULE"
attempt dump dump
verdict
