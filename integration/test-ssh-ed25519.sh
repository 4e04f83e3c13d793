#!/bin/bash
# OpenSSH with Ed25519 keys of the token, through `latchkey ssh-agent`: log-in, forwarding, a host key,
# git's signatures. OpenSSH's own PKCS#11 code knows Ed25519 from 10.1 on only.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need ssh ssh-add ssh-keygen swtpm
[ -x /usr/sbin/sshd ] || skip 'sshd is not installed'
scratch
cd "$WORK"
export XDG_RUNTIME_DIR=$WORK/run SSH_ASKPASS=
logs=("$WORK/ssh.err" "$WORK/sshd.log" "$WORK/hosted/sshd.log" "$WORK/agent.err")

make_token demo
for label in me server; do
    latchkey key generate --token demo --type ed25519 --label $label --pin-file "$PIN_FILE" >/dev/null
    latchkey key export $label --token demo --format ssh >$label.pub
    ssh-keygen -lf $label.pub | grep -q "$label (ED25519)"
done
make_key demo ec 01 ec
make_key demo rsa 02 rsa
for label in ec rsa; do
    latchkey key export $label --token demo --format ssh >$label.pub
done
ok 'key export --format ssh: ssh-keygen reads Ed25519'

eval "$(latchkey ssh-agent --token demo --pin-file "$PIN_FILE" 2>agent.err)"
at_exit+=("kill $SSH_AGENT_PID 2>/dev/null")
[ "$(ssh-add -L | wc -l)" = 4 ]
[ "$(ssh-add -L | grep ' me$')" = "$(cat me.pub)" ]
ok 'ssh-add lists the keys of the token'

cp me.pub authorized_keys
PORT=$(free_port)
sshd_start "$WORK" "$PORT"
login() { # login LABEL [OPTION...]
    local label=$1
    shift
    [ "$(ssh_to "$WORK" "$PORT" -i "$label.pub" "$@" 2>ssh.err)" = "logged in as $(id -un)" ]
}
login me
grep -q "Accepted publickey .* ED25519 $(ssh-keygen -l -f me.pub | cut -d' ' -f2)" sshd.log
login me -o PubkeyAcceptedAlgorithms=ssh-ed25519
refused 'a key that is not authorized' login server
ok 'ssh logs in with an Ed25519 key'

cat me.pub ec.pub rsa.pub >authorized_keys
login ec
login rsa
login rsa -o PubkeyAcceptedAlgorithms=rsa-sha2-256
login rsa -o PubkeyAcceptedAlgorithms=rsa-sha2-512
refused 'RSA with SHA-1' login rsa -o PubkeyAcceptedAlgorithms=ssh-rsa
ok 'and with P-256 and RSA'

for i in {1..8}; do
    login me &
    logins[i]=$!
done
for i in {1..8}; do
    wait "${logins[i]}"
done
ok 'eight log-ins side by side'

# shellcheck disable=SC2016 # expanded on the other side
[ "$(ssh -F none -A -p "$PORT" -o UserKnownHostsFile="$WORK/known_hosts" -o IdentitiesOnly=yes -i me.pub \
    "$(id -un)@127.0.0.1" 'ssh-add -L' </dev/null 2>ssh.err | grep ' me$')" = "$(cat me.pub)" ]
ok 'the agent is forwarded'

mkdir hosted
cp me.pub hosted/authorized_keys
cp server.pub hosted/host.pub
install -m 600 /dev/null hosted/host # the private half is the token's
HOSTED=$(free_port)
sshd_start "$WORK/hosted" "$HOSTED" "HostKeyAgent $SSH_AUTH_SOCK"
[ "$(ssh_to "$WORK/hosted" "$HOSTED" -i me.pub -o HostKeyAlgorithms=ssh-ed25519 2>ssh.err)" = \
    "logged in as $(id -un)" ]
ok 'sshd proves itself with an Ed25519 host key in the token (HostKeyAgent)'

if command -v git >/dev/null; then
    git init -q repository
    git -C repository -c user.name=me -c user.email=me@localhost -c gpg.format=ssh \
        -c user.signingkey="$WORK/me.pub" commit -q -S --allow-empty -m signed
    echo "me@localhost $(cat me.pub)" >signers
    git -C repository -c gpg.format=ssh -c gpg.ssh.allowedSignersFile="$WORK/signers" \
        verify-commit HEAD 2>/dev/null
    echo "me@localhost $(cat server.pub)" >signers
    refused 'a commit of somebody else' git -C repository -c gpg.format=ssh \
        -c gpg.ssh.allowedSignersFile="$WORK/signers" verify-commit HEAD
    ok 'git signs a commit with it'
fi

agent=$SSH_AGENT_PID
eval "$(latchkey ssh-agent -k)"
[ -z "${SSH_AUTH_SOCK:-}${SSH_AGENT_PID:-}" ]
refused 'a log-in without the agent' login me
[ "$(latchkey ssh-agent --token demo --pin-file "$PIN_FILE" ssh -F none -p "$PORT" \
    -o UserKnownHostsFile="$WORK/known_hosts" -i me.pub "$(id -un)@127.0.0.1" 'echo hello' \
    </dev/null 2>ssh.err)" = hello ]
refused 'a socket that was left behind' compgen -G "$XDG_RUNTIME_DIR/latchkey-ssh.*"
ok "an agent ends with -k (process $agent), or with its command"
