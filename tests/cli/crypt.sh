#!/bin/bash
# Files encrypted and decrypted: of every size, by the command and by others, changed ones refused.
. "$(dirname "$0")/lib.sh"
start_token

head -c 32 /dev/urandom >aes.raw
succeeds lk key import aes.raw --type aes --label aes --pin-file pin

# decrypts the form that latchkey(1) describes, with a library of its own
cat >open.py <<'PYTHON'
import sys
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
key, data = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read()
head, nonce, data = data[:8], int.from_bytes(data[8:20], "big"), data[20:]
assert head == b"LKENC\x01\x01\x14"
size = (1 << head[7]) + 16
chunks = [data[i:i + size] for i in range(0, len(data), size)]
for i, chunk in enumerate(chunks):
    last = bytes([i == len(chunks) - 1])
    sys.stdout.buffer.write(AESGCM(key).decrypt((nonce ^ i).to_bytes(12, "big"), chunk, head + last))
PYTHON
if python3 -c 'import cryptography' 2>/dev/null; then python=1; else python=; fi
for size in 0 1 15 16 17 65536 1048575 1048576 1048577 2200000; do
    head -c "$size" /dev/urandom >plain
    succeeds lk encrypt aes plain --pin-file pin -o sealed
    same "$(stat -c %s sealed)" $((size + 20 + 16 * (size ? (size + 1048575) / 1048576 : 1)))
    succeeds lk decrypt aes sealed --pin-file pin -o back
    holds cmp back plain
    [ -z "$python" ] || python3 open.py aes.raw sealed | cmp - plain || fails "python: $size bytes"
done
# the same again is another file
cp sealed first
succeeds lk encrypt aes plain --pin-file pin -o sealed
! cmp -s sealed first || fails 'the nonce is the same'
# through pipes; not two commands at once, for SoftHSM's files may be half written for the second one
lk encrypt aes --pin-file pin <plain | cat >piped
# shellcheck disable=SC2002 # a pipe it is to be
cat piped | lk decrypt aes - --pin-file pin | cmp - plain || fails 'not through a pipe'

# --- changed ones: refused, and nothing is left ------------------------------------------------------
refused() { # FILE
    printf old >kept
    exits 1 lk decrypt aes "$1" --pin-file pin -o kept
    same "$(cat kept)" old
    exits 1 lk decrypt aes "$1" --pin-file pin -o fresh
    same "$(echo fresh* kept*)" 'fresh* kept'
}
change() { # OFFSET: a byte of sealed
    cp sealed changed
    flip changed "$1"
    refused changed
}
for offset in 0 5 7 8 19 20 1048600 1048612 2200067; do change "$offset"; done
complains 'changed'
size=$(stat -c %s sealed)
for cut in 7 20 30 $((20 + 1048592)) $((20 + 2 * 1048592)) $((size - 1)); do
    head -c "$cut" sealed >short
    refused short
done
(cat sealed && printf x) >long
refused long
# two chunks in the other order
python3 - <<'PYTHON'
data, size = open("sealed", "rb").read(), (1 << 20) + 16
one, two, rest = data[20:20 + size], data[20 + size:20 + 2 * size], data[20 + 2 * size:]
open("swapped", "wb").write(data[:20] + two + one + rest)
PYTHON
same "$(stat -c %s swapped)" "$size"
refused swapped
head -c 32 /dev/urandom >other.raw
succeeds lk key import other.raw --type aes --label other --pin-file pin
exits 1 lk decrypt other sealed --pin-file pin -o fresh
holds test ! -e fresh
exits 1 lk decrypt aes pin --pin-file pin -o fresh
complains "was not made by 'latchkey encrypt'"
exits 1 lk encrypt aes plain --pin-file pin -o /nonexistent/file
exits 3 lk encrypt aes nowhere --pin-file pin -o fresh
holds test ! -e fresh

# what comes out of decrypt is for its owner; what was there keeps its mode
(umask 022 && succeeds lk encrypt aes plain --pin-file pin -o sealed)
same "$(stat -c %a sealed)" 644
succeeds lk decrypt aes sealed --pin-file pin -o fresh
same "$(stat -c %a fresh)" 600
chmod 640 fresh
succeeds lk decrypt aes sealed --pin-file pin -o fresh
same "$(stat -c %a fresh)" 640
ln -s fresh link
succeeds lk decrypt aes sealed --pin-file pin -o link
holds test -L link
succeeds lk decrypt aes sealed --pin-file pin -o /dev/null
holds test -c /dev/null

