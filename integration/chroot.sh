# Minimal Debian systems in directories, for bare-system and check-packages: source it first. Packages come from where
# this machine's own apt gets them, of whatever release.
# shellcheck shell=bash
set -euo pipefail

# indextargets of this machine's apt: "URI SUITE COMPONENT" of each Debian repository, for RELEASE
repositories() { # RELEASE
    local own
    own=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016 # apt's own placeholders
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v own="$own" -v r="$1" '$2 == own || index($2, own "-") == 1 { sub("^" own, r, $2); print }' | sort -u
}

# A minimal system of RELEASE in DIR, if none is there yet.
system_make() { # DIR RELEASE [PACKAGE,...]
    local dir=$1 release=$2 mirror proxy
    mkdir -p "$dir"
    chmod 755 "$dir" # it becomes /
    mirror=$(repositories "$release" | awk -v r="$release" '$2 == r && $3 == "main" { print $1; exit }')
    [ -n "$mirror" ] || {
        echo "this machine's apt knows no main" >&2
        exit 1
    }
    proxy=$(apt-config shell p Acquire::http::Proxy | sed "s/^p='\(.*\)'$/\1/")
    if [ ! -e "$dir/etc/debian_version" ]; then
        echo "=== debootstrap $release (minbase${3:+, $3})"
        http_proxy=${proxy:-${http_proxy:-}} debootstrap --variant=minbase --include="ca-certificates${3:+,$3}" \
            "$release" "$dir" "$mirror" >"$dir.log" 2>&1 || {
            tail "$dir.log" >&2
            exit 1
        }
        rm -f "$dir.log"
    fi
    repositories "$release" | sed 's/^/deb /' >"$dir/etc/apt/sources.list"
    apt-config dump | grep -E '^Acquire::(http|https|Retries|Check-)' \
        >"$dir/etc/apt/apt.conf.d/90host" || true
    cp -L /etc/resolv.conf /etc/hosts "$dir/etc/"
}

# HEAD as root's ~/latchkey in DIR.
system_clone() { # DIR
    rm -rf "$1/root/latchkey"
    git clone -q --no-hardlinks "$ROOT" "$1/root/latchkey"
}

# What a system has beside its files; in a mount namespace of the caller's own, so it ends with that.
system_mount() { # DIR
    local dir=$1 device
    mount --bind "$dir" "$dir" # a root that is a mount point can be unshared again, by a test
    mount -t proc proc "$dir/proc"
    mount -t tmpfs -o mode=755 dev "$dir/dev"
    for device in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
        # shellcheck disable=SC2086 # name, major, minor
        set -- $device
        mknod -m 666 "$dir/dev/$1" c "$2" "$3"
    done
    ln -s /proc/self/fd "$dir/dev/fd"
    mkdir -m 1777 "$dir/dev/shm"
    mkdir "$dir/dev/pts"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$dir/dev/pts"
    ln -s pts/ptmx "$dir/dev/ptmx"
}

# In DIR, with what system_mount gave it: a command of the shell in ~/latchkey, or in / without one.
system_run() { # DIR COMMAND
    chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive sh -c "cd /root/latchkey 2>/dev/null || cd /; exec $2"
}

# Runs this script once more with --inside ARGUMENTS: everything that it mounts and starts ends with it.
in_namespaces() { # ARGUMENT...
    unshare --mount --pid --fork --kill-child "$0" --inside "$@"
}

need_root() {
    [ "$(id -u)" = 0 ] || {
        echo "${0##*/} makes device nodes and mounts: run it as root" >&2
        exit 1
    }
}

# Sets dir: DIR, made if need be, or without one a temporary directory, the caller's to remove.
system_directory() { # [DIR]
    [ -z "${1:-}" ] || mkdir -p "$1"
    dir=$(realpath "${1:-$(mktemp -d)}")
}
