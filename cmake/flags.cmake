# Warnings and hardening for every target of this tree.
add_compile_options(
    -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wmissing-prototypes -Wstrict-prototypes
    -Wpointer-arith -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wcast-align -Wnull-dereference
    -fstack-protector-strong -fno-strict-aliasing)
add_compile_definitions(_GNU_SOURCE LATCHKEY_VERSION_MAJOR=${PROJECT_VERSION_MAJOR}
                        LATCHKEY_VERSION_MINOR=${PROJECT_VERSION_MINOR}
                        LATCHKEY_VERSION="${PROJECT_VERSION}")
if(LATCHKEY_WERROR)
    add_compile_options(-Werror)
endif()
if(LATCHKEY_SANITIZE)
    add_compile_options(-fsanitize=${LATCHKEY_SANITIZE} -fno-omit-frame-pointer
                        -fno-sanitize-recover=undefined)
    add_link_options(-fsanitize=${LATCHKEY_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(LATCHKEY_COVERAGE) # else as built for use. Atomic: threads count, too; early inlining comes before the counters
    add_compile_options(-fprofile-arcs -ftest-coverage -fprofile-update=atomic -fno-early-inlining)
    add_link_options(--coverage)
endif()
if(LATCHKEY_FUZZ) # tests/fuzz/run; the targets themselves get libFuzzer's main
    add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer
                        -fno-sanitize-recover=undefined -O1)
    add_link_options(-fsanitize=address,undefined)
endif()
add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
