# Shared by the conformance scripts: programs that others wrote for any PKCS#11 module. Each check has
# a name and a result; PROGRAM.expected lists the checks that are known to fail or to be skipped, with
# the reason. A check that is not in the list has to pass, one that is in it may not: so it stays true.
# shellcheck shell=bash source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
CONFORMANCE=$ROOT/integration/conformance
PROGRAM=$(basename "$0" .sh)

# With LATCHKEY_CONFORMANCE_MODULE another module is tried, to see whether a failure is the program's:
# its results are printed and not judged. SoftHSM gets a store of its own.
MODULE=${LATCHKEY_CONFORMANCE_MODULE:-$MODULE}
CLIENTS+=' pkcs11-data pkcs11-dump'
ours() {
    [ -z "${LATCHKEY_CONFORMANCE_MODULE:-}" ]
}

# client COMMAND...: a program that loads the module and is not among CLIENTS (integration/lib.sh).
client() {
    LD_PRELOAD=${LATCHKEY_PRELOAD:-} "$@"
}

# --- a world with one token ----------------------------------------------------------------------

# world LABEL: scratch, and a token of that label with the PINs $PIN and $SO_PIN. Without LABEL no token.
world() {
    PIN=${PIN:-12345678} SO_PIN=87654321
    if ours; then
        scratch
        logs+=("$WORK/token.log")
    else
        WORK=$(mktemp -d)
        at_exit+=("rm -rf '$WORK'")
        mkdir "$WORK/store"
        export SOFTHSM2_CONF=$WORK/softhsm2.conf
        echo "directories.tokendir = $WORK/store" >"$SOFTHSM2_CONF"
    fi
    # To look at what a program said, with LATCHKEY_LOG=trace at what the module did.
    [ -z "${LATCHKEY_CONFORMANCE_KEEP:-}" ] || at_exit+=("cp -rT '$WORK' '$LATCHKEY_CONFORMANCE_KEEP/$PROGRAM'")
    cd "$WORK"
    [ $# = 0 ] || token "$1"
}

# token LABEL: says nothing.
token() {
    {
        pkcs11-tool --module "$MODULE" --init-token --label "$1" --so-pin "$SO_PIN"
        pkcs11-tool --module "$MODULE" --token-label "$1" --login --login-type so \
            --so-pin "$SO_PIN" --init-pin --new-pin "$PIN"
    } &>token.log
}

# --- results -------------------------------------------------------------------------------------

# One line a check in $WORK/results: pass|fail|skip, its name, and what it said.
result() { # VERDICT NAME [WHAT...]
    echo "${*//$'\n'/ }" >>"$WORK/results"
}

# attempt NAME COMMAND...: a check that is commands; the last line it printed is its reason. It is a
# function's duty to fail by itself: here the first command of it that fails ends it.
attempt() {
    local name=$1 status on_error
    shift
    on_error=$(trap -p ERR)
    trap - ERR
    set +e
    (
        set -eE
        trap 'echo "line $LINENO: $BASH_COMMAND"' ERR
        "$@"
    ) >"$WORK/$name.log" 2>&1 </dev/null
    status=$?
    set -e
    eval "$on_error"
    if [ "$status" = 0 ]; then
        result pass "$name"
    else
        result fail "$name" "status $status: $(grep -vE '^(line .*|Aborting\.|)$' "$WORK/$name.log" | tail -n 1)"
        tail -n 12 "$WORK/$name.log" | sed "s|^|$name: |"
    fi
}

# listed NAME: the line of the list for it, without comments.
listed() {
    [ ! -e "$CONFORMANCE/$PROGRAM.expected" ] ||
        awk -v name="$1" '$1 ~ /^(fail|skip)$/ && $2 == name' "$CONFORMANCE/$PROGRAM.expected"
}

# One result against the list: prints its line when there is something to say; false when it is wrong.
judge() { # VERDICT NAME WHAT
    local expected reason
    expected=$(listed "$2")
    read -r _ _ reason <<<"$expected"
    case $1:${expected%% *} in
    pass:) return 0 ;;
    fail:fail | skip:skip) echo "  expected $1  $2: $reason" ;;
    pass:*) echo "  PASSES      $2: listed as '${expected%% *}', take it off the list" && false ;;
    *) echo "  ${1^^}        $2: $3" && false ;;
    esac
}

# The list itself: each line has a reason and names a check that exists, once.
judge_list() {
    local file=$CONFORMANCE/$PROGRAM.expected verdict name reason wrong=0
    [ -e "$file" ] || return 0
    while read -r verdict name reason; do
        case $verdict in '' | '#'*) continue ;; fail | skip) ;; *) reason= ;; esac
        [ -n "$reason" ] || { echo "  LIST        '$verdict $name' is no verdict, name and reason" && wrong=1; }
        [ "$(grep -cE "^(pass|fail|skip) $name( |\$)" "$WORK/results")" = 1 ] ||
            { echo "  LIST        $name is not the name of one check" && wrong=1; }
    done <"$file"
    return $wrong
}

