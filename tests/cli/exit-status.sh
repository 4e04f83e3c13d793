#!/bin/bash
# A failure's exit status says of what kind it is, and its text what to do next. (2: usage.sh)
. "$(dirname "$0")/lib.sh"
start_token

exits 3 lk token show other
exits 3 lk key show other
exits 3 lk cert import nowhere.pem --pin-file pin
printf 9999 >wrong
exits 4 lk key list --login --pin-file wrong
complains 'PIN is wrong \(CKR_PIN_INCORRECT\)'
exits 4 lk token reset-pin --so-pin-file wrong --new-pin-file pin
exits 7 lk token create --label web --pin-file pin --so-pin-file so-pin
succeeds lk token create --label two --pin-file pin --so-pin-file so-pin
exits 7 lk key list
complains '--token'
exits 8 "$COMMAND" token list --module /nonexistent
exits 8 "$COMMAND" token list --module /dev/null
cp "$COMMAND" alone # nothing is beside it: where it is installed
if ./alone version >out 2>err; then
    prints '/pkcs11/latchkey-pkcs11.so: '
else
    exits 8 ./alone token list
    complains '/pkcs11/latchkey-pkcs11.so: cannot open'
fi
long=swtpm:path=/$(printf '%0.sx' {1..300})
LATCHKEY_LOG=error LATCHKEY_TCTI=$long exits 6 lk tpm status
complains "the tcti '$long' is too long"

# lockout
tpm2 dictionarylockout --clear-lockout
tpm2 dictionarylockout --setup-parameters --max-tries=3 --recovery-time=1000 \
    --lockout-recovery-time=1000
exits 4 lk key list --token web --login --pin-file wrong
succeeds lk token show web
prints 'PIN +wrong PINs counted'
exits 4 lk key list --token web --login --pin-file wrong
complains 'One try is left'
exits 4 lk key list --token web --login --pin-file wrong
complains 'last try'
exits 5 lk key list --token web --login --pin-file pin
complains 'latchkey tpm unlock'
succeeds lk token list --json
json 'all(t["pin"] == "locked" for t in d)'
succeeds lk tpm unlock
succeeds lk key list --token web --login --pin-file pin

# the store is read without a TPM, the keys are not
stop_tpm
succeeds lk token list
exits 6 lk key list --token web --login --pin-file pin
complains 'latchkey doctor'
exits 6 lk tpm status

# another TPM
rm -rf tpm
start_tpm
exits 6 lk key list --token web --login --pin-file pin
complains 'latchkey doctor'
finish