# a bar for a large file, on a terminal only
head -c 4500000 /dev/zero >large
lk_typing '' encrypt aes large --pin-file pin -o sealed >out
prints '%'
succeeds lk encrypt aes large --pin-file pin -o sealed
holds test ! -s err

# constant memory, whatever the size (a TPM would take too long over this one)
if on_softhsm; then
    head -c 300000000 /dev/zero >large
    cat >memory.py <<'PYTHON'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
PYTHON
    export ASAN_OPTIONS=quarantine_size_mb=1
    for verb in "encrypt aes large --pin-file pin -o sealed" "decrypt aes sealed --pin-file pin -o large"; do
        read -ra words <<<"$verb"
        memory=$(python3 memory.py "$COMMAND" "${words[@]}" --module "$MODULE")
        [ "$memory" -lt 100000 ] || fails "$verb takes $memory KiB"
    done
    unset ASAN_OPTIONS
fi
rm -f large sealed

# --- AES-CBC, as openssl does it ---------------------------------------------------------------------
hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }
for size in 0 1 16 65536 65537 300000; do
    head -c "$size" /dev/urandom >plain
    succeeds lk encrypt aes plain --mechanism aes-cbc-pad --pin-file pin -o sealed
    head -c 16 sealed >iv
    tail -c +17 sealed >body
    openssl enc -d -aes-256-cbc -K "$(hex aes.raw)" -iv "$(hex iv)" -in body -out back
    holds cmp back plain
    openssl enc -aes-256-cbc -K "$(hex aes.raw)" -iv "$(hex iv)" -in plain -out body
    cat iv body >sealed
    succeeds lk decrypt aes sealed --mechanism aes-cbc-pad --pin-file pin -o back
    holds cmp back plain
done
exits 1 lk decrypt aes iv --mechanism aes-cbc-pad --pin-file pin -o fresh2
holds test ! -e fresh2

# --- RSA ---------------------------------------------------------------------------------------------
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem 2>/dev/null
openssl pkey -in rsa.pem -pubout -out rsa.pub
succeeds lk key import rsa.pem --label rsa --pin-file pin
printf 'attack at dawn' >plain
oaep() { # HASH MECHANISM-OPTIONS...
    local hash=$1
    shift
    succeeds lk encrypt rsa plain "$@" -o sealed # no PIN
    openssl pkeyutl -decrypt -inkey rsa.pem -in sealed -out back -pkeyopt rsa_padding_mode:oaep \
        -pkeyopt "rsa_oaep_md:$hash" -pkeyopt "rsa_mgf1_md:$hash"
    holds cmp back plain
    openssl pkeyutl -encrypt -pubin -inkey rsa.pub -in plain -out sealed -pkeyopt \
        rsa_padding_mode:oaep -pkeyopt "rsa_oaep_md:$hash" -pkeyopt "rsa_mgf1_md:$hash"
    succeeds lk decrypt rsa sealed "$@" --pin-file pin
    holds cmp out plain
}
on_softhsm || oaep sha256
oaep sha1 --mechanism rsa-oaep-sha1
succeeds lk encrypt rsa plain --mechanism rsa-pkcs -o sealed
openssl pkeyutl -decrypt -inkey rsa.pem -in sealed -out back
holds cmp back plain
head -c 300 /dev/urandom >plain
exits 1 lk encrypt rsa plain --mechanism rsa-oaep-sha1 -o fresh2
complains 'key wrap'
holds test ! -e fresh2

# a key that wants the PIN at each use
succeeds lk key generate --type rsa --label careful --always-authenticate --pin-file pin
printf 'attack at dawn' >plain
succeeds lk encrypt careful plain --mechanism rsa-oaep-sha1 -o sealed
succeeds lk decrypt careful sealed --mechanism rsa-oaep-sha1 --pin-file pin
holds cmp out plain

# --- keys that do not ---------------------------------------------------------------------------------
exits 3 lk encrypt aes plain
complains '--login'
exits 4 lk encrypt aes plain --pin-file so-pin
succeeds lk key generate --label ec --pin-file pin
exits 1 lk encrypt ec plain
complains 'cannot encrypt'
succeeds lk key generate --type aes --usage wrap --label kek --pin-file pin
exits 1 lk encrypt kek plain --pin-file pin
complains 'other uses'
exits 2 lk encrypt aes plain --mechanism rot13 --pin-file pin
complains 'aes-gcm, aes-cbc-pad'
finish