# verdict: ends the script; false when a result is not the expected one.
verdict() {
    local kind name what wrong=0
    [ -s "$WORK/results" ] || die "$PROGRAM has no results"
    if ! ours; then
        sed 's/^/  /' "$WORK/results"
    else
        while read -r kind name what; do
            judge "$kind" "$name" "$what" || wrong=$((wrong + 1))
        done <"$WORK/results"
        judge_list || wrong=$((wrong + 1))
    fi
    printf '  %s: %d checks, %d pass, %d fail, %d skipped; %d not as expected\n' "$PROGRAM" \
        "$(wc -l <"$WORK/results")" "$(count pass)" "$(count fail)" "$(count skip)" "$wrong"
    [ "$wrong" = 0 ] || exit 1
}

count() {
    grep -c "^$1 " "$WORK/results" || true
}

# --- sources -------------------------------------------------------------------------------------

# Test-suites that Debian ships in source packages alone are fetched once a build tree, by what they
# are and not by where they came from: the checksum is that of the package's .dsc.
# debian_source POOL-PATH SHA256: sets SOURCE, the directory it was unpacked to.
debian_source() {
    local file=$BUILD/conformance/${1##*/} mirror
    mkdir -p "$BUILD/conformance"
    [ -x /usr/lib/apt/apt-helper ] || skip 'apt-helper is not there to fetch the source package'
    if ! sha256sum --check --status 2>/dev/null <<<"$2  $file"; then
        # shellcheck disable=SC2016 # apt expands it
        mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | sed -n '/deb.*\/debian$/{p;q}')
        [ -n "$mirror" ] || skip 'apt names no mirror of Debian'
        /usr/lib/apt/apt-helper download-file "$mirror/pool/main/$1" "$file.new" "SHA256:$2" >"$file.log" 2>&1 ||
            skip "${1##*/} cannot be had: $(tail -n 1 "$file.log")"
        mv "$file.new" "$file"
    fi
    SOURCE=$WORK/source
    mkdir -p "$SOURCE"
    tar -xf "$file" -C "$SOURCE" --strip-components=1
}

# --- Go ------------------------------------------------------------------------------------------

# go_tests IMPORT-PATH: the package's own tests as Debian installs them, built without network, in a
# copy of its directory ($GO_DIR, made by go_copy): some read files there. One process a test, one check
# a test or subtest.
go_copy() {
    need go gcc
    [ -d "/usr/share/gocode/src/$1" ] || skip "$1 is not in /usr/share/gocode"
    GO_DIR=$WORK/go/src/$1
    mkdir -p "$(dirname "$GO_DIR")"
    cp -r "/usr/share/gocode/src/$1" "$GO_DIR"
}

go_tests() {
    local test status
    cd "$GO_DIR"
    GOPATH=$WORK/go:/usr/share/gocode GO111MODULE=off GOFLAGS='' GOPROXY=off \
        GOCACHE=$BUILD/conformance/go-cache go test -c -o "$WORK/go.test"
    "$WORK/go.test" -test.list '^(Test|Example)' | while read -r test; do
        status=0
        timeout --kill-after=2 100 "$WORK/go.test" -test.v -test.run "^$test\$" >"$WORK/test.log" 2>&1 \
            </dev/null || status=$?
        go_results "$test" "$status" <"$WORK/test.log" >>"$WORK/results"
    done
    cd "$WORK"
}

# go_results TEST STATUS: the leaves of "--- VERDICT: NAME (TIME)"; without one the process died.
go_results() {
    python3 - "$@" 3<&0 <<'END'
import os, re, sys

test, status = sys.argv[1:]
text = os.fdopen(3, errors="replace").read()
found = re.findall(r"^ *--- (PASS|FAIL|SKIP): (\S+)", text, re.M)
names = {name for _, name in found}
for verdict, name in found:
    if any(other.startswith(name + "/") for other in names):
        continue
    said = text[text.find(f"=== RUN   {name}\n"):text.find(f"--- FAIL: {name} ")] if verdict == "FAIL" else ""
    why = re.findall(r"\w+_test\.go:\d+:.*|Error: .*|pkcs11: 0x.*", said)
    print(verdict.lower(), name, *[" ".join(part.split()) for part in why[:3]])
if test not in names and status != "0":
    lines = [line for line in text.splitlines() if line.strip()]
    why = next((line for line in lines if re.match("panic|fatal|SIG", line)), lines[-1] if lines else "")
    print("fail", test, f"status {status}:", why)
elif test not in names:
    print("pass", test)
END
}
