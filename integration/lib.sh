# Shared by the quickstart and the tests of real programs: where things are, processes that end with
# the script, a TPM simulator, a token, certificates. Source it first; the
# script then ends at the first command that fails.
# shellcheck shell=bash
set -eEuo pipefail
trap 'echo "FAIL: ${BASH_SOURCE[0]}, line $LINENO: $BASH_COMMAND" >&2' ERR

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$(realpath -m "${LATCHKEY_BUILD:-$ROOT/build}")
MODULE=$BUILD/latchkey-pkcs11.so

die() {
    echo "FAIL: $*" >&2
    exit 1
}

# A step of a test is plain commands, the first that fails ends it, and then ok.
ok() {
    printf '  ok  %s\n' "$*"
}

# same WHAT FILE FILE
same() {
    cmp -s "$2" "$3" || die "$1: $2 and $3 differ"
}

# refused WHAT COMMAND...: the command must fail.
refused() {
    local what=$1
    shift
    ! "$@" >/dev/null 2>&1 || die "$what was not refused"
}

# The runner shows the last line of a test that was skipped.
skip() {
    echo "skipped: $*"
    exit 77
}

need() {
    local program
    for program; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
    [ -e "$MODULE" ] || skip "$MODULE is not built"
}

latchkey() {
    "$BUILD/latchkey" --module "$MODULE" "$@"
}

# --- sanitizers ----------------------------------------------------------------------------------

# With LATCHKEY_PRELOAD (the sanitizers' runtime libraries) the programs that load the module get
# them, and nothing else does: their names lead to wrappers.
CLIENTS='pkcs11-tool p11tool p11-kit openssl curl nginx ssh ssh-add ssh-keygen certtool'

preload() {
    local client path
    mkdir -p "$1"
    for client in $CLIENTS; do
        path=$(command -v "$client") || continue
        printf '#!/bin/sh\nLD_PRELOAD="%s" exec "%s" "$@"\n' "$LATCHKEY_PRELOAD" "$path" >"$1/$client"
        chmod +x "$1/$client"
    done
    PATH=$1:$PATH
    export ASAN_OPTIONS=detect_leaks=0 # the hosts' own
}

# --- processes -----------------------------------------------------------------------------------

spawned=() # stopped at the exit, newest first

# spawn COMMAND...: in the background, until the script ends. Its pid is in $!.
spawn() {
    "$@" &
    spawned+=("$!")
}

