#!/bin/bash
# The doctor: content with a sound installation, and names the trouble and its remedy in each that is
# not.
. "$(dirname "$0")/lib.sh"
start_token

succeeds lk doctor
prints '^ok '
succeeds lk doctor --json
json 'all(set(f) == {"level", "id", "text", "remedy"} for f in d)'
json 'all(f["level"] in ("ok", "note", "warning") for f in d)'
json 'all(f["remedy"] for f in d if f["level"] == "problem")'
found ok module
found warning p11-kit
found warning lockout-auth

# its own remedy mends the p11-kit warning; root's would write into /etc (setup.sh)
remedy=$(python3 -c 'import json
print([f["remedy"] for f in json.load(open("out")) if f["id"] == "p11-kit"][0])')
if [ "$(id -u)" = 0 ]; then
    same "$remedy" 'latchkey setup p11-kit'
else
    PATH=$(dirname "$COMMAND"):$PATH bash -c "$remedy -y" >out || fails 'the remedy does not run'
    succeeds lk doctor --json
    found ok p11-kit
    p11-kit list-modules >out
    prints 'latchkey'
fi

# a lockout: how long until a try comes back, and what ends it
tpm2_dictionarylockout -T "$LATCHKEY_TCTI" -s -n 1 -t 1234 -l 1234
printf 99999999 >wrong-pin
exits 4 lk object list --login --pin-file wrong-pin
exits 1 lk doctor --json
json 'any(f["id"] == "lockout" and f["level"] == "problem" and "1234 s" in f["text"]
          and f["remedy"] == "latchkey tpm unlock" for f in d)'
succeeds lk tpm unlock
tpm2_dictionarylockout -T "$LATCHKEY_TCTI" -s -n 1000 -t 1 -l 1
succeeds lk doctor --json
found ok lockout

succeeds lk tpm harden --recovery-file code
succeeds lk doctor --json
json 'not any(f["id"] == "lockout-auth" and f["level"] == "warning" for f in d)'

# nothing was written, no try burnt
succeeds lk tpm status --json
json 'd["lockout_counter"] == 0'

# no TPM
stop_tpm
exits 1 lk doctor --json
json 'any(f["level"] == "problem" for f in d)'
LATCHKEY_TCTI=device:/dev/nonexistent exits 1 lk doctor --json
found problem tpm-device
json 'any("latchkey tpm simulate start" in (f["remedy"] or "") for f in d)'

# no module
exits 1 "$COMMAND" doctor --module /nonexistent --json
found problem module

# the simulator: in use, then configured and gone
unset LATCHKEY_TCTI
rm -rf "$LATCHKEY_STORE"
succeeds lk tpm simulate start
succeeds lk doctor --json
found ok simulator
kill "$(cat "$LATCHKEY_STORE/swtpm/pid")"
until ! "$COMMAND" tpm simulate status >out; do sleep 0.05; done
exits 1 lk doctor --json
found problem simulator
finish
