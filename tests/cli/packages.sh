#!/bin/bash
# What cpack makes: two Debian packages with exactly these files, owners and modes, and what they ask for.
# integration/check-packages installs them.
. "$(dirname "$0")/lib.sh"
skip() {
    echo "skipped: $*"
    exit 77
}
command -v dpkg-shlibdeps >/dev/null || skip 'dpkg-dev is not installed'
grep -qx 'CMAKE_INSTALL_PREFIX:PATH=/usr' "$LATCHKEY_BUILD/CMakeCache.txt" ||
    skip 'packages are made of a build that was configured for /usr'
LIBRARIES=usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)

holds_files() { # PACKAGE: the files are on standard input
    local package
    package=$(echo "$1"_*.deb)
    dpkg-deb -c "$package" | awk '$1 !~ /^d/ { print $1, $2, $6 }' | sed 's, \./, ,' | sort -k 3 >"$1.files"
    diff <(sort -k 3) "$1.files" >"$DIR/out" || fails "the files of $1 are others"
    dpkg-deb -c "$package" | grep '^d' | grep -v '^drwxr-xr-x root/root' >"$DIR/out" &&
        fails "directories of $1 have another mode or owner"
}

asks_for() { # PACKAGE PATTERN
    dpkg-deb -f "$1"_*.deb Depends | grep -qE -e "(^|, )$2(,|\$)" || fails "$1 does not depend on $2"
}

succeeds cpack --config "$LATCHKEY_BUILD/CPackConfig.cmake" -B "$DIR/packages"
cd packages || exit 1

holds_files latchkey-pkcs11 <<EOF
-rw-r--r-- root/root $LIBRARIES/pkcs11/latchkey-pkcs11.so
-rw-r--r-- root/root usr/share/doc/latchkey-pkcs11/changelog.Debian.gz
-rw-r--r-- root/root usr/share/doc/latchkey-pkcs11/changelog.gz
-rw-r--r-- root/root usr/share/doc/latchkey-pkcs11/copyright
-rw-r--r-- root/root usr/share/doc/latchkey-pkcs11/examples/latchkey.conf
-rw-r--r-- root/root usr/share/man/man5/latchkey.conf.5.gz
-rw-r--r-- root/root usr/share/man/man7/latchkey-pkcs11.7.gz
-rw-r--r-- root/root usr/share/p11-kit/modules/latchkey.module
EOF
documents() {
    find "$ROOT/docs" -name '*.md' -o -name '*.png' | sed "s,^$ROOT/,-rw-r--r-- root/root usr/share/doc/latchkey/,"
}
holds_files latchkey <<EOF
-rwxr-xr-x root/root usr/bin/latchkey
-rw-r--r-- root/root usr/lib/sysusers.d/latchkey.conf
-rw-r--r-- root/root usr/lib/tmpfiles.d/latchkey.conf
-rw-r--r-- root/root usr/share/bash-completion/completions/latchkey
-rw-r--r-- root/root usr/share/doc/latchkey/README.md
-rw-r--r-- root/root usr/share/doc/latchkey/SECURITY.md
-rw-r--r-- root/root usr/share/doc/latchkey/changelog.Debian.gz
-rw-r--r-- root/root usr/share/doc/latchkey/changelog.gz
-rw-r--r-- root/root usr/share/doc/latchkey/copyright
-rw-r--r-- root/root usr/share/doc/latchkey/examples/latchkey-host-keys.service
-rw-r--r-- root/root usr/share/doc/latchkey/examples/nginx-latchkey.conf
-rw-r--r-- root/root usr/share/man/man1/latchkey.1.gz
$(documents)
EOF

asks_for latchkey-pkcs11 libtss2-tcti-device0
asks_for latchkey-pkcs11 'libtss2-tctildr0[^,]*'
asks_for latchkey "latchkey-pkcs11 \(= $(dpkg-deb -f latchkey-pkcs11_*.deb Version)\)"
asks_for latchkey 'systemd \| systemd-standalone-sysusers \| systemd-sysusers'
same "$(dpkg-deb -I latchkey-pkcs11_*.deb | grep -cE ' (postinst|postrm|preinst|prerm|conffiles) ')" 0
version=$(sed -n 's/^latchkey (\(.*\)) .*/\1/p' "$ROOT/dist/debian/changelog" | head -n 1)
same "$(dpkg-deb -f latchkey_*.deb Version | sed 's/~.*//')" "$version"
same "$(sed -n 's/^Version: *//p' "$ROOT/dist/latchkey.spec")" "${version%-*}"
for script in postinst postrm; do
    dpkg-deb -I latchkey_*.deb $script >$script
    holds sh -n $script
done
finish
