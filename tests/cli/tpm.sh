#!/bin/bash
# The TPM's count of wrong PINs: shown, guarded by a recovery code, reset with it and with nothing else.
. "$(dirname "$0")/lib.sh"
start_tpm
succeeds lk tpm status --json # nothing is there yet, and this makes nothing
json 'd["srk_handle"] is None and d["srk_name"] is None'
stop_tpm
start_token

succeeds lk tpm status
prints 'WRONG PINS +0 of 1000'
complains 'protects nothing'
succeeds lk tpm status --json
json 'd["simulator"] and not d["in_lockout"] and not d["lockout_auth_set"]'
json "d['tcti'] == '$LATCHKEY_TCTI' and d['max_tries'] == 1000 and d['recovery_time'] == 1000"

# unguarded: the count falls without a code
exits 4 lk key list --login --pin-file so-pin
succeeds lk tpm status --json
json 'd["lockout_counter"] == 1'
succeeds lk tpm unlock
complains 'latchkey tpm harden'
succeeds lk tpm status --json
json 'd["lockout_counter"] == 0'

# a code that is not typed back changes nothing
exits 2 lk tpm harden
exits 4 lk_typing '1234' tpm harden
exits 1 lk_typing '0000-0000-0000-0000-0000-0000-0000-0000-84e0' tpm harden
touch taken
exits 1 lk tpm harden --recovery-file taken
succeeds lk tpm status --json
json 'd["lockout_auth_set"] is False and d["max_tries"] == 1000'

succeeds lk_typing '<((?:[0-9a-f]{4}-){8}[0-9a-f]{4})>' tpm harden
prints '69 days'
code=$(grep -m 1 -oE '([0-9a-f]{4}-){8}[0-9a-f]{4}' out)
printf '%s\n' "$code" >code
succeeds lk tpm status --json
json 'd["lockout_auth_set"] and d["max_tries"] == 32 and d["recovery_time"] == 600'
json 'd["lockout_recovery"] == 86400'

# unlock with it; a slip is noticed before the TPM counts it
exits 4 lk key list --login --pin-file so-pin
exits 2 lk tpm unlock
echo "${code/%????/ffff}" >slip
exits 4 lk tpm unlock --recovery-file slip
complains 'not asked'
echo "${code/%????/wxyz}" >slip
exits 4 lk tpm unlock --recovery-file slip
complains 'nine groups of four of 0-9 and a-f'
succeeds lk tpm unlock --recovery-file code
succeeds lk_typing "${code^^}" tpm unlock
succeeds lk_typing "${code//-/}" tpm unlock
succeeds lk tpm status --json
json 'd["lockout_counter"] == 0'

# a new code in place of the old
exits 2 lk tpm harden --recovery-file new-code
holds test ! -e new-code
succeeds lk tpm harden --recovery-file new-code --old-recovery-file code --max-tries 10 \
    --recovery-time 60 --lockout-recovery 1
same "$(stat -c %a new-code)" 600
succeeds lk tpm status --json
json 'd["max_tries"] == 10 and d["recovery_time"] == 60 and d["lockout_recovery"] == 1'
succeeds lk tpm unlock --recovery-file new-code
exits 4 lk tpm unlock --recovery-file code
complains 'every code for 1 s'
exits 5 lk tpm unlock --recovery-file new-code
complains 'before'
sleep 2
succeeds lk tpm unlock --recovery-file new-code
exits 4 lk tpm harden --recovery-file third --old-recovery-file code
complains 'Keep third until'
sleep 2
succeeds lk tpm unlock --recovery-file new-code
! tpm2 dictionarylockout --clear-lockout 2>err || fails 'the count is reset without the code'
sleep 2
succeeds lk tpm unlock --recovery-file new-code

# an orphan: an index in latchkey's range that no token names is listed and goes only by force
tpm2_nvdefine -T "$LATCHKEY_TCTI" 0x1812345 -C o -s 8 -a 'ownerread|ownerwrite' >/dev/null
succeeds lk doctor --json
json 'any(f["id"] == "nv-orphan" and "tpm remove-index 0x1812345" in f["remedy"] for f in d)'
exits 2 lk tpm remove-index 0x1812345
exits 2 lk tpm remove-index fish --force
exits 3 lk tpm remove-index 0x1500000 --force
succeeds lk tpm remove-index 0x1812345 --force
succeeds lk doctor --json
json 'not any(f["id"] == "nv-orphan" for f in d)'
finish
