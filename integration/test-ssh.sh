#!/bin/bash
# OpenSSH: ssh -I, ssh-keygen -D, ssh-agent (ssh-add -s), ssh-keygen -Y, git's signatures, and the
# host key of an sshd held by the agent.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need ssh ssh-agent ssh-keygen git swtpm
[ -x /usr/sbin/sshd ] || skip 'sshd is not installed'
if port_open 8530 || port_open 8531; then skip 'port 8530 or 8531, which the page uses, is taken'; fi
follow docs/ssh.md root
for way in ssh ssh-agent latchkey; do
    grep -qxF "by $way: publickey $(cut -d' ' -f1,2 "$PAGE_WORLD/me.pub")" "$PAGE_WORLD/out"
done
grep -qx 'where the host key is in the token' "$PAGE_WORLD/out"
grep -q '^Good "git" signature for me@example.org' "$PAGE_WORLD/trace"
scratch
cd "$WORK"

make_token demo
make_key demo ec 01 ec
make_key demo rsa 02 rsa
make_askpass askpass
export SSH_ASKPASS=$WORK/askpass SSH_AUTH_SOCK=
logs=("$WORK/ssh.err" "$WORK/sshd.log" "$WORK/agent.log")

ssh-keygen -D "$MODULE" >keys 2>/dev/null
[ "$(wc -l <keys)" = 2 ]
grep ' ec$' keys >ec.pub
grep ' rsa$' keys >rsa.pub
for label in ec rsa; do
    ssh-keygen -l -f $label.pub >/dev/null
done
ok 'ssh-keygen -D lists both keys'

cp keys authorized_keys
PORT=$(free_port)
sshd_start "$WORK" "$PORT"

login() { # login LABEL [OPTION...]
    local label=$1
    shift
    [ "$(ssh_to "$WORK" "$PORT" -i "$label.pub" "$@" 2>ssh.err)" = "logged in as $(id -un)" ]
}

for label in ec rsa; do
    login $label -I "$MODULE"
    grep -q "Accepted publickey .* $(ssh-keygen -l -f $label.pub | cut -d' ' -f2)" sshd.log
done
login rsa -I "$MODULE" -o PubkeyAcceptedAlgorithms=rsa-sha2-256
login ec -o "PKCS11Provider=$MODULE"
ok 'ssh -I and PKCS11Provider log in, EC and RSA'

latchkey example ssh rsa --token demo | sed "s,~/.ssh/,$WORK/,; 1i UserKnownHostsFile $WORK/known_hosts" >config
[ "$(ssh -F config -p "$PORT" "$(id -un)@127.0.0.1" 'echo hello' </dev/null 2>ssh.err)" = hello ]
ok 'latchkey example ssh prints lines that work'

printf '#!/bin/sh\necho 00000000\n' >wrong-askpass
chmod 700 wrong-askpass
SSH_ASKPASS=$WORK/wrong-askpass refused 'a wrong PIN' login ec -I "$MODULE" \
    -o NumberOfPasswordPrompts=1
ok 'a wrong PIN does not log in'

agent_is() { # agent_is SOCKET: an agent that may load the module
    spawn ssh-agent -D -a "$1" -P "$(realpath "$MODULE")" >>agent.log 2>&1
    export SSH_AUTH_SOCK=$1
    wait_for 'ssh-agent' test -S "$1"
}

agent_is "$WORK/agent"
ssh-add -q -s "$MODULE" 2>ssh.err
[ "$(ssh-add -L | wc -l)" = 2 ]
for label in ec rsa; do
    login $label
done
ok 'ssh-add -s: the agent logs in with both keys'

printf 'the document\n' >document
for label in ec rsa; do
    ssh-keygen -q -Y sign -f $label.pub -n file <document >document.sig 2>ssh.err
    echo "me $(cat $label.pub)" >signers
    ssh-keygen -q -Y verify -f signers -I me -n file -s document.sig <document
    refused 'a signature of something else' \
        ssh-keygen -q -Y verify -f signers -I me -n file -s document.sig </dev/null
done
ok 'ssh-keygen -Y sign and verify'

git init -q repository
for label in ec rsa; do
    git -C repository -c user.name=me -c user.email=me@localhost -c gpg.format=ssh \
        -c user.signingkey="$WORK/$label.pub" commit -q -S --allow-empty -m signed
    echo "me@localhost $(cat $label.pub)" >signers
    git -C repository -c gpg.format=ssh -c gpg.ssh.allowedSignersFile="$WORK/signers" \
        verify-commit HEAD 2>/dev/null
done
echo "me@localhost $(cat ec.pub)" >signers
refused 'a commit of somebody else' git -C repository -c gpg.format=ssh \
    -c gpg.ssh.allowedSignersFile="$WORK/signers" verify-commit HEAD
ok 'git signs commits with them, and knows whose they are not'

mkdir hosted
ssh-keygen -q -t ed25519 -N '' -f user
cp user.pub hosted/authorized_keys
cp ec.pub hosted/host.pub
touch hosted/host # the private half is the agent's
PORT=$(free_port)
sshd_start "$WORK/hosted" "$PORT" "HostKeyAgent $SSH_AUTH_SOCK"
[ "$(SSH_AUTH_SOCK='' ssh_to "$WORK/hosted" "$PORT" -i user 2>ssh.err)" = "logged in as $(id -un)" ]
ok 'sshd proves itself with a host key in the token (HostKeyAgent)'

ssh-add -q -e "$MODULE" 2>ssh.err
refused 'a key that was taken away' ssh-add -L
ok 'ssh-add -e takes the keys away'
