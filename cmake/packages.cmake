# cpack makes Debian's packages, of a build that was configured for /usr:
#
#   latchkey-pkcs11   the module, for whatever loads it. It has no maintainer script and makes no group, so it may lie
#                     beside that of another architecture (a 32-bit program's), and in an image that has its keys already.
#   latchkey          the command, with the group and the directory of the shared store: who makes tokens has it.
#
# So Debian packages OpenSC and SoftHSM, too: programs that need a module do not want its tools.
#
# Nothing is put into /etc. Without /etc/latchkey.conf each user has tokens of his own, which is the right default, and a
# file full of comments would be a conffile that asks questions at upgrades and collides with the one that
# somebody wrote already. It is in examples/ and in latchkey.conf(5).
set(doc ${CMAKE_INSTALL_DATAROOTDIR}/doc)
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

install(FILES dist/latchkey.sysusers RENAME latchkey.conf DESTINATION lib/sysusers.d COMPONENT command)
install(FILES dist/latchkey.tmpfiles RENAME latchkey.conf DESTINATION lib/tmpfiles.d COMPONENT command)
install(FILES README.md SECURITY.md DESTINATION ${doc}/latchkey COMPONENT command)
install(DIRECTORY docs DESTINATION ${doc}/latchkey COMPONENT command FILES_MATCHING PATTERN *.md PATTERN *.png)
install(FILES dist/examples/latchkey.conf DESTINATION ${doc}/latchkey-pkcs11/examples COMPONENT module)
install(FILES dist/examples/latchkey-host-keys.service dist/examples/nginx-latchkey.conf
    DESTINATION ${doc}/latchkey/examples COMPONENT command)

# What Debian wants in a package and nobody else: its own copyright file and changelog.
file(READ LICENSE license)
string(REGEX REPLACE "^.*authors\n\n" "" license "${license}")
string(REGEX REPLACE "\n$" "" license "${license}")
string(REPLACE "\n\n" "\n.\n" license "${license}")
string(REPLACE "\n" "\n " LICENSE "${license}")
configure_file(dist/debian/copyright.in ${CMAKE_BINARY_DIR}/debian/copyright @ONLY)
foreach(component IN ITEMS module command)
    set(name latchkey)
    if(component STREQUAL module)
        set(name latchkey-pkcs11)
    endif()
    install(FILES ${CMAKE_BINARY_DIR}/debian/copyright DESTINATION ${doc}/${name} COMPONENT ${component} EXCLUDE_FROM_ALL)
    install(FILES dist/debian/changelog RENAME changelog.Debian DESTINATION ${doc}/${name} COMPONENT ${component}
        EXCLUDE_FROM_ALL)
    install(FILES CHANGELOG.md RENAME changelog DESTINATION ${doc}/${name} COMPONENT ${component} EXCLUDE_FROM_ALL)
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/compress.cmake)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_SOURCE_DIR}/cmake/cpack.cmake)
set(CPACK_LATCHKEY_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_COMPONENTS_ALL module command)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
# Debian's own package, should there be one, is newer than ours, and that of the next release newer than this one's.
cmake_host_system_information(RESULT distribution QUERY DISTRIB_INFO)
set(CPACK_DEBIAN_PACKAGE_RELEASE 0upstream1~${distribution_ID}${distribution_VERSION_ID})
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_PACKAGE_CONTACT "latchkey maintainers <maintainers@latchkey.example>")

# The TCTI of a real TPM is loaded at run time, so nothing but this line asks for it.
set(CPACK_DEBIAN_MODULE_PACKAGE_NAME latchkey-pkcs11)
set(CPACK_DEBIAN_MODULE_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_MODULE_PACKAGE_MULTIARCH same) # CMake 3.31
set(CPACK_DEBIAN_MODULE_PACKAGE_DEPENDS "libtss2-tcti-device0")
set(CPACK_DEBIAN_MODULE_PACKAGE_SUGGESTS "latchkey, p11-kit, libengine-pkcs11-openssl, libtss2-tcti-tabrmd0")
set(CPACK_COMPONENT_MODULE_DESCRIPTION "PKCS#11 module whose keys live in the machine's TPM 2.0
Programs that speak PKCS#11 (OpenSSL, nginx, curl, OpenSSH, GnuTLS, NSS, Java)
use a key in the TPM as they would use one on a smart card: they can sign and
decrypt with it, and nobody can copy it. The TPM itself checks the PIN, and
answers nobody for a while after too many wrong ones.
.
This package has the module, and tells p11-kit of it.")

set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME latchkey)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_COMMAND_PACKAGE_DEPENDS
    "systemd | systemd-standalone-sysusers | systemd-sysusers, systemd | systemd-standalone-tmpfiles | systemd-tmpfiles")
set(CPACK_DEBIAN_COMMAND_PACKAGE_SUGGESTS "swtpm, swtpm-tools")
set(CPACK_DEBIAN_COMMAND_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/dist/debian/postinst ${CMAKE_SOURCE_DIR}/dist/debian/postrm)
set(CPACK_DEBIAN_COMMAND_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENT_COMMAND_DESCRIPTION "makes and examines PKCS#11 tokens and keys in the TPM 2.0
Makes tokens, keys and certificate requests for the PKCS#11 module
latchkey-pkcs11, imports keys and certificates, signs and encrypts files, is an
agent for ssh, hardens the TPM against guesses at PINs, and finds out what is
wrong between the TPM and the programs.
.
This package also makes the group latchkey and /var/lib/latchkey, the store
of keys that several users or services share.")
include(CPack)
