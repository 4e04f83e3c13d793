#!/bin/bash
# The managed software TPM: started, found running, stopped in order; the config file keeps what is not
# ours; a process that is not the simulator is never ended.
. "$(dirname "$0")/lib.sh"
SOCKET=$LATCHKEY_STORE/swtpm/socket

pid_of() {
    python3 -c 'import json; print(json.load(open("out"))["pid"])'
}

# shellcheck disable=SC2317 # holds calls it
gone() { # PID: it has ended; who inherited it may take a moment to collect it
    local i
    for ((i = 0; i < 100; i++)); do
        [ -e "/proc/$1" ] || return 0
        sleep 0.05
    done
    return 1
}

exits 3 lk tpm simulate status --json
json 'd["running"] is False and d["pid"] is None'
succeeds lk tpm simulate stop
holds test ! -e "$LATCHKEY_CONF"

printf 'log = error\n# a comment\ntcti = device:/dev/null' >latchkey.conf
chmod 640 latchkey.conf
cp latchkey.conf before.conf
succeeds lk tpm simulate start --json
json "d['running'] and d['tcti'] == 'swtpm:path=$SOCKET'"
complains 'protects nothing'
pid=$(pid_of)
same "$(tail -n 1 latchkey.conf)" "tcti = swtpm:path=$SOCKET"
same "$(head -n 3 latchkey.conf)" "$(cat before.conf)"
same "$(stat -c %a latchkey.conf "$SOCKET" "$SOCKET.ctrl" "$LATCHKEY_STORE")" $'640\n600\n600\n700'
holds tpm2_getrandom -T "swtpm:path=$SOCKET" -o random 8

# again: the same process, the line once
succeeds lk tpm simulate start --json
same "$(pid_of)" "$pid"
same "$(grep -c swtpm: latchkey.conf)" 1
succeeds lk tpm simulate status --json
same "$(pid_of)" "$pid"
LATCHKEY_TCTI=device:/dev/null succeeds lk tpm simulate start
complains 'LATCHKEY_TCTI'

# an orderly stop: the next start finds no unorderly shutdown, and the state of before
tpm2_nvdefine -T "swtpm:path=$SOCKET" 0x1500001 -s 8 >/dev/null || fails 'no NV index can be made'
succeeds lk tpm simulate stop
prints 'RUNNING +no'
holds gone "$pid"
holds test ! -e "$SOCKET"
same "$(cat latchkey.conf)" "$(cat before.conf)"
exits 3 lk tpm simulate status
succeeds lk tpm simulate stop
succeeds lk tpm simulate start --json
tpm2_getcap -T "swtpm:path=$SOCKET" properties-variable >out
prints 'orderly: *1'
tpm2_nvreadpublic -T "swtpm:path=$SOCKET" >out
prints '0x1500001'

# killed, with stale sockets left: started anew
succeeds lk tpm simulate status --json
old=$(pid_of)
kill -9 "$old"
holds gone "$old"
exits 3 lk tpm simulate status
succeeds lk tpm simulate start --json
new=$(pid_of)
holds test "$new" != "$old"

# the pid file names somebody else: not taken for the simulator, not ended
cp "$LATCHKEY_STORE/swtpm/pid" pid.saved
sleep 60 &
stranger=$!
echo "$stranger" >"$LATCHKEY_STORE/swtpm/pid"
exits 3 lk tpm simulate status
succeeds lk tpm simulate stop
holds kill -0 "$stranger"
kill "$stranger"
cp pid.saved "$LATCHKEY_STORE/swtpm/pid"
succeeds lk tpm simulate stop
holds gone "$new"

# made where there is no config file yet, also two at once
export LATCHKEY_CONF=$DIR/home/config/latchkey.conf
lk tpm simulate start --json >one 2>err &
other=$!
succeeds lk tpm simulate start --json
wait "$other" || fails 'the other start'
same "$(cat one)" "$(cat out)"
same "$(stat -c %a "$LATCHKEY_CONF")" 600
succeeds lk tpm simulate stop

LATCHKEY_STORE=$DIR/$(printf 'x%.0s' {1..120})
exits 1 lk tpm simulate start
complains 'too long'
finish
