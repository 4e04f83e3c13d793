#!/bin/bash
# Secrets: private data objects by name.
. "$(dirname "$0")/lib.sh"
start_token

succeeds lk secret list --pin-file pin --json
json 'd == []'
printf 'correct horse\n' >value
succeeds lk secret put database value --pin-file pin
succeeds lk secret get database --pin-file pin
holds cmp out value
head -c 1000 /dev/urandom >binary
succeeds lk secret put binary --pin-file pin <binary
succeeds lk secret put typed - --pin-file pin < <(printf typed)
succeeds lk secret get binary --pin-file pin -o back
holds cmp back binary
same "$(stat -c %a back)" 600
succeeds lk secret list --pin-file pin
prints '^NAME +BYTES$'
prints '^binary +1000$'
succeeds lk secret list --pin-file pin --json
json '{s["name"]: s["bytes"] for s in d} == {"database": 14, "binary": 1000, "typed": 5}'
succeeds lk_typing 'from the keyboard' secret put keyboard --pin-file pin
succeeds lk secret get keyboard --pin-file pin
same "$(cat out)" 'from the keyboard'

# private: not seen without the PIN, and no object that another program calls so is a secret
succeeds lk object list --json
json 'd == []'
exits 4 lk secret get database --pin-file so-pin
exits 2 lk secret get database

exits 7 lk secret put database binary --pin-file pin
complains '--replace'
succeeds lk secret put database binary --replace --pin-file pin
succeeds lk secret get database --pin-file pin
holds cmp out binary
exits 3 lk secret get nothing --pin-file pin
complains 'secret list'
exits 3 lk secret put other nowhere --pin-file pin
exits 2 lk secret delete database --pin-file pin
exits 1 lk_typing 'no' secret delete database --pin-file pin
succeeds lk_typing 'yes' secret delete database --pin-file pin
exits 3 lk secret get database --pin-file pin
succeeds lk secret delete binary -y --pin-file pin
succeeds lk secret list --pin-file pin --json
json 'len(d) == 2'
finish
