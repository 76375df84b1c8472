# How everything of this project is compiled: the target weir_options, linked privately by each
# room, test and program, so that nothing leaks into a project that embeds this one.

add_library(weir_options INTERFACE)
target_compile_features(weir_options INTERFACE c_std_17)
# Declarations of Linux come from _GNU_SOURCE; the language itself stays ISO C17.
target_compile_definitions(weir_options INTERFACE _GNU_SOURCE)
target_include_directories(weir_options INTERFACE
    "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/include")
target_compile_options(weir_options INTERFACE
    -fvisibility=hidden
    -fno-common
    # Assertions show paths inside the project, never the machine it was built on.
    "-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=")

set(WEIR_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wcast-qual -Wundef -Wvla -Wswitch-enum -Wformat=2 -Wnull-dereference
    -Wdouble-promotion)
if(PROJECT_IS_TOP_LEVEL)
    target_compile_options(weir_options INTERFACE ${WEIR_WARNINGS})
endif()
if(WEIR_WERROR)
    target_compile_options(weir_options INTERFACE -Werror)
endif()

# Instrumentation goes to everything, or the pieces would not link with each other.
if(WEIR_SANITIZE STREQUAL "address")
    add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all
                        -fno-omit-frame-pointer -U_FORTIFY_SOURCE)
    add_link_options(-fsanitize=address,undefined)
elseif(WEIR_SANITIZE STREQUAL "thread")
    add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -U_FORTIFY_SOURCE)
    add_link_options(-fsanitize=thread)
elseif(WEIR_SANITIZE)
    message(FATAL_ERROR "WEIR_SANITIZE is address, thread or empty, not '${WEIR_SANITIZE}'")
endif()
if(WEIR_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()
if(WEIR_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
