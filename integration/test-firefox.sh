#!/bin/bash
# Firefox without a screen: the module in a profile and by policy, mutual TLS 1.2 and 1.3 with EC and RSA keys, the
# questions for the certificate and for the PIN answered, a wrong PIN, and the token in the device manager.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/browsers/lib.sh"
need firefox-esr certutil modutil nginx identify nm openssl swtpm


# Firefox's window has nobody in front of it: in the page's PATH is a program that answers its questions.
prepare_page() {
    cp "$ROOT"/integration/browsers/{firefox-esr,marionette.py} "$PAGE_WORLD/build/"
}
follow docs/firefox.md
grep -q '^prompt: .*(demo)' "$PAGE_WORLD/out"
grep -q '^page: hello CN=me$' "$PAGE_WORLD/out"

scratch
cd "$WORK"

# In Firefox the names of SQLite's functions lead to its own one. One that is missing there would be the system's, and
# would be given what the other has made.
nm -D "$(dirname "$(realpath "$(command -v firefox-esr)")")/libmozsqlite3.so" >has
nm -D "$MODULE" | sed -n 's/.* U \(sqlite3_[a-z0-9_]*\).*/\1/p' >wants
[ -s wants ]
while read -r function; do
    grep -q " T $function@" has || die "Firefox's SQLite has no $function"
done <wants
ok "Firefox's own SQLite has the $(wc -l <wants) functions that the module uses"

site
logs=("$WORK/out" "$WORK/err" "$WORK/nginx/error.log")

reader=$ROOT/integration/browsers/firefox-esr
firefox() { # firefox PROFILE URL...
    rm -f seen
    kill -USR1 "$nginx_pid" # a new log
    HOME=$WORK PIN=${PIN:-pin} "$reader" --profile "$WORK/$1" "${@:2}" >out 2>err
}

# all four in one session, so the PIN is asked for once
urls=() choose=()
for version in TLSv1.2 TLSv1.3; do
    for label in me-ec me-rsa; do
        urls+=("https://localhost:${PORTS[$version $label]}/$version/$label")
        choose+=("$label")
    done
done
served() {
    local version label
    [ "$(grep -c '^prompt: ' out)" = 1 ] || die 'Firefox asked for the PIN more than once, or never'
    for version in TLSv1.2 TLSv1.3; do
        for label in me-ec me-rsa; do
            grep -q "^$version SUCCESS CN=$label /$version/$label$" seen || die "nginx saw no $label over $version"
            grep -q "^page: You came over $version" out
        done
    done
    [ "$(grep -c '^page: hello CN=me-' out)" = 4 ]
}

database profile
mkdir shots
CHOOSE="${choose[*]}" SHOT=shots firefox profile "${urls[@]}"
served
[ "$(grep '^certificate: .*me-ec' out | grep -c me-rsa)" = 4 ] || die 'Firefox did not offer both certificates'
ok 'modutil: TLS 1.2 and 1.3, EC and RSA, the certificate chosen in the dialog, the PIN asked for once'
grep -q '^device: demo$' out
picture shots/page.png 900 500 firefox-page.png
picture shots/device-manager.png 700 400 firefox-device-manager.png
ok 'the device manager shows the token; pictures are taken'

# --- what is refused -----------------------------------------------------------------------------

printf 00000000 >wrong-pin
PIN='wrong-pin pin' CHOOSE='none me-rsa' firefox profile "${urls[0]}" "${urls[3]}"
grep -q '^page: .*No required SSL certificate was sent' out
grep -q '^TLSv1.2 NONE - ' seen
[ "$(grep -c '^prompt: ' out)" = 2 ] || die 'a wrong PIN was not asked for again'
grep -q '^TLSv1.3 SUCCESS CN=me-rsa ' seen
ok 'no certificate, no page; a wrong PIN is asked for again'
PIN=wrong-pin CHOOSE=me-ec firefox profile "${urls[2]}"
refused 'a wrong PIN' grep SUCCESS seen
grep -q '^page: .*No required SSL certificate was sent' out
ok 'a wrong PIN, and then Cancel: no certificate'

# --- by policy -----------------------------------------------------------------------------------

mkdir policed
certutil -N -d sql:policed --empty-password
trust policed
latchkey example firefox me-ec --token demo -o policies.json
with_etc firefox/policies/policies.json policies.json true 2>err || skip 'no mount namespace for a policy in /etc'
rm -f seen
kill -USR1 "$nginx_pid"
HOME=$WORK CHOOSE="${choose[*]}" with_etc firefox/policies/policies.json policies.json \
    "$reader" --profile "$WORK/policed" "${urls[@]}" >out 2>err
served
ok 'policies.json: likewise, without modutil'
