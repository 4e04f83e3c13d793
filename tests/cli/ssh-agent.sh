#!/bin/bash
# The agent as OpenSSH's programs see it, and as somebody sees it who means no good.
. "$(dirname "$0")/lib.sh"
start_token
export TMPDIR=$DIR/tmp XDG_RUNTIME_DIR=$DIR/run
mkdir -m 700 tmp run
unset SSH_AUTH_SOCK SSH_AGENT_PID SSH_ASKPASS

make() { # LABEL ARGUMENTS...
    local label=$1
    shift
    succeeds lk key generate --label "$label" --pin-file pin "$@"
    lk key export "$label" --format ssh >"$label.pub"
}
make ed --type ed25519
make p256 --type ec
make p384 --type ec --curve P-384
make rsa --type rsa
make again --type ed25519 --always-authenticate
keys='ed p256 p384 rsa again'
lk key generate --label p521 --curve P-521 --pin-file pin >out 2>err && # not every TPM has it
    lk key export p521 --format ssh >p521.pub && keys+=' p521'
on_softhsm || succeeds lk key generate --label x --type x25519 --pin-file pin
succeeds lk key generate --label aes --type aes --pin-file pin

# shellcheck disable=SC2317 # exits and succeeds call it
agent() { # ARGUMENTS...
    setsid -w "$COMMAND" ssh-agent ${MODULE:+--module "$MODULE"} --pin-file pin "$@"
}

client() { # VERB ARGUMENTS...
    python3 "$HERE/agent_client.py" "$SSH_AUTH_SOCK" "$@"
}

# shellcheck disable=SC2317 # holds calls it
gone() { # PID: within five seconds, whether somebody has waited for it or not
    local i
    for ((i = 0; i < 50; i++)); do
        grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null || return 0
        sleep 0.1
    done
    return 1
}

# --- in the background ---------------------------------------------------------------------------

exec 9>held # not to be kept open by an agent in the background
succeeds agent
prints '^SSH_AUTH_SOCK=.*; export SSH_AUTH_SOCK;$'
prints '^SSH_AGENT_PID=[0-9]+; export SSH_AGENT_PID;$'
eval "$(cat out)"
exec 9>&-
holds test "${SSH_AUTH_SOCK%/*/agent}" = "$XDG_RUNTIME_DIR"
same "$(stat -c %a "$SSH_AUTH_SOCK")" 600
same "$(stat -c %a "$(dirname "$SSH_AUTH_SOCK")")" 700
if [ "$(id -u)" = 0 ]; then # others cannot look
    ls -l "/proc/$SSH_AGENT_PID/fd" >out
    prints_not held
fi

succeeds ssh-add -l
same "$(wc -l <out)" "$(wc -w <<<"$keys")"
succeeds ssh-add -L
cp out listed
for label in $keys; do
    ssh-keygen -lf "$label.pub" >fingerprint || fails "ssh-keygen does not read $label.pub"
    cp listed out
    prints "^$(sed 's/[+]/[+]/g' "$label.pub")\$"
    echo "me $(cat "$label.pub")" >signers
    echo hello >message
    rm -f message.sig
    succeeds ssh-keygen -Y sign -f "$label.pub" -n file message
    succeeds ssh-keygen -Y verify -f signers -I me -n file -s message.sig <message
    exits 255 ssh-keygen -Y verify -f signers -I me -n file -s message.sig <signers
    # of an RSA key this ssh-add wants SHA-1
    [ "$label" = rsa ] || succeeds ssh-add -T "$label.pub"
done

for wanted in '0 refused' '1 refused' '2 rsa-sha2-256' '4 rsa-sha2-512' '6 rsa-sha2-256'; do
    same "$(client sign rsa "${wanted% *}" message)" "${wanted#* }"
done
same "$(client sign ed 4 message)" ssh-ed25519

# a key that is made meanwhile is seen, one that is deleted is not
make late --type ed25519
succeeds ssh-add -T late.pub
succeeds lk key delete late --yes --pin-file pin
exits 1 ssh-add -T late.pub

# what a token's agent does not do
ssh-keygen -q -t ed25519 -N '' -f other
exits 1 ssh-add other
exits 1 ssh-add -D
exits 1 ssh-add -d ed.pub

succeeds client hostile
holds kill -0 "$SSH_AGENT_PID"

# --- locked --------------------------------------------------------------------------------------

askpass() { # PASSWORD
    printf '#!/bin/sh\necho "%s"\n' "$1" >askpass
    chmod 700 askpass
}
export SSH_ASKPASS=$DIR/askpass SSH_ASKPASS_REQUIRE=force
askpass 'open sesame'
succeeds ssh-add -x
exits 1 ssh-add -l
prints 'no identities'
exits 1 ssh-add -T ed.pub
succeeds client locked
askpass 'open barley'
exits 1 ssh-add -X
exits 1 ssh-add -l
askpass 'open sesame'
succeeds ssh-add -X
succeeds ssh-add -T ed.pub
exits 1 ssh-add -X
unset SSH_ASKPASS SSH_ASKPASS_REQUIRE

# --- another PIN ---------------------------------------------------------------------------------

