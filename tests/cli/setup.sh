#!/bin/bash
# `setup` tells programs of the module and takes it back to the byte; as a user in a home of its own, as root in an /etc of
# its own.
. "$(dirname "$0")/lib.sh"
LIBRARY=$(realpath "$(dirname "$COMMAND")")/latchkey-pkcs11.so

# As a user whatever the test was started as; programs find what they find in PATH.
chmod 755 "$DIR"
unset XDG_CONFIG_HOME LATCHKEY_STORE LATCHKEY_TCTI
as_user=()
if [ "$(id -u)" = 0 ]; then
    mkdir "$DIR/bin"
    cp "$COMMAND" "$LIBRARY" "$DIR/bin" # where nobody can pass
    COMMAND=$DIR/bin/latchkey LIBRARY=$DIR/bin/latchkey-pkcs11.so
    chown nobody "$DIR/home"
    as_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
user() {
    (cd "$HOME" && setsid -w "${as_user[@]}" "$@")
}
state() { # PROGRAM STATE
    json "[s['state'] for s in d if s['program'] == '$1'] == ['$2']"
}
tree() { # every file below the home, with its content and mode
    (cd "$HOME" && find . -path ./.tpm2_pkcs11 -prune -o -type f -printf '%p %m ' -exec sha256sum {} \; | sort)
}

# --- nothing is done without being shown and asked for --------------------------------------------------
succeeds user "$COMMAND" setup --dry-run
prints '^p11-kit .*/home/.config/pkcs11/modules/latchkey.module: is made'
prints "^    \+ module: $LIBRARY"
prints '^ssh .*/home/.ssh/config: is made'
prints '^firefox .*(root|not installed)'
exits 2 user "$COMMAND" setup
complains 'there is no terminal to ask on: give --yes'
same "$(tree)" ''
exits 2 user "$COMMAND" setup emacs -y
complains "setup knows no 'emacs'"

