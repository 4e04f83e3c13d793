#!/bin/bash
# systemd-cryptenroll and cryptsetup's systemd-pkcs11 plugin: a LUKS2 volume that the token's RSA key and PIN open, and
# what does not open it. Nothing is mapped, for which a kernel may lack the means: the volume key is what is asked for.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need systemd-cryptenroll cryptsetup p11-kit openssl swtpm
# p11-kit reads a user's own module files, but not root's: root gets a private view of the system's.
if [ "$(id -u)" = 0 ] && [ -z "${OWN_VIEW:-}" ]; then
    unshare --mount true 2>/dev/null || skip 'this root may not unshare mounts'
    OWN_VIEW=yes exec unshare --mount "$0"
fi
follow docs/cryptenroll.md
grep -q '^Key slot 1 unlocked' "$PAGE_WORLD/out"
scratch
cd "$WORK"

make_token demo
make_ca .
make_key demo rsa 01 rsa
make_key demo ec 02 ec
latchkey key generate --token demo --label signs --type rsa --usage sign --pin-file "$PIN_FILE" >/dev/null
for label in rsa ec signs; do
    make_cert . demo $label
done
export HOME=$WORK XDG_CONFIG_HOME=$WORK/config
mkdir -p config/pkcs11/modules
echo "module: $MODULE" >config/pkcs11/modules/latchkey.module
[ "$(id -u)" != 0 ] || mount --bind config/pkcs11/modules /usr/share/p11-kit/modules
logs=("$WORK/said")

truncate -s 32M volume
printf passphrase >passphrase
cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 volume passphrase

enroll() { # enroll URI
    PASSWORD=passphrase PIN=$(cat "$PIN_FILE") systemd-cryptenroll --pkcs11-token-uri="$1" volume </dev/null >said 2>&1
}
opens() { # opens PIN-FILE
    cryptsetup open --test-passphrase --token-only --verbose volume <"$1" >said 2>&1
}
slots() {
    systemd-cryptenroll volume 2>/dev/null | awk '$1 ~ /[0-9]/ { print $2 }' | paste -sd' '
}

refused 'opening before enrolling' opens "$PIN_FILE"
enroll 'pkcs11:token=demo;object=rsa'
[ "$(slots)" = 'password pkcs11' ]
opens "$PIN_FILE"
grep -q 'Successfully decrypted key with security token' said
grep -q 'Key slot 1 unlocked' said
ok 'an RSA key is enrolled and opens the volume'

echo 00000000 >wrong-pin
refused 'opening with a wrong PIN' opens wrong-pin
grep -q "PIN for token 'demo' is incorrect" said
refused 'opening with the passphrase for a PIN' opens passphrase
# It goes on to ask for another one.
spawn env PASSWORD=passphrase PIN=00000000 systemd-cryptenroll --pkcs11-token-uri='pkcs11:token=demo;object=rsa' volume \
    </dev/null >said 2>&1
wait_for 'the refusal' grep "PIN for token 'demo' is incorrect" said
stop $!
[ "$(slots)" = 'password pkcs11' ]
ok 'a wrong PIN is refused, and opens nothing'

systemd-cryptenroll --wipe-slot=pkcs11 volume >/dev/null 2>&1
refused 'opening after the slot was wiped' opens "$PIN_FILE"
cryptsetup open --test-passphrase volume <passphrase
ok 'a wiped slot opens no more, the passphrase does'

# What the page warns of
refused 'a private key in the URI' enroll 'pkcs11:token=demo;object=rsa;type=private'
grep -q 'not an X.509 certificate' said
refused 'one of three' enroll 'pkcs11:token=demo'
grep -q 'matches multiple certificates' said
enroll 'pkcs11:token=demo;object=signs'
refused 'a key that does not decrypt' opens "$PIN_FILE"
grep -q 'suitable for decryption' said
ok 'what the page warns of is so'

if [ "$(systemctl --version | awk 'NR == 1 { print $2 }')" -ge 256 ]; then
    systemd-cryptenroll --wipe-slot=pkcs11 volume >/dev/null 2>&1
    enroll 'pkcs11:token=demo;object=ec'
    opens "$PIN_FILE"
    ok 'an EC key is enrolled and opens the volume'
else
    refused 'an EC key, before systemd 256' enroll 'pkcs11:token=demo;object=ec'
fi
