# libweir from its rooms: `weir` (shared, only weir_* visible) and `weir_static`.

get_property(weir_rooms GLOBAL PROPERTY WEIR_LIBRARY_ROOMS)
get_property(weir_packages GLOBAL PROPERTY WEIR_LIBRARY_PACKAGES)
get_property(weir_plain GLOBAL PROPERTY WEIR_LIBRARY_PLAIN)
list(REMOVE_DUPLICATES weir_packages)

find_package(Threads REQUIRED)

add_library(weir SHARED)
add_library(weir_static STATIC)
add_library(weir::weir ALIAS weir)
add_library(weir::weir_static ALIAS weir_static)

foreach(room ${weir_rooms})
    target_sources(weir PRIVATE $<TARGET_OBJECTS:weir_${room}>)
    target_sources(weir_static PRIVATE $<TARGET_OBJECTS:weir_${room}>)
endforeach()
foreach(spec ${weir_packages})
    weir_find_package(${spec} target)
    target_link_libraries(weir PRIVATE ${target})
    target_link_libraries(weir_static PRIVATE ${target})
endforeach()
target_link_libraries(weir PRIVATE ${weir_plain} Threads::Threads)
target_link_libraries(weir_static PRIVATE ${weir_plain} Threads::Threads)

set(weir_map "${PROJECT_SOURCE_DIR}/cmake/weir.map")
target_link_options(weir PRIVATE "LINKER:--version-script=${weir_map}")
if(NOT WEIR_SANITIZE)
    target_link_options(weir PRIVATE "LINKER:--no-undefined")
endif()
set_target_properties(weir PROPERTIES
    LINK_DEPENDS "${weir_map}"
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}
    LINKER_LANGUAGE C)
set_target_properties(weir_static PROPERTIES
    OUTPUT_NAME weir
    LINKER_LANGUAGE C)

foreach(target weir weir_static)
    target_include_directories(${target} INTERFACE
        "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
        "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
endforeach()
