#!/bin/bash
# The recipes of README.md, those marked "sh test", run as they are written there, in one shell.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need nginx curl openssl ssh-keygen swtpm
openssl engine pkcs11 >/dev/null 2>&1 || skip 'OpenSSL has no pkcs11 engine'
! port_open 8443 || skip 'port 8443, which the recipes use, is taken'
WORK=$(TMPDIR=/tmp mktemp -d) # where other users can pass, too
at_exit+=("rm -rf '$WORK'")
logs=("$WORK/build/try/nginx/error.log")
cd "$WORK"
mkdir build
cp "$MODULE" "$BUILD/latchkey" build/
# shellcheck disable=SC2016 # Markdown's backquotes
sed -n '/^```sh test$/,/^```$/{/^```/!p}' "$ROOT/README.md" >recipes
[ "$(wc -l <recipes)" -gt 40 ] || die 'README.md has lost its recipes'

# The README speaks to an ordinary user.
as_user=()
if [ "$(id -u)" = 0 ]; then
    chown -R nobody "$WORK"
    as_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
as_reader() {
    env -i "${as_user[@]}" env HOME="$WORK" PATH="/usr/sbin:$PATH" LANG=C.UTF-8 "$@"
}
# What a recipe that failed has left running.
at_exit+=("as_reader '$WORK/build/latchkey' tpm simulate stop >/dev/null 2>&1"
    "[ ! -e '$WORK/build/try/nginx/nginx.pid' ] || kill \"\$(cat '$WORK/build/try/nginx/nginx.pid')\"")

as_reader bash -eux recipes >out 2>trace || {
    cat out trace >&2
    agent=$(sed -n 's/^+* SSH_AGENT_PID=//p' trace)
    [ -z "$agent" ] || kill "$agent"
    die 'a recipe of README.md does not work as written'
}
grep -q '^hello CN=me$' out
grep -q 'CN *= *device-0042' out
cd build/try
openssl dgst -sha256 -verify <(openssl x509 -in me.crt -noout -pubkey) -signature web.sig web.crt >/dev/null
grep -q '^ssh-rsa ' me.pub
ssh-keygen -Y check-novalidate -n file -s nginx.conf.sig <nginx.conf | grep -q ED25519
ok "$(wc -l <"$WORK/recipes") lines of README.md work as written"
