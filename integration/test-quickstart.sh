#!/bin/bash
# The quickstart, twice in a directory of its own: the second run goes on with the same keys, none
# leaves a process behind, and no PIN shows.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need nginx curl openssl ssh swtpm pgrep
WORK=$(TMPDIR=/tmp mktemp -d) # where other users can pass, too
at_exit+=("rm -rf '$WORK'")
chmod 755 "$WORK" # nginx's workers have to pass
export LATCHKEY_BUILD=$BUILD LATCHKEY_QUICKSTART_DIR=$WORK/state

run() { # run OUTPUT
    "$ROOT/integration/quickstart" --simulator >"$1" 2>&1 || {
        cat "$1" >&2
        return 1
    }
}

left_behind() {
    pgrep -f "$WORK"
}

run "$WORK/first"
[ "$(grep -cE 'ok +(s_client|curl) +TLS 1\.[23]' "$WORK/first")" = 8 ]
grep -q 'both workers answer' "$WORK/first"
grep -q 'ok .*logged in as' "$WORK/first"
refused 'a process that the first run left' left_behind
ok 'the first run: TLS in eight ways, ssh, nothing left running'

cp "$WORK/state/ssh/token.pub" "$WORK/token.pub"
run "$WORK/second"
grep -q "ok .*from the last run" "$WORK/second"
same 'the ssh key of both runs' "$WORK/token.pub" "$WORK/state/ssh/token.pub"
refused 'a new key in the second run' grep -q 'made in the TPM' "$WORK/second"
refused 'a process that the second run left' left_behind
ok 'the second run goes on with the same keys'

for secret in pin so-pin; do
    refused "a look at the $secret" grep -rqF -f "$WORK/state/$secret" \
        "$WORK/first" "$WORK/second" "$WORK/state/nginx.conf" "$WORK/state/nginx" "$WORK/state/ssh"
    [ "$(stat -c %a "$WORK/state/$secret")" = 600 ]
done
ok 'the PINs are in their files alone, mode 600'

# shellcheck disable=SC2016 # for the inner shell
echo 'latchkey token show quickstart && openssl dgst -sha256 -engine pkcs11 -keyform engine \
    -sign "pkcs11:token=quickstart;object=client-ec;type=private?pin-source=file:$LATCHKEY_PIN_FILE" \
    -out "$LATCHKEY_PIN_FILE.sig" "$LATCHKEY_PIN_FILE"' |
    SHELL=/bin/sh "$ROOT/integration/quickstart" shell >"$WORK/shell" 2>&1
openssl dgst -sha256 -verify <(openssl x509 -in "$WORK/state/certs/client-ec.crt" -noout -pubkey) \
    -signature "$WORK/state/pin.sig" "$WORK/state/pin" >/dev/null
refused 'a process that the shell left' left_behind
ok 'quickstart shell: the token is at hand in it'
