#!/bin/bash
# The command line: every verb explains itself, what is wrong is refused with status 2, and the manual
# page knows every verb, option and exit status that the command knows.
. "$(dirname "$0")/lib.sh"
MANUAL=$ROOT/man/latchkey.1

succeeds lk help
prints '^  token create '
cp out help.out
succeeds lk
holds cmp out help.out
succeeds lk --help
holds cmp out help.out

mapfile -t verbs < <(sed -n '/^  [a-z]/s/^  \([a-z][a-z0-9 -]*[a-z0-9]\)  *.*/\1/p' help.out |
    sed -E 's/ +[A-Z\[].*//; s/  .*//' | sort -u)
holds test "${#verbs[@]}" -ge 36
mandoc -T utf8 "$MANUAL" | col -bx >manual
for verb in "${verbs[@]}"; do
    read -ra words <<<"$verb"
    succeeds lk "${words[@]}" --help
    prints "^latchkey $verb "
    prints '--help'
    grep -oE -- ' --[a-z-]+' out >>options
    succeeds lk help "${words[@]}"
    prints "^latchkey $verb "
    grep -qF -- "$verb" manual || fails "latchkey(1) does not know '$verb'"
done
while read -r option; do
    grep -qE -- "$option([^a-z-]|\$)" manual || fails "latchkey(1) does not know '$option'"
done < <(sort -u options)
succeeds lk help tpm
prints 'latchkey tpm harden'
prints_not 'latchkey token'

# the exit statuses in the help and in the manual are the same numbers
diff <(sed -n '/^Exit status:/,$s/^  \([0-9]\) .*/\1/p' help.out) \
    <(sed -n '/^EXIT STATUS/,/^EXAMPLES/s/^ *\([0-9]\)  *[A-Z].*/\1/p' manual) ||
    fails "the manual's exit statuses are others"

exits 2 lk nonsense
complains "no verb 'nonsense'"
exits 2 lk token
exits 2 lk token nonsense
exits 2 lk help nonsense
exits 2 lk token list --nonsense
complains "no option '--nonsense'"
exits 2 lk token list -q
exits 2 lk token list --subject /CN=a
complains 'takes no --subject'
exits 2 lk token list --json=yes
exits 2 lk key generate --label
complains 'needs a value'
exits 2 lk key show
complains 'usage: latchkey key show'
exits 2 lk key show one two
exits 2 lk token show one two

# what needs no module is refused before one is loaded
MODULE=/nonexistent
exits 2 lk key generate
complains '--label is missing'
exits 2 lk key generate --label a --type dsa
exits 2 lk key generate --label a --type rsa --curve P-256
exits 2 lk key generate --label a --bits 2048 --type ec
exits 2 lk key generate --label a --bits many
exits 2 lk key generate --label a --curve P-999
exits 2 lk key generate --label a --usage dance
exits 2 lk key generate --label a --usage decrypt
exits 2 lk key generate --label a --type rsa --usage derive
exits 2 lk key generate --label a --id xyz
exits 2 lk key generate --label a --type aes --bits 100
exits 2 lk key generate --label a --type aes --usage derive
exits 2 lk key import pem --label a --type dsa
exits 2 lk key export a --format jwk
exits 2 lk key wrap a
complains '--with is missing'
exits 2 lk key unwrap f --with a --label b
complains '--type is missing'
exits 2 lk key unwrap f --with a --type aes
complains '--label is missing'
exits 2 lk verify a
complains '--signature is missing'
exits 2 lk key csr a
complains '--subject is missing'
exits 2 lk token create --label "$(printf 'x%.0s' {1..33})"
exits 2 lk token create --unattended
exits 2 lk token create --pin-file-out f
exits 2 lk token create --unattended --pin-file-out f --pin-env X
exits 2 lk token create --generate-so-pin f --so-pin-env X
exits 2 lk tpm harden --max-tries 0
exits 2 lk tpm harden --recovery-time soon
exits 8 lk token list
complains 'cannot be loaded'
holds test ! -e f

# no colours but on a terminal, and none there with NO_COLOR
MODULE=
prints_not $'\033'
lk_typing '' help >out
holds grep -q $'\033' out
NO_COLOR=1 lk_typing '' help >out
prints_not $'\033'

# output that cannot be written is a failure
setsid -w "$COMMAND" help >/dev/full 2>err
same $? 1

for page in "$ROOT"/man/*; do
    faults=$(mandoc -T lint "$page" 2>&1 | grep -vE 'referenced manual not found|outdated mandoc.db')
    same "$faults" ''
done
finish
