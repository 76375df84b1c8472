# What the CMakeLists.txt of a room, of its tests and of the programs are written with.
#
#   weir_add_room(wal SOURCES append.c commit.c PACKAGES liburing>=2.3)
#   weir_add_test(wal_append SOURCES append_test.c LABELS wal LIBS weir_sim)
#   weir_add_program(weir_command OUTPUT weir SOURCES main.c PACKAGES jansson>=2.13)

find_package(PkgConfig REQUIRED)

set_property(GLOBAL PROPERTY WEIR_LIBRARY_ROOMS "")
set_property(GLOBAL PROPERTY WEIR_LIBRARY_PACKAGES "")
set_property(GLOBAL PROPERTY WEIR_LIBRARY_PLAIN "")
set_property(GLOBAL PROPERTY WEIR_ROOMS "")

# Adds the folders that exist.
macro(weir_add_rooms)
    foreach(weir_room ${ARGN})
        if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${weir_room}/CMakeLists.txt")
            add_subdirectory(${weir_room})
        endif()
    endforeach()
endmacro()

# Finds "name" or "name>=version" with pkg-config; PkgConfig::NAME is the target.
function(weir_find_package spec ret_target)
    string(REGEX MATCH "^[^<>=]+" name "${spec}")
    string(TOUPPER "${name}" upper)
    string(MAKE_C_IDENTIFIER "${upper}" upper)
    if(NOT TARGET PkgConfig::${upper})
        pkg_check_modules(${upper} REQUIRED IMPORTED_TARGET GLOBAL ${spec})
    endif()
    set(${ret_target} PkgConfig::${upper} PARENT_SCOPE)
endfunction()

# A room: the OBJECT library weir_<name>. base, pmem, iouring, wal, engine and derived become part
# of libweir; for any other see weir_add_side_room.
# PACKAGES are pkg-config modules that users of the static library have to link too, PLAIN are
# libraries that Debian ships without such a module.
function(weir_add_room name)
    cmake_parse_arguments(room "" "" "SOURCES;PACKAGES;PLAIN;LIBS" ${ARGN})
    add_library(weir_${name} OBJECT ${room_SOURCES})
    set_target_properties(weir_${name} PROPERTIES
        POSITION_INDEPENDENT_CODE ON C_EXTENSIONS OFF)
    target_link_libraries(weir_${name} PRIVATE weir_options PUBLIC ${room_LIBS})
    foreach(spec ${room_PACKAGES})
        weir_find_package(${spec} target)
        target_link_libraries(weir_${name} PRIVATE ${target})
    endforeach()
    set_property(GLOBAL APPEND PROPERTY WEIR_ROOMS ${name})
    if(name MATCHES "^(base|pmem|iouring|wal|engine|derived)$")
        set_property(GLOBAL APPEND PROPERTY WEIR_LIBRARY_ROOMS ${name})
        set_property(GLOBAL APPEND PROPERTY WEIR_LIBRARY_PACKAGES ${room_PACKAGES})
        set_property(GLOBAL APPEND PROPERTY WEIR_LIBRARY_PLAIN ${room_PLAIN})
    endif()
endfunction()

# A static library outside libweir (sim, the workloads of bench): not installed.
function(weir_add_side_room name)
    cmake_parse_arguments(room "" "" "SOURCES;PACKAGES;LIBS" ${ARGN})
    add_library(weir_${name} STATIC ${room_SOURCES})
    set_target_properties(weir_${name} PROPERTIES
        POSITION_INDEPENDENT_CODE ON C_EXTENSIONS OFF)
    target_link_libraries(weir_${name} PRIVATE weir_options PUBLIC weir_static ${room_LIBS})
    foreach(spec ${room_PACKAGES})
        weir_find_package(${spec} target)
        target_link_libraries(weir_${name} PRIVATE ${target})
    endforeach()
    set_property(GLOBAL APPEND PROPERTY WEIR_ROOMS ${name})
endfunction()

# A program linked with the static library. OUTPUT names its file where that is not the target's
# name: the target of the command is weir_command, its file is weir.
function(weir_add_program name)
    cmake_parse_arguments(program "" "OUTPUT" "SOURCES;PACKAGES;LIBS" ${ARGN})
    add_executable(${name} ${program_SOURCES})
    if(program_OUTPUT)
        set_target_properties(${name} PROPERTIES OUTPUT_NAME ${program_OUTPUT})
    endif()
    set_target_properties(${name} PROPERTIES C_EXTENSIONS OFF)
    target_link_libraries(${name} PRIVATE weir_options ${program_LIBS} weir_static)
    foreach(spec ${program_PACKAGES})
        weir_find_package(${spec} target)
        target_link_libraries(${name} PRIVATE ${target})
    endforeach()
endfunction()

# A cmocka program, one ctest of the same name. It is linked with the static library, so it sees the
# internals of every room. Its main returns 77 when it could not test what it is for.
# TIMEOUT is in seconds, 120 unless told. SERIAL keeps other tests from running beside it.
# ARGS are the program's arguments. ENVIRONMENT holds NAME=VALUE.
function(weir_add_test name)
    cmake_parse_arguments(test "SERIAL" "TIMEOUT" "SOURCES;LABELS;LIBS;PACKAGES;ARGS;ENVIRONMENT"
                          ${ARGN})
    if(NOT test_TIMEOUT)
        set(test_TIMEOUT 120)
    endif()
    weir_find_package(cmocka>=1.1.5 cmocka)
    weir_add_program(test_${name} SOURCES ${test_SOURCES} PACKAGES ${test_PACKAGES}
                     LIBS ${test_LIBS} ${cmocka})
    add_test(NAME ${name} COMMAND test_${name} ${test_ARGS})
    set_tests_properties(${name} PROPERTIES
        SKIP_RETURN_CODE 77 TIMEOUT ${test_TIMEOUT} LABELS "${test_LABELS}"
        ENVIRONMENT "${test_ENVIRONMENT}")
    if(test_SERIAL)
        set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
    endif()
endfunction()
