#!/bin/bash
# The tests of SoftHSM's own PKCS#11 interface, which its README builds for "another p11 module": from
# Debian's source package, one check a test.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need pkcs11-tool g++ make swtpm
[ -e /usr/include/cppunit/TestFixture.h ] || skip 'libcppunit-dev is not installed'
world
debian_source s/softhsm2/softhsm2_2.6.1.orig.tar.gz \
    ac9ac1e3f4402f88bf3e626a18f070f8031c031947ed469c6e17482495ec72b6

# What its configure would find out; the tests are built for everything the module could have.
cat >config.h <<'END'
#define WITH_ECC 1
#define WITH_EDDSA 1
#define WITH_RAW_PSS 1
#define WITH_AES_GCM 1
#define HAVE_AES_KEY_WRAP_PAD 1
#define HAVE_PTHREAD_H 1
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

# The first failure, as cppunit words it: "1) test: … line: N FILE", then what was asserted.
reason() {
    sed -n 's|^1) test: .* line: \([0-9]*\) .*/\(.*\)|\2 \1|p; s/^- \(.*\)/\1/p' "$1" | head -n 4 | paste -sd' '
}

export P11M=$MODULE
while read -r test; do
    name=${test/ with parameter: //} status=0
    timeout --kill-after=2 60 ./p11test "$test" >test.log 2>&1 </dev/null || status=$?
    case $status in
    0) result pass "$name" ;;
    1) result fail "$name" "$(reason test.log)" ;;
    124 | 137) result fail "$name" 'does not end' ;;
    *) result fail "$name" "status $status: $(tail -n 1 test.log)" ;;
    esac
done < <(tests)
verdict
