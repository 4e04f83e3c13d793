#!/bin/bash
# What others did to the TPM before: its owner has an authorization, its storage root key is an RSA key.
. "$(dirname "$0")/lib.sh"
printf 123456 >pin
printf 87654321 >so-pin
# shellcheck disable=SC2317 # called by succeeds and exits
create() {
    lk token create --label "$1" --pin-file pin --so-pin-file so-pin "${@:2}"
}
works() { # TOKEN: makes a key and signs with it, as a process of its own each time
    succeeds lk key generate --token "$1" --type ec --label key --pin-file pin
    succeeds lk key csr key --token "$1" --subject /CN=key --pin-file pin -o csr
    holds openssl req -in csr -verify -noout 2>verified
}
nothing_left() { # no token, no index of one
    succeeds lk token list --json
    json 'd == []'
    tpm2 getcap handles-nv-index >out
    prints_not 0x18
}

# --- an owner authorization ---------------------------------------------------------------------------
start_tpm
tpm2 changeauth -c owner 'the owner'
export LATCHKEY_LOG=error
exits 6 create one
complains 'owner'
nothing_left
configure() { # FILE
    printf 'owner-auth-file = %s\n' "$DIR/$1" >"$LATCHKEY_CONF"
}
configure nowhere
exits 6 create one
complains 'owner-auth-file .*/nowhere cannot be read'
printf '%0.s-' {1..65} >long
configure long
exits 6 create one
complains 'holds more than 32 bytes'
printf 'another' >wrong
configure wrong
exits 6 create one
complains owner
nothing_left

printf 'the owner\n' >owner
configure owner
succeeds create one
works one
succeeds create two --max-pin-tries 5 # whose session is salted, and whose counters the owner reads
works two
succeeds lk token show two --json
json 'd["max_pin_tries"] == 5 and d["pin_tries_left"] == 5'
exits 4 lk key list --token two --login --pin-file so-pin
complains '4 of the token.s 5 tries are left'
succeeds lk token destroy one -y --so-pin-file so-pin
succeeds lk token destroy two -y --so-pin-file so-pin
nothing_left
stop_tpm

# --- an RSA storage root key ----------------------------------------------------------------------------
rm -rf tpm "$LATCHKEY_STORE" "$LATCHKEY_CONF"
start_tpm
tpm2 createprimary -Q -C o -G rsa2048 -c srk.ctx \
    -a 'restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda'
tpm2 evictcontrol -Q -C o -c srk.ctx 0x81000001 -o srk
tpm2 flushcontext -t
succeeds create three
works three
exits 4 lk key list --token three --login --pin-file so-pin # an answer to the PIN, not to a session that failed
tpm2 getcap handles-persistent >out
prints 0x81000001
prints_not 0x81000002
succeeds lk tpm status --json
json 'd["lockout_counter"] == 1'
finish