# What was logged in stays so. A key that wants the PIN again gets the old one once, not each time.
wrong_pins() {
    lk tpm status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["lockout_counter"])'
}
if ! on_softhsm; then
    printf 234567 >new-pin
    before=$(wrong_pins)
    succeeds lk token pin --pin-file pin --new-pin-file new-pin
    for _ in 1 2 3; do
        exits 1 ssh-add -T again.pub
    done
    same "$(wrong_pins)" $((before + 1))
    succeeds ssh-add -T ed.pub
    succeeds lk token pin --pin-file new-pin --new-pin-file pin
fi

# --- its end -------------------------------------------------------------------------------------

exits 2 env -u SSH_AGENT_PID "$COMMAND" ssh-agent -k
exits 3 env SSH_AGENT_PID=$$ "$COMMAND" ssh-agent -k
exits 3 env SSH_AUTH_SOCK="$DIR/none" "$COMMAND" ssh-agent -k
holds kill -0 "$SSH_AGENT_PID"
succeeds "$COMMAND" ssh-agent -k
prints '^unset SSH_AUTH_SOCK;$'
prints '^unset SSH_AGENT_PID;$'
holds gone "$SSH_AGENT_PID"
holds test -z "$(ls -A run)"
exits 3 "$COMMAND" ssh-agent -k

# --- in the foreground, at a place of one's own --------------------------------------------------

start_foreground() { # SOCKET
    rm -f lines
    setsid "$COMMAND" ssh-agent ${MODULE:+--module "$MODULE"} --pin-file pin -D -a "$1" \
        >lines 2>lines.err &
    local i
    for ((i = 0; i < 100; i++)); do
        grep -q SSH_AGENT_PID lines 2>/dev/null && break
        sleep 0.1
    done
    eval "$(cat lines)"
}

start_foreground "it's here"
same "$SSH_AUTH_SOCK" "$DIR/it's here"
same "$SSH_AGENT_PID" $!
same "$(stat -c %a "$SSH_AUTH_SOCK")" 600
succeeds ssh-add -T ed.pub
exits 1 agent --socket "it's here"
complains 'in use'
succeeds ssh-add -T ed.pub # the first one is not disturbed
if [ "$(id -u)" = 0 ]; then
    chmod 755 .
    chmod 666 "$SSH_AUTH_SOCK"
    succeeds setpriv --reuid=nobody --regid=nogroup --clear-groups \
        /usr/bin/python3 - "$SSH_AUTH_SOCK" dropped <"$HERE/agent_client.py"
fi
{ kill -KILL "$SSH_AGENT_PID" && wait "$SSH_AGENT_PID"; } 2>/dev/null
holds test -S "$SSH_AUTH_SOCK"
start_foreground "it's here" # takes the place of the one that was killed
for signal in TERM INT HUP; do
    succeeds ssh-add -T ed.pub
    kill -"$signal" "$SSH_AGENT_PID"
    holds gone "$SSH_AGENT_PID"
    holds test ! -e "$SSH_AUTH_SOCK"
    start_foreground "it's here"
done
kill "$SSH_AGENT_PID"
wait "$SSH_AGENT_PID"
same $? 0
touch taken
exits 1 agent -D -a taken
holds test -f taken
exits 2 agent -D -a "$(printf '%0200d' 1)"

# --- with a command ------------------------------------------------------------------------------

unset SSH_AUTH_SOCK SSH_AGENT_PID
succeeds agent ssh-add -l
prints 'ED25519'
# shellcheck disable=SC2016 # the command's own shell expands it
exits 7 agent -- sh -c 'echo "$SSH_AUTH_SOCK"; ls -l /proc/self/fd; kill -0 $SSH_AGENT_PID && exit 7'
prints "^$XDG_RUNTIME_DIR/"
prints_not 'tpm|store'
exits 143 agent sh -c 'kill $$'
exits 127 agent "$DIR/nothing-there"
exits 126 agent "$DIR/pin"
# shellcheck disable=SC2016
TEST_PIN=123456 succeeds "$COMMAND" ssh-agent ${MODULE:+--module "$MODULE"} --pin-env TEST_PIN \
    sh -c 'ssh-add -T ed.pub && test -z "$TEST_PIN"'
holds test -z "$(find run tmp -name 'latchkey*')"

# the shell's other places: without a runtime directory, and with one that is not there
# shellcheck disable=SC2016
XDG_RUNTIME_DIR=/nonexistent succeeds agent sh -c 'echo $SSH_AUTH_SOCK'
prints "^$TMPDIR/"

# --- the PIN -------------------------------------------------------------------------------------

printf 999999 >wrong
exits 4 lk ssh-agent --pin-file wrong
exits 4 lk ssh-agent --pin-file wrong -D
exits 4 agent --pin-file wrong echo started
prints_not started
exits 2 lk ssh-agent </dev/null
complains 'no terminal'
exits 3 lk ssh-agent --pin-file pin --token another
succeeds lk_typing 123456 ssh-agent
sed -n '/^SSH_/p' out >lines
eval "$(cat lines)"
succeeds ssh-add -T ed.pub # although the terminal is gone
succeeds "$COMMAND" ssh-agent -k
holds test -z "$(ls -A run)"
finish
