#!/bin/bash
# Tokens: made, listed, shown, their PINs changed and reset, destroyed; and every way a PIN comes in.
. "$(dirname "$0")/lib.sh"
start_tpm
printf 123456 >pin
printf 87654321 >so-pin

succeeds lk token list
complains 'No token yet'
succeeds lk token list --json
json 'd == []'
exits 3 lk token show
complains 'latchkey token create'

# create: nothing is asked where there is no terminal
exits 2 lk token create
complains 'no terminal'
exits 2 lk token create --so-pin-file so-pin
exits 2 lk token create --pin-file pin
exits 3 lk token create --pin-file pin --so-pin-file nowhere
exits 2 lk token create --pin-file pin --so-pin-env NOT_SET
exits 2 lk token create --pin-file pin --so-pin-file so-pin --so-pin-fd 3
exits 2 lk token create --pin-fd none --so-pin-file so-pin
printf '\n' >empty
exits 2 lk token create --pin-file empty --so-pin-file so-pin
printf 'abc' >short
exits 2 lk token create --pin-file short --so-pin-file so-pin
complains '4 to 255'
exits 2 lk token create --pin-file pin --so-pin-file short
succeeds lk token list --json
json 'd == []'

succeeds lk token create --label web --pin-file pin --so-pin-file so-pin --json
json 'd["label"] == "web" and d["uri"] == "pkcs11:token=web" and d["pin"] == "ready"'
exits 7 lk token create --label web --pin-file pin --so-pin-file so-pin
complains 'already'
succeeds lk token list
prints '^web '
succeeds lk token show web --json
json 'd["store"].endswith("/store") and d["objects"] == 0 and d["unattended"] is False'
json 'd["user_index"].startswith("0x01") and d["pin_rounds"] == 10000'
exits 3 lk token show other
exits 3 lk token show 'pkcs11:token=other'
exits 2 lk token show 'pkcs11:token=web?pin-value=123456'
complains 'refused'
exits 2 lk token show 'pkcs11:nonsense=web'
exits 2 lk token show web --token web

# PINs from everywhere
succeeds lk key list --login --pin-file pin
succeeds lk key list --login --pin-fd 3 3<pin
PIN=123456 succeeds lk key list --login --pin-env PIN
succeeds lk key list --login --token "pkcs11:token=web?pin-source=file:$DIR/pin"
succeeds lk key list --login --token "pkcs11:token=web?pin-source=$DIR/pin"
succeeds lk key list --login --token "pkcs11:token=web?pin-source=file://$DIR/pin"
exits 2 lk key list --login --token 'pkcs11:token=web?pin-source=%7Ccat%20pin'
printf '%0.s7' {1..600} >long
exits 2 lk key list --login --pin-file long
complains 'is too long'
exits 1 lk_typing '' key list --login
prints 'nothing was typed'
exits 3 lk key list --token "$(printf '%0.sx' {1..33})"
complains 'a label has at most 32 bytes'
printf '123456\r\nsecond line\n' >two-lines
succeeds lk key list --login --pin-file two-lines
succeeds lk_typing 123456 key list --login
prints 'User PIN: '
prints_not 123456
exits 2 lk key list --login

# change
printf 654321 >new-pin
succeeds lk token pin --pin-file pin --new-pin-file new-pin
exits 4 lk key list --login --pin-file pin
succeeds lk key list --login --pin-file new-pin
succeeds lk_typing '654321|222222|222222' token pin
exits 2 lk_typing '222222|333333|444444' token pin
prints 'not the same'
printf 222222 >pin
succeeds lk key list --login --pin-file pin
printf 11223344 >new-so
succeeds lk token pin --so --so-pin-file so-pin --new-pin-file new-so
exits 4 lk token reset-pin --so-pin-file so-pin --new-pin-file new-pin
succeeds lk token reset-pin web --so-pin-file new-so --new-pin-file new-pin
succeeds lk key list --login --pin-file new-pin

# generated PINs
succeeds lk token create --label gateway --unattended --pin-file-out gw-pin --generate-so-pin gw-so
same "$(stat -c '%a %s' gw-pin)" '600 31'
same "$(stat -c '%a %s' gw-so)" '600 32'
succeeds lk token show gateway --json
json 'd["unattended"] is True'
exits 7 lk key list
complains '2 tokens'
succeeds lk key list --token gateway --login --pin-file gw-pin
exits 1 lk token create --label third --unattended --pin-file-out gw-pin --generate-so-pin third-so
holds test ! -e third-so

# a wrong PIN of an unattended token is not counted
succeeds lk tpm status --json
before=$(python3 -c 'import json; print(json.load(open("out"))["lockout_counter"])')
exits 4 lk key list --token gateway --login --pin-file pin
succeeds lk tpm status --json
json "d['lockout_counter'] == $before"

# a token with a limit of its own: it alone is locked, and the SO opens it again
exits 2 lk token create --label few --max-pin-tries 2 --pin-file pin --so-pin-file so-pin
exits 2 lk token create --label few --max-pin-tries 3x --pin-file pin --so-pin-file so-pin
exits 2 lk token create --max-pin-tries 3 --unattended --pin-file-out few-pin
complains 'does not go with'
succeeds lk token create --label few --max-pin-tries 3 --pin-file pin --so-pin-file so-pin
succeeds lk token show few --json
json 'd["max_pin_tries"] == 3 and d["pin_tries_left"] == 3'
succeeds lk token show web --json
json 'd["max_pin_tries"] is None and d["pin_tries_left"] is None'
printf 99999999 >wrong-pin
exits 4 lk key list --token few --login --pin-file wrong-pin
complains '2 of the token.s 3 tries are left'
succeeds lk token show few --json
json 'd["pin_tries_left"] == 2 and d["pin"] == "wrong PINs counted"'
exits 4 lk key list --token few --login --pin-file wrong-pin
complains '1 of the token.s 3 tries is left'
succeeds lk doctor --json
json 'any(f["id"] == "token-tries" and f["level"] == "note" for f in d)'
exits 4 lk key list --token few --login --pin-file wrong-pin
complains 'No try is left'
exits 5 lk key list --token few --login --pin-file pin
complains 'limit of 3 wrong PINs is reached'
complains 'latchkey token reset-pin'
succeeds lk token show few --json
json 'd["pin_tries_left"] == 0 and d["pin"] == "locked"'
exits 1 lk doctor --json
json 'any(f["id"] == "token-tries" and f["level"] == "problem"
          and f["remedy"] == "latchkey token reset-pin" for f in d)'
succeeds lk tpm status --json
json "d['lockout_counter'] == $before"
succeeds lk key list --token web --login --pin-file new-pin
succeeds lk token reset-pin few --so-pin-file so-pin --new-pin-file pin
succeeds lk key list --token few --login --pin-file pin
succeeds lk token show few --json
json 'd["pin_tries_left"] == 3'
succeeds lk token destroy few --yes --so-pin-file so-pin
succeeds lk doctor --json
json 'not any(f["id"] == "nv-orphan" for f in d)'

# destroy
exits 2 lk token destroy web --so-pin-file new-so
exits 1 lk_typing 'wbe' token destroy web --so-pin-file new-so
exits 4 lk token destroy web --yes --so-pin-file so-pin
succeeds lk_typing 'web' token destroy web --so-pin-file new-so
exits 3 lk token show web
succeeds lk token destroy --token gateway --yes --force
succeeds lk token list --json
json 'd == []'
finish
