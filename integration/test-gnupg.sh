#!/bin/bash
# GnuPG by gnupg-pkcs11-scd: gpg with a key made of the token's RSA keys, gpgsm with their certificates; signing,
# decrypting, git, the PIN by pinentry, and a wrong one.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need gpg gpgsm gpg-agent gnupg-pkcs11-scd git openssl swtpm
follow docs/gnupg.md
grep -q 'Good signature from "me <me@example.org>"' "$PAGE_WORLD/trace"
grep -q 'Good signature from "/CN=signing"' "$PAGE_WORLD/trace"
[ "$(grep -c 'BEGIN CERTIFICATE' "$PAGE_WORLD/out")" = 2 ] # decrypted by gpg, and by gpgsm
scratch
cd "$WORK"

demo_keys sign:rsa decrypt:rsa ec

export HOME=$WORK GNUPGHOME=$WORK/gnupg
mkdir -m 700 gnupg
at_exit+=("gpgconf --kill all")
logs=("$WORK/scd.log" "$WORK/said")
cat >gnupg/gnupg-pkcs11-scd.conf <<EOF
providers latchkey
provider-latchkey-library $MODULE
log-file $WORK/scd.log
EOF
cat >gnupg/gpg-agent.conf <<EOF
scdaemon-program $(command -v gnupg-pkcs11-scd)
pinentry-program $WORK/pinentry
EOF
# Speaks Assuan as every pinentry does; a line of "asked" for each question.
cat >pinentry <<'EOF'
#!/bin/bash
echo OK
while read -r command _; do
    case $command in
    GETPIN)
        echo question >>"$HOME/asked"
        echo "D $(cat "$HOME/pin")"
        ;;
    esac
    echo OK
    [ "$command" != BYE ] || exit
done
EOF
chmod 700 pinentry

gpg_connect() {
    gpg-connect-agent "$@" /bye 2>>said
}
gpg_connect 'SCD LEARN' >learnt
grip() {
    awk -v name="/CN=$1" '$2 == "KEY-FRIEDNLY" && $4 == name { print $3 }' learnt
}
[ -n "$(grip sign)" ]
[ -n "$(grip decrypt)" ]
[ -z "$(grip ec)" ]
gpgsm --import ca.crt 2>>said
gpgsm --learn-card 2>>said
ok 'gpg-agent learns the RSA keys that have certificates'

gpg --batch --generate-key 2>>said <<EOF
Key-Type: RSA
Key-Grip: $(grip sign)
Key-Usage: sign
Subkey-Type: RSA
Subkey-Grip: $(grip decrypt)
Subkey-Usage: encrypt
Name-Real: me
Name-Email: me@localhost
EOF
gpg -K --with-colons >listed 2>>said
grep -q "^grp:::::::::$(grip sign):" listed
grep -q "^grp:::::::::$(grip decrypt):" listed
[ "$(wc -l <asked)" = 1 ]
ok 'an OpenPGP key of the two, certified by the one; the PIN came by pinentry, once'

head -c 100000 /dev/urandom >document
for digest in SHA256 SHA384 SHA512; do
    gpg --batch --yes --digest-algo $digest -o document.sig --detach-sign document 2>>said
    gpg --status-fd 1 --verify document.sig document 2>>said | grep -q '^\[GNUPG:\] GOODSIG .* me <me@localhost>$'
done
refused 'a signature of something else' gpg --verify document.sig ca.crt
gpg --batch -r me -o document.gpg --encrypt document 2>>said
gpg --batch -o document.back --decrypt document.gpg 2>>said
same 'what gpg decrypted' document document.back
[ "$(wc -l <asked)" = 1 ]
ok 'gpg signs and decrypts, without asking again'

git init -q repository
git -C repository -c user.name=me -c user.email=me@localhost commit -q -S --allow-empty -m signed 2>>said
git -C repository verify-commit HEAD 2>verified
grep -q 'Good signature from "me <me@localhost>"' verified
ok 'git signs a commit with it'

echo "$(openssl x509 -in ca.crt -noout -fingerprint -sha1 | cut -d= -f2) S relax" >gnupg/trustlist.txt
echo disable-crl-checks >gnupg/gpgsm.conf
gpgconf --kill all
gpgsm --batch -u sign -o document.p7 --sign document 2>>said
gpgsm --verify document.p7 2>verified
grep -q 'Good signature from "/CN=sign"' verified
openssl cms -encrypt -binary -aes256 -in document -outform der -out document.cms decrypt.crt
gpgsm --batch --yes -o document.back --decrypt document.cms 2>>said
same 'what gpgsm decrypted' document document.back
ok 'gpgsm signs, and decrypts what OpenSSL encrypted'

gpgconf --kill all
printf 00000000 >pin
: >asked
! gpg --batch --yes -o document.sig --detach-sign document 2>refusal || die 'a wrong PIN signs'
grep -q 'signing failed: Bad PIN' refusal
! gpg --batch --yes -o document.back --decrypt document.gpg 2>refusal || die 'a wrong PIN decrypts'
grep -q 'Bad PIN' refusal
[ "$(wc -l <asked)" -ge 3 ]
ok 'a wrong PIN is refused'
