# Read by cpack before it packs: manual pages and changelogs are compressed in a package, the same on every machine (-n).
file(GLOB_RECURSE files ${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/man/*.[157] ${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/doc/changelog*)
foreach(file IN LISTS files)
    execute_process(COMMAND gzip -9n ${file} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
