#!/bin/bash
# The tests of SoftHSM's own PKCS#11 interface, which its README builds for "another p11 module": from
# Debian's source package, one check a test.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need pkcs11-tool g++ make swtpm
[ -e /usr/include/cppunit/TestFixture.h ] || skip 'libcppunit-dev is not installed'
# shellcheck disable=SC2119 # none of the script's arguments
world
debian_source s/softhsm2/softhsm2_2.6.1.orig.tar.gz \
    ac9ac1e3f4402f88bf3e626a18f070f8031c031947ed469c6e17482495ec72b6

# Where the suite holds a module to what SoftHSM happens to do, it is changed, so that the rest of the
# test is reached. adapt FILE 'SED-COMMAND', the line numbers being those of the release above.
adapt() {
    sed -i "$2" "$SOURCE/src/lib/test/$1Tests.cpp"
}
# RSA of 1536 bits: a TPM makes 1024, 2048 and 3072.
for class in AsymEncryptDecrypt AsymWrapUnwrap Object SignVerify SymmetricAlgorithm; do
    adapt $class 's/bits = 1536/bits = 2048/'
done
# MD5 and DES are not there (WITH_FIPS leaves MD5 and single DES out): what else of them stands between others.
adapt SignVerify '/generateDes.Key(hSession/d; /DES3_CMAC/d'
adapt Derive '/generateDes.*Key(hSession/d; /symDerive(.*\(DES\|hKeyDes\)/d'
# Two things are wrong with this call: no login and a read-only session. Which is told is open.
adapt Object '746s/rv == /rv == CKR_USER_NOT_LOGGED_IN || &/'
# Whether CKA_OBJECT_ID of a data object may change is open: its table (4.5) has no footnotes.
adapt Object '1027s/(.*)/(rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_OK)/'
# So is whether a copy may be public when the original is private: C_CopyObject may change CKA_PRIVATE (5.7.2).
adapt Object '1037s/(.*)/(rv == CKR_TEMPLATE_INCONSISTENT || rv == CKR_OK)/'
# And whether "cannot be changed once set" (4.4, footnotes 11 and 12) means the same value, too.
adapt Object '1843s/(.*)/(rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_OK)/'
# OAEP with SHA-1 alone, and CKR_ARGUMENTS_BAD for the others.
adapt AsymEncryptDecrypt '/^\trsaOAEPParams(/d'
# The size of an object may be known.
adapt Object '1187s/(.*)/(objectSize > 0)/'
# CKA_ALWAYS_AUTHENTICATE: "calls using the key" fail (5.6.8), and C_SignUpdate only hashes.
adapt Object '2048,2050s/C_SignUpdate(hSession, data, sizeof(data))/C_SignFinal(hSession, signature256, \&signature256Len)/'
# 2.6.1 makes X25519 and X448 keys as Edwards keys; 3.0 has CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CKK_EC_MONTGOMERY.
adapt Derive 's/CKM_EC_EDWARDS_KEY_PAIR_GEN/0x1056/; s/CKK_EC_EDWARDS/0x41/'
# Asking for a length may succeed where the operation will not, and less than a block may wait for the rest:
# ask for the output at once, and give a whole block. (The data of line 1148 ends a byte too early.)
adapt SymmetricAlgorithm '257s/NULL_PTR/isSizeOK ? NULL_PTR : ROOM(ulEncryptedDataLen)/
    285s/NULL_PTR/isSizeOK ? NULL_PTR : ROOM(ulLastEncryptedPartLen)/
    305s/NULL_PTR/isSizeOK ? NULL_PTR : ROOM(ulDataLen)/
    334s/NULL_PTR/isSizeOK ? NULL_PTR : ROOM(ulLastPartLen)/
    1122s/NULL_PTR/ROOM(ulEncryptedDataLen)/
    1142s/plainText,1,NULL_PTR/plainText,16,ROOM(ulEncryptedPartLen)/
    1148s/&vEncryptedData.front()/(vEncryptedData.reserve(64), &)/; 1148s/NULL_PTR/ROOM(ulDataLen)/
    1168s/,1,NULL_PTR/,16,ROOM(ulDataPartLen)/'
