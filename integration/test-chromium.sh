#!/bin/bash
# Chromium on a screen that nobody sees: the module in ~/.pki/nssdb, mutual TLS 1.2 and 1.3 with EC and RSA keys, the
# certificate by a policy or from the dialog, the PIN typed, a wrong PIN.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/browsers/lib.sh"
need chromium Xvfb xdotool import certutil modutil nginx openssl swtpm

# In the page's PATH is a program that has a screen, and somebody who answers Chromium's questions there.
prepare_page() {
    cp "$ROOT/integration/browsers/chromium" "$PAGE_WORLD/build/"
}
follow docs/chromium.md
grep -q '^prompt: Unlock Security Device$' "$PAGE_WORLD/out"
grep -q '^page: hello CN=me$' "$PAGE_WORLD/out"

scratch
cd "$WORK"
site
database .pki/nssdb
logs=("$WORK/out" "$WORK/err" "$WORK/nginx/error.log")

# a policy with the rule that the example has, for each of the four ports
urls=()
rules=()
for version in TLSv1.2 TLSv1.3; do
    for label in me-ec me-rsa; do
        urls+=("https://localhost:${PORTS[$version $label]}/$version/$label")
        latchkey example chromium $label --token demo -o one.json
        sed -i "s|https://www.example.org|https://localhost:${PORTS[$version $label]}|" one.json
        rules+=("$(sed -n '/pattern/p' one.json)")
    done
done
(
    IFS=,
    printf '{"AutoSelectCertificateForUrls": [%s]}\n' "${rules[*]}"
) >policy.json
with_etc chromium/policies/managed/latchkey.json policy.json true 2>err || skip 'no mount namespace for a policy in /etc'

chromium() { # chromium URL...
    rm -f seen
    kill -USR1 "$nginx_pid" # a new log
    HOME=$WORK PIN=${PIN:-pin} with_etc chromium/policies/managed/latchkey.json policy.json \
        "$ROOT/integration/browsers/chromium" "$@" >out 2>err
}

SHOT=$WORK/page.png chromium "${urls[@]}"
for version in TLSv1.2 TLSv1.3; do
    for label in me-ec me-rsa; do
        grep -q "^$version SUCCESS CN=$label /$version/$label$" seen || die "nginx saw no $label over $version"
        grep -q "^page: hello CN=$label over $version$" out
    done
done
[ "$(grep -c '^prompt: ' out)" = 1 ] || die 'Chromium asked for the PIN more than once, or never'
ok 'TLS 1.2 and 1.3, EC and RSA, the PIN typed once'
picture page.png 900 600 chromium-page.png
ok 'a picture is taken'

printf 00000000 >wrong-pin
PIN='wrong-pin pin' chromium "${urls[0]}"
[ "$(grep -c '^prompt: ' out)" = 2 ] || die 'a wrong PIN was not asked for again'
grep -q '^TLSv1.2 SUCCESS CN=me-ec ' seen
ok 'a wrong PIN is asked for again'
PIN=wrong-pin chromium "${urls[3]}"
refused 'a wrong PIN' grep SUCCESS seen
grep -q '^page: 400 No required SSL certificate was sent$' out
ok 'a wrong PIN, and then Cancel: no certificate'