# --- a user's files ---------------------------------------------------------------------------------------
printf 'Host *.example.org\n    User me' >config # no end to the last line
mkdir -p "$HOME/.ssh"
cp config "$HOME/.ssh/config"
chmod 600 "$HOME/.ssh/config"
mkdir -p "$HOME/.pki/nssdb"
[ -z "$(command -v certutil)" ] || certutil -N -d "sql:$HOME/.pki/nssdb" --empty-password
[ ${#as_user[@]} = 0 ] || chown -R nobody "$HOME"
tree >before
succeeds user "$COMMAND" setup -y
succeeds user "$COMMAND" setup --json -n
state p11-kit 'done'
state openssl 'done'
state ssh 'done'
[ -z "$(command -v modutil)" ] || state nss 'done'
same "$(stat -c %a "$HOME/.ssh/config")" 600
user ssh -T -F "$HOME/.ssh/config" -G host.example.org >out
prints '^user me$'
prints "^pkcs11provider $LIBRARY\$"
user p11-kit list-modules >out 2>&1
prints "^(latchkey|    path): $LIBRARY"
user env OPENSSL_CONF="$HOME/.config/latchkey-openssl.cnf" openssl engine >out 2>&1
prints '\(pkcs11\) pkcs11 engine'
holds grep -q "^MODULE_PATH = $LIBRARY" "$HOME/.config/latchkey-openssl.cnf"
if command -v modutil >/dev/null; then
    user modutil -dbdir "sql:$HOME/.pki/nssdb" -list latchkey >out 2>/dev/null
    prints "$LIBRARY"
fi
# once more changes nothing; a module that has moved is told of
tree >once
succeeds user "$COMMAND" setup -y
same "$(tree)" "$(cat once)"
mkdir "$HOME/moved"
cp "$LIBRARY" "$HOME/moved/"
succeeds user "$COMMAND" setup -y --module "$HOME/moved/latchkey-pkcs11.so"
user ssh -T -F "$HOME/.ssh/config" -G host.example.org >out
prints "^pkcs11provider $HOME/moved/latchkey-pkcs11.so\$"
prints_not "^pkcs11provider $LIBRARY\$"
if command -v modutil >/dev/null; then
    user modutil -dbdir "sql:$HOME/.pki/nssdb" -list latchkey >out 2>/dev/null
    prints "$HOME/moved/latchkey-pkcs11.so"
fi
rm -r "$HOME/moved"
# all of it is taken back, also when the module is gone
succeeds user "$COMMAND" setup --remove -y --module "$HOME/moved/latchkey-pkcs11.so"
holds cmp config "$HOME/.ssh/config"
same "$(tree | grep -v nssdb)" "$(grep -v nssdb before)"
[ ! -e "$HOME/.pki/nssdb/pkcs11.txt" ] || ! grep latchkey "$HOME/.pki/nssdb/pkcs11.txt" || fails 'NSS still knows it'

# --- files that are not ours, or that somebody has changed -----------------------------------------------
printf 'module: /somewhere/else.so\n' >other
cp other "$HOME/.config/pkcs11/modules/latchkey.module"
exits 1 user "$COMMAND" setup -y p11-kit
complains 'was left as it is: a file that latchkey has not made is there'
succeeds user "$COMMAND" setup --remove -y p11-kit
holds cmp other "$HOME/.config/pkcs11/modules/latchkey.module"
rm "$HOME/.config/pkcs11/modules/latchkey.module"
succeeds user "$COMMAND" setup -y ssh
sed -i '/latchkey setup: end/d' "$HOME/.ssh/config"
cp "$HOME/.ssh/config" broken
for remove in '' --remove; do
    exits 1 user "$COMMAND" setup -y $remove ssh
    complains 'have lost their first or last one'
    holds cmp broken "$HOME/.ssh/config"
done
for content in '' 'Host a\n'; do # an empty file stays, a missing one does not
    # shellcheck disable=SC2059 # escapes are meant
    printf "$content" >config
    cp config "$HOME/.ssh/config"
    succeeds user "$COMMAND" setup -y ssh
    succeeds user "$COMMAND" setup -y ssh --remove
    holds cmp config "$HOME/.ssh/config"
done
rm "$HOME/.ssh/config"
succeeds user "$COMMAND" setup -y ssh
# what was added behind our lines is not ours
printf 'Host b\n' >>"$HOME/.ssh/config"
succeeds user "$COMMAND" setup -y ssh --remove
same "$(cat "$HOME/.ssh/config")" 'Host b'
# a file that cannot be written is said
chmod 444 "$HOME/.ssh/config"
chmod 555 "$HOME/.ssh"
exits 1 user "$COMMAND" setup -y ssh
complains "$HOME/.ssh/config cannot be written"
chmod 755 "$HOME/.ssh"
exits 8 user "$COMMAND" setup -y --module /nonexistent.so
complains 'the module cannot be loaded'

# --- root's files, in a copy of /etc -----------------------------------------------------------------------
cp -a /etc "$DIR/etc"
root() {
    # shellcheck disable=SC2016 # for the inner shell
    setsid -w unshare --mount sh -c 'mount --bind "$1" /etc && shift && exec "$@"' sh "$DIR/etc" "$@"
}
if [ "$(id -u)" != 0 ] || ! root true 2>/dev/null; then
    finish # no mounts here: what follows differs in paths, and in the policy
fi
mkdir -p "$DIR/etc/ssh/ssh_config.d" "$DIR/fake"
printf '#!/bin/sh\n' >"$DIR/fake/firefox"
chmod 755 "$DIR/fake/firefox"
export PATH=$DIR/fake:$PATH
POLICY=$DIR/etc/firefox/policies/policies.json
device() { # PYTHON-EXPRESSION: the path that Firefox would read
    python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$POLICY" "$1"
}
rm -rf "$DIR/etc/firefox" "$DIR/etc/pkcs11/modules/latchkey.module" "$DIR/etc/ssl/latchkey.cnf"
exits 1 root python3 "$HERE/terminal.py" no "$COMMAND" setup firefox
[ ! -e "$POLICY" ] || fails 'done without a yes'
succeeds root python3 "$HERE/terminal.py" yes "$COMMAND" setup firefox
[ -e "$POLICY" ] || fails 'not done in spite of a yes'
succeeds root "$COMMAND" setup -y
prints 'OPENSSL_CONF set to /etc/ssl/latchkey.cnf'
root p11-kit list-modules >out 2>&1
prints "^(latchkey|    path): $LIBRARY"
root ssh -T -G host >out
prints "^pkcs11provider $LIBRARY\$"
same "$(device 'd["policies"]["SecurityDevices"]["latchkey"]')" "$LIBRARY"
succeeds root "$COMMAND" setup -y --remove
for file in firefox/policies/policies.json pkcs11/modules/latchkey.module ssl/latchkey.cnf ssh/ssh_config.d/latchkey.conf; do
    [ ! -e "$DIR/etc/$file" ] || fails "$file is still there"
done

# somebody else's policies keep their bytes
mkdir -p "${POLICY%/*}"
for policy in '{}' '{"policies": {}}' '{\n\t"policies": {\n\t\t"DisableTelemetry": true\n\t}\n}\n' \
    '{"about": "Grüße", "policies": {"SecurityDevices": {"card": "/usr/lib/card.so"}, "X": []}}' \
    '{"policies": {"SecurityDevices": {"Add": {"card": "/card.so"}, "Delete": ["old"]}}}' \
    '{"policies": {"SecurityDevices": {"Add": {}}}}' '{"policies": {"SecurityDevices": {"Delete": ["old"]}}}'; do
    # shellcheck disable=SC2059 # escapes are meant
    printf "$policy" >policy
    cp policy "$POLICY"
    succeeds root "$COMMAND" setup -y firefox
    ! grep -q Delete policy || same "$(device 'd["policies"]["SecurityDevices"]["Add"]["latchkey"]')" "$LIBRARY"
    same "$(device '(lambda s: s.get("Add", s))(d["policies"]["SecurityDevices"])["latchkey"]')" "$LIBRARY"
    if grep -q card policy; then
        holds [ "$(device '(lambda s: s.get("Add", s))(d["policies"]["SecurityDevices"])["card"]')" != '' ]
    fi
    succeeds root "$COMMAND" setup -y firefox
    succeeds root "$COMMAND" setup -y firefox --remove
    holds cmp policy "$POLICY"
done
for policy in '[]' 'nonsense: {' 'policies:\n  X: 1\n' '{"policies": ' ''; do
    # shellcheck disable=SC2059 # escapes are meant
    printf "$policy" >policy
    cp policy "$POLICY"
    exits 1 root "$COMMAND" setup -y firefox
    complains 'it is no JSON object'
    holds cmp policy "$POLICY"
done
# rewritten by another tool: left for a person
printf '{"policies": {"SecurityDevices": {"latchkey" : "%s"}}}' "$LIBRARY" >policy
cp policy "$POLICY"
exits 1 root "$COMMAND" setup -y firefox --remove
complains 'take it out by hand'
holds cmp policy "$POLICY"
finish