# A counter that would overflow: CKR_DATA_LEN_RANGE, whichever the direction (6.11.3).
adapt SymmetricAlgorithm '1149s/ENCRYPTED_//; 1169s/ENCRYPTED_//'
# A template that gives CKA_SENSITIVE twice, with two values, is refused (4.1.1).
adapt SymmetricAlgorithm '373s/.*//'
# The nested templates: one that was not given is not there, rather than empty, which would allow nothing.
adapt Object '377s/ 7)/ 6)/; 386,387s/.*//; 420s/.*//; 430s/ 12)/ 11)/; 443,444s/.*//; s/attribs\[11\]\.ulValueLen/attribs[10].ulValueLen/'
# A second C_Logout may say that nobody was logged in (5.6.9 lists it).
adapt User '179s/(.*)/(rv == CKR_USER_NOT_LOGGED_IN)/'
# DES again; last, because the lines' numbers change.
adapt Object '2366,2400d'
adapt SymmetricAlgorithm '902,909d'
# An error ends the operation (5.11.2: "a call which results in an error terminates the operation").
adapt Digest '/rv == CKR_ARGUMENTS_BAD\|rv == CKR_KEY_HANDLE_INVALID/a CRYPTOKI_F_PTR( C_DigestInit(hSession, \&mechanism) );'

# What its configure would find out; the tests are built for everything the module could have.
cat >config.h <<'END'
#define WITH_ECC 1
#define WITH_EDDSA 1
#define WITH_RAW_PSS 1
#define WITH_AES_GCM 1
#define HAVE_AES_KEY_WRAP 1
#define HAVE_AES_KEY_WRAP_PAD 1
#define HAVE_PTHREAD_H 1
#define WITH_FIPS 1
#define ROOM(length) (length = 1 << 21, (CK_BYTE_PTR)malloc(length))
END
cat >Makefile <<'END'
VPATH := $(SOURCE)/src/lib/test:$(SOURCE)/src/lib/common
CXXFLAGS := -w -O0 -include cstdlib -DP11M='getenv("P11M")' -I. -I$(SOURCE)/src/lib -I$(SOURCE)/src/lib/common \
	-I$(SOURCE)/src/lib/pkcs11 -I$(SOURCE)/src/lib/test
p11test: $(patsubst %.cpp,%.o,$(notdir $(wildcard $(SOURCE)/src/lib/test/*.cpp))) log.o osmutex.o
	g++ -o $@ $^ -lcppunit -lcrypto -ldl -lpthread
END
make -s -j2 SOURCE="$SOURCE" p11test

# The suite wants a slot without a token beside the one it uses.
[ -z "${LATCHKEY_CONF:-}" ] || echo 'show-empty-slot = yes' >>"$LATCHKEY_CONF"
# It sets SOFTHSM2_CONF to this name whatever the module is.
[ -e softhsm2.conf ] || touch softhsm2.conf

# One process a test: one that dies, hangs or forgets a forked child takes no other with it.
tests() { # CLASS::TEST, from the headers: a parameterized one has the name cppunit gives it
    local line class
    while read -r line; do
        case $line in
        *CPPUNIT_TEST_SUITE\(*) class=$(sed 's/.*(//; s/).*//' <<<"$line") ;;
        *CPPUNIT_TEST\(*) echo "$class::$(sed 's/.*(//; s/).*//' <<<"$line")" ;;
        *CPPUNIT_TEST_PARAMETERIZED*) sed -E "s/.*\((\w+), \{\"(\w+)\", \"(\w+)\"\}.*/\
$class::\1 with parameter: \2\n$class::\1 with parameter: \3/" <<<"$line" ;;
        esac
    done < <(cat "$SOURCE"/src/lib/test/*Tests.h)
}

# The first failure, as cppunit words it: "1) test: … line: N FILE", then what was asserted; else the
# sanitizer's word, or the last.
reason() {
    grep -qE '^1\) test|^SUMMARY' "$1" || { tail -n 1 "$1" && return; }
    sed -n 's|^1) test: .* line: \([0-9]*\) .*/\(.*\)|\2 \1|p; s/^- \(.*\)/\1/p; /^SUMMARY/p' "$1" | head -n 4 |
        paste -sd' '
}

export P11M=$MODULE
while read -r test; do
    name=${test/ with parameter: //} status=0 log=${test//[^A-Za-z0-9]/-}.log
    timeout --kill-after=2 60 env LD_PRELOAD="${LATCHKEY_PRELOAD:-}" ./p11test "$test" >"$log" 2>&1 </dev/null || status=$?
    case $status in
    0) result pass "$name" ;;
    1) result fail "$name" "$(reason "$log")" ;;
    124 | 137) result fail "$name" 'does not end' ;;
    *) result fail "$name" "status $status: $(reason "$log")" ;;
    esac
done < <(tests)
verdict
