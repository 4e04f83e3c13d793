# embed(SOURCE VARIABLE FILE...): writes SOURCE, C code that defines `const struct embedded VARIABLE[]` (embedded.h) with
# the name and the bytes of each FILE, in the order given, and `const size_t n_VARIABLE`.
function(embed source variable)
    set(arrays "")
    set(rows "")
    set(n 0)
    foreach(file IN LISTS ARGN)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
        get_filename_component(name "${file}" NAME)
        file(READ "${file}" hex HEX)
        string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
        string(APPEND arrays "static const uint8_t file_${n}[] = {${bytes}0};\n")
        string(APPEND rows "    {\"${name}\", file_${n}, sizeof(file_${n}) - 1},\n")
        math(EXPR n "${n} + 1")
    endforeach()
    file(CONFIGURE OUTPUT "${source}" @ONLY CONTENT
        "#include \"embedded.h\"\n\n@arrays@\nconst struct embedded @variable@[] = {\n@rows@};\nconst size_t n_@variable@ = @n@;\n")
endfunction()