# stop PID [SIGNAL]
stop() {
    kill "-${2:-TERM}" "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# wait_for WHAT COMMAND...: until the command succeeds, a minute at most: machines are slow at times.
wait_for() {
    local what=$1 try
    shift
    for try in {1..600}; do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    die "$what does not answer after $((try / 10)) s"
}

port_open() {
    (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# A port on loopback that nothing listens on, below the range the kernel hands out.
free_port() {
    local port
    while port=$((20000 + RANDOM % 10000)) && port_open "$port"; do :; done
    echo "$port"
}

# leave runs at the exit. A script adds what it has to undo to at_exit, as commands, and to logs the
# files that explain a failure.
at_exit=()
logs=()
leave() {
    local status=$? i
    set +e
    trap - EXIT ERR
    if [ "$status" != 0 ] && [ "$status" != 77 ]; then
        for i in "${logs[@]}"; do
            [ ! -s "$i" ] || tail -n 20 "$i" | sed "s|^|${i##*/}: |" >&2
        done
    fi
    for ((i = ${#spawned[@]} - 1; i >= 0; i--)); do
        stop "${spawned[i]}"
    done
    tpm_stop
    for ((i = ${#at_exit[@]} - 1; i >= 0; i--)); do
        eval "${at_exit[i]}"
    done
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- the TPM simulator ---------------------------------------------------------------------------

tpm_pid=

# tpm_start DIR [GROUP]: swtpm at DIR/run/tpm.sock with its state in DIR/tpm; sets TCTI.
# Members of GROUP can use it too: the module makes its lock file beside the socket, so the
# directory hands its group on.
tpm_start() {
    local dir=$1 group=${2:-} access='mode=0600'
    mkdir -p "$dir/run" "$dir/tpm"
    chmod 700 "$dir/run" "$dir/tpm"
    if [ -n "$group" ]; then
        chgrp "$group" "$dir/run"
        chmod 2770 "$dir/run"
        access="mode=0660,gid=$(getent group "$group" | cut -d: -f3)"
    fi
    rm -f "$dir/run/tpm.sock" "$dir/run/tpm.sock.ctrl"
    swtpm socket --tpm2 --tpmstate "dir=$dir/tpm" --flags not-need-init,startup-clear \
        --server "type=unixio,path=$dir/run/tpm.sock,$access" \
        --ctrl "type=unixio,path=$dir/run/tpm.sock.ctrl,$access" \
        >"$dir/swtpm.log" 2>&1 &
    tpm_pid=$!
    TCTI=swtpm:path=$dir/run/tpm.sock
    wait_for "swtpm (see $dir/swtpm.log)" tpm2_getcap -T "$TCTI" properties-fixed
}

# Orderly: a TPM that loses its power after a login counts that as a failed try.
tpm_stop() {
    [ -n "$tpm_pid" ] || return 0
    tpm2_shutdown -T "$TCTI" -c >/dev/null 2>&1 || true
    stop "$tpm_pid"
    tpm_pid=
}

# --- a test's own world --------------------------------------------------------------------------

# scratch: an empty directory $WORK, a simulator and a store in it, and the PIN files; everything
# ends with the script. The configuration is in a file, because servers lose their environment.
scratch() {
    scratch_for ''
}

# scratch_for GROUP: its members, too, reach the TPM and the store, but not the PIN files. For root alone.
scratch_for() {
    local group=$1 parent=${TMPDIR:-/tmp}
    [ -z "$group" ] || parent=/tmp # where other users can pass, too
    WORK=$(mktemp -d -p "$parent")
    at_exit+=("rm -rf '$WORK'")
    PIN_FILE=$WORK/pin SO_PIN_FILE=$WORK/so-pin
    printf 12345678 >"$PIN_FILE"
    printf 87654321 >"$SO_PIN_FILE"
    chmod 600 "$PIN_FILE" "$SO_PIN_FILE"
    [ -z "${LATCHKEY_PRELOAD:-}" ] || preload "$WORK/clients"
    [ -z "$group" ] || {
        chmod 755 "$WORK"
        install -d -m 2770 -g "$group" "$WORK/store"
    }
    tpm_start "$WORK" "$group"
    # Tests stop clients in the middle; none of that may lock the others out.
    tpm2_dictionarylockout -T "$TCTI" -s -n 1000 -t 1 -l 1
    configure "$WORK"
}

# configure DIR: LATCHKEY_CONF names the store DIR/store and the TPM; nothing else in the environment
# does, so a server that loses its environment is tested too.
configure() {
    printf 'store = %s\ntcti = %s\n' "$1/store" "$TCTI" >"$1/latchkey.conf"
    chmod 644 "$1/latchkey.conf"
    unset LATCHKEY_STORE LATCHKEY_TCTI
    export LATCHKEY_CONF=$1/latchkey.conf
}

# make_token LABEL: says nothing, as the two below.
make_token() {
    latchkey token create --label "$1" --so-pin-file "$SO_PIN_FILE" --pin-file "$PIN_FILE" \
        >/dev/null
}

# make_key TOKEN LABEL ID KIND, where KIND is ec or rsa
make_key() {
    local what=(--type ec --curve P-256)
    [ "$4" = ec ] || what=(--type rsa --bits 2048)
    latchkey key generate --token "$1" "${what[@]}" --label "$2" --id "$3" --pin-file "$PIN_FILE" \
        >/dev/null
}

# uri TOKEN LABEL [TYPE]: the key's PKCS#11 URI; that of a private key names the PIN file.
uri() {
    local type=${3:-private} pin=
    [ "$type" != private ] || pin="?pin-source=$PIN_FILE"
    echo "pkcs11:token=$1;object=$2;type=$type$pin"
}

# --- pages -----------------------------------------------------------------------------------------

# follow PAGE [root]: does what the page tells its reader: its blocks marked "sh test", in one shell that ends at the
# first command that fails, in a new home of an ordinary user (or of root), $PAGE_WORLD. The command and the module are
# in its build/, as after a build, and in PATH; integration/ is beside it. What was printed is in $PAGE_WORLD/out, the
# shell's trace in $PAGE_WORLD/trace. A page starts its simulator and ends the servers that it starts. What its reader
# has already, a function prepare_page of the script puts into $PAGE_WORLD.
follow() {
    local page=$1 as=() path=/usr/local/bin:/usr/bin:/bin # an ordinary user's
    [ "${2:-}" != root ] || path=/usr/local/sbin:/usr/sbin:/sbin:$path
    PAGE_WORLD=$(TMPDIR=/tmp mktemp -d) # where other users can pass, too
    at_exit+=("rm -rf '$PAGE_WORLD'")
    mkdir "$PAGE_WORLD/build"
    cp "$MODULE" "$BUILD/latchkey" "$PAGE_WORLD/build/"
    cp -r "$ROOT/integration" "$PAGE_WORLD/"
    # shellcheck disable=SC2016 # Markdown's backquotes
    sed -n '/^```sh test$/,/^```$/{/^```/!p}' "$ROOT/$page" >"$PAGE_WORLD/recipes"
    [ -s "$PAGE_WORLD/recipes" ] || die "$page has lost its recipes"
    chmod 755 "$PAGE_WORLD"
    ! declare -F prepare_page >/dev/null || prepare_page
    [ "$(id -u)" != 0 ] || [ "${2:-}" = root ] || {
        chown -R nobody:nogroup "$PAGE_WORLD"
        as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
    }
    (
        cd "$PAGE_WORLD"
        own_pids timeout -k 5 "${PAGE_TIME:-600}" env -i "${as[@]}" env HOME="$PAGE_WORLD" LANG=C.UTF-8 \
            PATH="$PAGE_WORLD/build:$path" bash -eux recipes
    ) >"$PAGE_WORLD/out" 2>"$PAGE_WORLD/trace" </dev/null || {
        tail -n 40 "$PAGE_WORLD/out" "$PAGE_WORLD/trace" >&2
        die "a recipe of $page does not work as written"
    }
    ok "$(wc -l <"$PAGE_WORLD/recipes") lines of $page work as written"
}

# In a process namespace of their own where that is permitted: what they leave running ends with them.
own_pids() {
    if unshare --pid --fork --kill-child --mount-proc true 2>/dev/null; then
        unshare --pid --fork --kill-child --mount-proc "$@"
    else
        "$@"
    fi
}

# --- OpenSSL -------------------------------------------------------------------------------------

# engine_conf FILE: an openssl.cnf that loads the module into the pkcs11 engine.
engine_conf() {
    cat >"$1" <<EOF
openssl_conf = init
[init]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
MODULE_PATH = $MODULE
init = 1
[req]
distinguished_name = name
[name]
EOF
}

# make_ca DIR: a throw-away certification authority, DIR/ca.crt and DIR/ca.key. It signs Fast DDS' permissions, too.
make_ca() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
        -subj '/CN=latchkey throw-away CA' -addext 'keyUsage = critical, digitalSignature, keyCertSign, cRLSign' \
        -keyout "$1/ca.key" -out "$1/ca.crt" 2>/dev/null
}

# make_cert DIR TOKEN LABEL: a certificate for the token's key, CN=LABEL, as DIR/LABEL.crt and in
# the token beside the key.
make_cert() {
    latchkey key csr "$3" --token "$2" --subject "/CN=$3" --pin-file "$PIN_FILE" -o "$1/$3.csr"
    openssl x509 -req -in "$1/$3.csr" -CA "$1/ca.crt" -CAkey "$1/ca.key" -CAcreateserial \
        -days 365 -extfile <(echo 'subjectAltName = DNS:localhost, IP:127.0.0.1') \
        -out "$1/$3.crt" 2>/dev/null
    openssl verify -CAfile "$1/ca.crt" "$1/$3.crt" >/dev/null || die "$3.crt does not verify"
    latchkey cert import "$1/$3.crt" --token "$2" --pin-file "$PIN_FILE" --replace >/dev/null
}

# demo_keys LABEL[:rsa]...: the token demo with these keys, IDs 01, 02, …, each with a certificate of a throw-away
# authority, all in the working directory. A LABEL that ends with "rsa" is an RSA key's anyway, others are EC keys'.
demo_keys() {
    local key label kind id=0
    make_token demo
    make_ca .
    for key; do
        label=${key%:*} kind=ec id=$((id + 1))
        [[ $key != *rsa ]] || kind=rsa
        make_key demo "$label" "0$id" "$kind"
        make_cert . demo "$label"
    done
}

# demo_stranger: one more key in that token, stranger, whose certificate other/stranger.crt is of another authority of the
# same name, other/ca.crt.
demo_stranger() {
    mkdir other
    make_ca other
    make_key demo stranger ff ec
    make_cert other demo stranger
}

# --- ssh -----------------------------------------------------------------------------------------

# make_askpass FILE: ssh asks for the PIN through a program, so it is on no command line.
make_askpass() {
    printf '#!/bin/sh\nexec cat "%s"\n' "$PIN_FILE" >"$1"
    chmod 700 "$1"
    export SSH_ASKPASS=$1 SSH_ASKPASS_REQUIRE=force
}

# sshd_start DIR PORT [LINE...]: a throw-away sshd on loopback that lets in the keys of
# DIR/authorized_keys; LINEs are more configuration. Sets sshd_pid.
sshd_start() {
    local dir=$1 port=$2
    shift 2
    [ "$(id -u)" != 0 ] || mkdir -p /run/sshd # for its privilege separation
    [ -e "$dir/host" ] || ssh-keygen -q -t ed25519 -N '' -f "$dir/host"
    {
        printf '%s\n' "$@"
        cat <<EOF
ListenAddress 127.0.0.1:$port
HostKey $dir/host
PidFile $dir/sshd.pid
AuthorizedKeysFile $dir/authorized_keys
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
LogLevel VERBOSE
EOF
    } >"$dir/sshd_config"
    echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 "$dir/host.pub")" >"$dir/known_hosts"
    spawn /usr/sbin/sshd -D -f "$dir/sshd_config" -E "$dir/sshd.log"
    export sshd_pid=$!
    wait_for "sshd (see $dir/sshd.log)" port_open "$port"
}

# ssh_to DIR PORT [OPTION...]: logs in there and says who it is.
ssh_to() {
    local dir=$1 port=$2
    shift 2
    # shellcheck disable=SC2016 # expanded on the other side
    ssh -F none -p "$port" -o UserKnownHostsFile="$dir/known_hosts" -o IdentitiesOnly=yes \
        -o PreferredAuthentications=publickey "$@" "$(id -un)@127.0.0.1" \
        'echo "logged in as $(id -un)"' </dev/null
}
