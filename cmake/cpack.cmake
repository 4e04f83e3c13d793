# Read by cpack. The command looks for the module where it was configured to be installed.
if(NOT CPACK_LATCHKEY_PREFIX STREQUAL CPACK_PACKAGING_INSTALL_PREFIX)
    message(FATAL_ERROR "configured for ${CPACK_LATCHKEY_PREFIX}; packages want cmake -DCMAKE_INSTALL_PREFIX=/usr")
endif()
# Here, because cpack -D CPACK_DEBIAN_PACKAGE_RELEASE=... may give another release than the build's.
string(PREPEND CPACK_DEBIAN_COMMAND_PACKAGE_DEPENDS
    "latchkey-pkcs11 (= ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}), ")
