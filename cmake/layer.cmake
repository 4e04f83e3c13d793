# latchkey_layer(NAME SOURCES... USES layers-below... LIBS imported-targets...)
#
# One static library a layer. A layer's sources may include its own headers as
# "name.h" and those of the layers it USES as "layer/name.h"; nothing above it is
# reachable, because only include/ and generated per-layer link farms are on the
# include path. tests/layers checks the direction once more by text.
function(latchkey_layer name)
    cmake_parse_arguments(L "" "" "SOURCES;USES;LIBS" ${ARGN})
    add_library(lk_${name} STATIC ${L_SOURCES})
    set(farm ${CMAKE_BINARY_DIR}/layers/${name})
    file(MAKE_DIRECTORY ${farm})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${farm}/${name} SYMBOLIC)
    target_include_directories(lk_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include ${farm}
                               PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    foreach(below IN LISTS L_USES)
        target_link_libraries(lk_${name} PUBLIC lk_${below})
    endforeach()
    target_link_libraries(lk_${name} PUBLIC PkgConfig::P11KIT Threads::Threads ${L_LIBS})
endfunction()
