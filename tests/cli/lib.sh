# shellcheck shell=bash
# For the tests of the `latchkey` command: source it first. A directory of its own, a store in it, a
# software TPM on a Unix socket when asked for, and everything gone at the end.
# LATCHKEY_BUILD: the build directory. LATCHKEY_CLI_SOFTHSM=1: SoftHSM's module instead of ours.
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
COMMAND=${LATCHKEY_BUILD:?is the build directory}/latchkey
DIR=$(mktemp -d "${TMPDIR:-/tmp}/lk-cli.XXXXXX")
SWTPM_PID=
FAILURES=0
unset LATCHKEY_TCTI LATCHKEY_LOG LATCHKEY_LOG_FILE NO_COLOR
export HOME=$DIR/home XDG_CONFIG_HOME=$DIR/home/config XDG_DATA_HOME=$DIR/home/data
export LATCHKEY_STORE=$DIR/store LATCHKEY_CONF=$DIR/latchkey.conf
mkdir -p "$HOME"
cd "$DIR" || exit 1

clean_up() {
    stop_tpm
    "$COMMAND" tpm simulate stop >"$DIR/stop.log" 2>&1
    rm -rf "$DIR"
}
trap clean_up EXIT

# --- the TPM ---------------------------------------------------------------------------------------

tpm2() { # TOOL ARGUMENTS...: one of tpm2-tools on this test's TPM
    local tool=$1
    shift
    "tpm2_$tool" -T "swtpm:path=$DIR/tpm.sock" "$@"
}

start_tpm() { # many tries before lockout: tests of the lockout set their own number
    mkdir -p "$DIR/tpm"
    swtpm socket --tpm2 --server "type=unixio,path=$DIR/tpm.sock" \
        --ctrl "type=unixio,path=$DIR/tpm.sock.ctrl" --tpmstate "dir=$DIR/tpm" \
        --flags not-need-init,startup-clear >"$DIR/tpm.log" 2>&1 &
    SWTPM_PID=$!
    local i
    for ((i = 0; i < 100; i++)); do
        [ -S "$DIR/tpm.sock" ] && [ -S "$DIR/tpm.sock.ctrl" ] && break
        sleep 0.05
    done
    export LATCHKEY_TCTI=swtpm:path=$DIR/tpm.sock
    tpm2 dictionarylockout --setup-parameters --max-tries=1000 --recovery-time=1000 \
        --lockout-recovery-time=1000
}

stop_tpm() {
    [ -n "$SWTPM_PID" ] || return 0
    tpm2 shutdown -c 2>"$DIR/shutdown.log"
    kill "$SWTPM_PID"
    wait "$SWTPM_PID" 2>/dev/null
    SWTPM_PID=
    rm -f "$DIR/tpm.sock" "$DIR/tpm.sock.ctrl"
}

use_softhsm() {
    mkdir -p "$DIR/tokens"
    printf 'directories.tokendir = %s\nobjectstore.backend = file\n' "$DIR/tokens" >"$DIR/softhsm"
    export SOFTHSM2_CONF=$DIR/softhsm
    MODULE=/usr/lib/softhsm/libsofthsm2.so
}

on_softhsm() { # for what SoftHSM's module lacks
    [ -n "${LATCHKEY_CLI_SOFTHSM:-}" ]
}

# A token "web" with the PINs in the files pin and so-pin.
start_token() {
    if on_softhsm; then use_softhsm; else start_tpm; fi
    printf 123456 >pin
    printf 87654321 >so-pin
    succeeds lk token create --label web --pin-file pin --so-pin-file so-pin
}

# --- running the command ---------------------------------------------------------------------------

MODULE=
lk() { # without a terminal, whatever the test itself was started from
    setsid -w "$COMMAND" "$@" ${MODULE:+--module "$MODULE"}
}

lk_typing() { # 'ANSWER|ANSWER' ARGUMENTS...: on a terminal; each prompt gets the next answer
    local answers=$1
    shift
    python3 "$HERE/terminal.py" "$answers" "$COMMAND" "$@" ${MODULE:+--module "$MODULE"}
}

# --- files ------------------------------------------------------------------------------------------

flip() { # FILE OFFSET: changes a bit of that byte
    printf '%b' "\\x$(printf %02x $((0x$(od -An -tx1 -j "$2" -N 1 "$1" | tr -d ' ') ^ 1)))" |
        dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# --- what a test says ------------------------------------------------------------------------------

fails() {
    printf 'FAILED (line %s): %s\n' "${BASH_LINENO[1]}" "$*"
    [ ! -s "$DIR/out" ] || sed 's/^/  out: /' "$DIR/out"
    [ ! -s "$DIR/err" ] || sed 's/^/  err: /' "$DIR/err"
    FAILURES=$((FAILURES + 1))
}

exits() { # STATUS COMMAND...: output is left in the files out and err
    local want=$1 got
    shift
    "$@" >"$DIR/out" 2>"$DIR/err"
    got=$?
    [ "$got" = "$want" ] || fails "exit status $got, not $want: $*"
}

succeeds() {
    exits 0 "$@"
}

prints() { # PATTERN: a line of the last output
    grep -qE -e "$1" "$DIR/out" || fails "no '$1' in the output"
}

prints_not() {
    ! grep -qE -e "$1" "$DIR/out" || fails "there is '$1' in the output"
}

complains() { # PATTERN: a line of the last error output
    grep -qE -e "$1" "$DIR/err" || fails "no '$1' in the error output"
}

json() { # PYTHON-EXPRESSION of d: true for the last output
    python3 -m json.tool "$DIR/out" >/dev/null || fails "the output is no JSON"
    python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not eval(sys.argv[2]))' "$DIR/out" "$1" || fails "JSON: not so: $1"
}

found() { # LEVEL ID: in the doctor's JSON
    json "any(f['level'] == '$1' and f['id'] == '$2' for f in d)"
}

same() { # ONE OTHER
    [ "$1" = "$2" ] || fails "'$1' is not '$2'"
}

holds() { # COMMAND...: true
    "$@" || fails "not so: $*"
}

finish() {
    [ "$FAILURES" = 0 ] || exit 1
    exit 0
}
