#!/bin/bash
# docs/*.md, ARCHITECTURE.md and README.md keep to the truth where it can be looked up: each test that they name is there,
# with the function named, each that is to be run in its long form has one, and links lead somewhere.
# shellcheck source-path=SCRIPTDIR disable=SC2016
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"
names=$(LATCHKEY_INTEGRATION=all tests/run --list)
long=$(tests/long --list)

matches() { # PATTERN FILE; none is no fault
    grep -oE -- "$1" "$2" || true
}

is_one_of() { # NAME NAMES
    grep -qxF -- "$1" <<<"$2"
}

source_of() { # api/find -> tests/api/test_find.c, integration/curl -> integration/test-curl.sh
    case $1 in
    integration/*) echo "integration/test-${1#*/}.sh" ;;
    cli/*) echo "tests/$1.sh" ;;
    fuzz/*) echo "tests/fuzz/fuzz_${1#*/}.c" ;;
    *) echo "tests/${1%/*}/test_${1##*/}.c" ;;
    esac
}

# `api/NAME`, `api/NAME: FUNCTION`; a function is there when somebody calls it, so twice
check_tests() { # FILE
    local name function n=0
    while IFS=' ' read -r name function; do
        n=$((n + 1))
        is_one_of "$name" "$names" || [ -f "$name" ] || die "$1 names $name, which is not a test"
        [ -z "$function" ] || [ "$(grep -cw -- "$function" "$(source_of "$name")")" -ge 2 ] ||
            die "$1 names $name: $function, which is not there"
    done < <(matches '`((unit/[a-z]+|api|budget|fuzz|cli|integration)/[a-z0-9_-]+)(: [a-z0-9_]+)?`' "$1" |
        tr -d '`:')
    ok "$1: $n tests named"
}

# `tests/long NAME...`, and commands whose program lies in the repository
check_commands() { # FILE
    local command name
    while read -r command; do
        [ -x "${command%% *}" ] || die "$1: '$command' cannot be run"
        [ "${command%% *}" = tests/long ] || continue
        for name in ${command#tests/long}; do
            is_one_of "$name" "$long" || die "$1: $name has no long form"
        done
    done < <(matches '`([A-Z_]+=[^ `]+ )*(tests/(run|long|fuzz/run|valgrind|coverage)|integration/test-[a-z-]*\.sh)[^`]*`' "$1" |
        tr -d '`' | sed -E 's/^([A-Z_]+=[^ ]+ )*//; s/ *[[A-Z].*//')
}

check_links() { # FILE
    local link
    while read -r link; do
        [ -e "$(dirname "$1")/$link" ] || die "$1: $link is not there"
    done < <(matches '\]\([^):#]+\)' "$1" | sed 's/^](//; s/)$//')
}

diff <(integration/run --list) <(printf '%s\n' integration/test-*.sh | sed 's,.*/test-,,; s,\.sh$,,' | sort) ||
    die 'integration/programs and integration/test-*.sh differ'
ok 'each script of integration/ is in integration/programs'

# The messages that docs/troubleshooting.md explains are in the sources, whose long ones are broken over lines.
sources=$(cat src/*/*.c store/*.c | sed -E ':all; N; $!b all; s/"[ \n]+"//g')
n=0
while read -r message; do
    n=$((n + 1))
    grep -qF -- "$message" <<<"$sources" || die "docs/troubleshooting.md: nothing says '$message'"
done < <(sed -n '/^## latchkey says/,/^## Programs/s/^| `\([^`]*\)`.*/\1/p' docs/troubleshooting.md)
[ "$n" -gt 15 ] || die 'docs/troubleshooting.md has lost its messages'
ok "docs/troubleshooting.md: $n messages are the sources'"

for file in docs/*.md ARCHITECTURE.md README.md SECURITY.md; do
    check_tests "$file"
    check_commands "$file"
    check_links "$file"
    is_one_of "$file" "$(printf '%s\n' ./*.md | sed 's,^\./,,')" || grep -qF "($file)" README.md ||
        die "README.md does not lead to $file"
done
grep -q '^| .* | [0-9,]* | `tests/long ' docs/reliability.md || die 'docs/reliability.md has lost its figures'
