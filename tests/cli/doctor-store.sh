#!/bin/bash
# The doctor on stores and tokens with which something is the matter: it says what, and what to do.
. "$(dirname "$0")/lib.sh"
start_token
MODULE_FILE=$LATCHKEY_BUILD/latchkey-pkcs11.so

# shellcheck disable=SC2317 # called by succeeds and exits
mortal() { # COMMAND...: without root's right to read and write everything
    if [ "$(id -u)" = 0 ]; then
        setpriv --bounding-set=-dac_override,-dac_read_search "$@"
    else
        "$@"
    fi
}

of_token() { # LEVEL ID LABEL
    json "any(f['level'] == '$1' and f['id'] == '$2' and \"token '$3'\" in f['text'] for f in d)"
}

# --- tokens --------------------------------------------------------------------------------------------
succeeds lk token create --label few --max-pin-tries 3 --pin-file pin --so-pin-file so-pin
echo 'pin-storage = sealed' >"$LATCHKEY_CONF"
succeeds lk token create --label boxed --pin-file pin --so-pin-file so-pin
rm "$LATCHKEY_CONF"
pkcs11-tool --module "$MODULE_FILE" --init-token --slot-index 3 --label $'be\all' --so-pin 87654321 >out 2>err
succeeds lk doctor --json
of_token ok token web
of_token ok token-tries few
json 'any("all 3 tries" in f["text"] for f in d)'
of_token warning token-sealed boxed
of_token note token-pin 'be?ll'
json 'any(f["id"] == "token-pin" and f["remedy"] == "latchkey token reset-pin" for f in d)'

# --- the file --------------------------------------------------------------------------------------------
chmod 664 "$LATCHKEY_STORE/store.db"
succeeds lk doctor --json
found warning store-mode
json 'any(f["remedy"] == "chmod o= the file" for f in d)'
chmod 440 "$LATCHKEY_STORE/store.db"
chmod 550 "$LATCHKEY_STORE"
succeeds mortal "$COMMAND" doctor --json
found ok store
found note store-read-only
json 'not any(f["id"] == "store-mode" for f in d)'
chmod 000 "$LATCHKEY_STORE/store.db"
exits 1 mortal "$COMMAND" doctor --json
found problem store-permission
json 'any("Permission denied" in f["text"] for f in d)'
chmod 750 "$LATCHKEY_STORE"
chmod 660 "$LATCHKEY_STORE/store.db"
succeeds lk doctor --json

cp "$LATCHKEY_STORE/store.db" kept
python3 -c 'import sqlite3, sys
sqlite3.connect(sys.argv[1]).execute("PRAGMA user_version = 1000")' "$LATCHKEY_STORE/store.db"
exits 1 lk doctor --json
found problem store-version
json 'any("newer" in f["remedy"] for f in d if f["id"] == "store-version")'
head -c 4096 /dev/zero >"$LATCHKEY_STORE/store.db"
exits 1 lk doctor --json
found problem store-damaged
cp kept "$LATCHKEY_STORE/store.db"

# --- another TPM ---------------------------------------------------------------------------------------
stop_tpm
rm -rf tpm
start_tpm
exits 1 lk doctor --json
of_token problem token-foreign web
of_token problem token-foreign boxed
finish
