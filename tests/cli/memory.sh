#!/bin/bash
# The command tells a PIN to nobody. The agent, which is there for months, keeps the one it was given, for keys that want it at
# each use: where it is not dumped, not swapped and not inherited.
. "$(dirname "$0")/lib.sh"
start_token
export TMPDIR=$DIR/tmp XDG_RUNTIME_DIR=$DIR/run
mkdir -m 700 tmp run
unset SSH_AUTH_SOCK SSH_AGENT_PID SSH_ASKPASS

random() {
    od -An -tx1 -N 16 /dev/urandom | tr -d ' \n'
}
random >long
random >long-so
random >wrong
export LATCHKEY_LOG=trace LATCHKEY_LOG_FILE=$DIR/log
succeeds lk token create --label other --pin-file long --so-pin-file long-so
succeeds lk key generate --token other --label ed --type ed25519 --pin-file long

holds_pin_guarded() { # PID
    local secret
    for secret in long long-so wrong; do
        python3 "$HERE/memory.py" "$1" "$secret" guarded >where || fails "$secret is in the agent's ordinary memory: $(cat where)"
    done
}

agent() { # COMMAND...: it is up, and signs
    succeeds "$@"
    sed -n '/SSH_A/p' out >variables # a terminal shows its prompt as well
    tr -d '\r' <variables | sed 's/^.*SSH_AUTH_SOCK=/SSH_AUTH_SOCK=/' >clean
    eval "$(cat clean)"
    succeeds ssh-add -l
    cut -d' ' -f3 out >names
    succeeds ssh-add -L
    cp out ed.pub
    succeeds ssh-add -T ed.pub
}

# the search finds what is there: a shell's variable
# shellcheck disable=SC2034
bash -c 'pin=$(cat long); read -r end' < <(sleep 60) &
shell=$!
for ((i = 0; i < 100; i++)); do
    python3 "$HERE/memory.py" "$shell" long >where || break
    sleep 0.1
done
holds test -s where
kill "$shell"

agent lk ssh-agent --token other --pin-file long
holds_pin_guarded "$SSH_AGENT_PID"
kill "$SSH_AGENT_PID"

agent lk_typing "$(cat long)" ssh-agent --token other
holds_pin_guarded "$SSH_AGENT_PID"
kill "$SSH_AGENT_PID"

# neither in what the verbs print, nor in the log at its most talkative
{
    succeeds lk token list && cat out err
    succeeds lk token show other && cat out err
    succeeds lk doctor && cat out err
    succeeds lk tpm status && cat out err
    succeeds lk key list --token other --login --pin-file long && cat out err
    exits 4 lk key list --token other --login --pin-file wrong && cat out err
    succeeds lk token pin other --pin-file long --new-pin-file wrong && cat out err
    succeeds lk token pin other --pin-file wrong --new-pin-file long && cat out err
    succeeds lk token reset-pin other --so-pin-file long-so --new-pin-file long && cat out err
} >printed 2>&1
grep "^FAILED" printed
for secret in long long-so wrong; do
    holds test -s log
    grep -qF "$(cat "$secret")" printed log && fails "$secret is told"
done
finish
