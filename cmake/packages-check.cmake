# Read by cpack: the command looks for the module where it was configured to be installed.
if(NOT CPACK_LATCHKEY_PREFIX STREQUAL CPACK_PACKAGING_INSTALL_PREFIX)
    message(FATAL_ERROR "configured for ${CPACK_LATCHKEY_PREFIX}; packages want cmake -DCMAKE_INSTALL_PREFIX=/usr")
endif()
