# weir-peers: each system that is installed takes part, the others are left out.

weir_add_program(weir_peers OUTPUT weir-peers
    SOURCES
        peers/append_loop.c
        peers/contest.c
        peers/job.c
        peers/kv.c
        peers/main.c
        peers/peer.c
        peers/report.c
        peers/spawn.c
        peers/weir.c
    LIBS weir_bench)

function(weir_add_peer name)
    string(TOUPPER "${name}" upper)
    target_sources(weir_peers PRIVATE peers/${name}.c)
    if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/peers/kv_${name}.c")
        target_sources(weir_peers PRIVATE peers/kv_${name}.c)
    endif()
    if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/peers/derived_${name}.c")
        target_sources(weir_peers PRIVATE peers/derived_${name}.c)
    endif()
    target_compile_definitions(weir_peers PRIVATE WEIR_PEER_${upper})
endfunction()

foreach(peer rocksdb:rocksdb lmdb:lmdb wiredtiger:wiredtiger sqlite:sqlite3 pmemlog:libpmemlog)
    string(REPLACE ":" ";" pair ${peer})
    list(GET pair 0 name)
    list(GET pair 1 module)
    string(TOUPPER "WEIR_PEER_${name}" prefix)
    pkg_check_modules(${prefix} QUIET IMPORTED_TARGET ${module})
    if(${prefix}_FOUND)
        weir_add_peer(${name})
        target_link_libraries(weir_peers PRIVATE PkgConfig::${prefix})
    else()
        find_path(${prefix}_HEADER ${name}/c.h)
        find_library(${prefix}_LIBRARY ${name})
        if(${prefix}_HEADER AND ${prefix}_LIBRARY)
            weir_add_peer(${name})
            target_link_libraries(weir_peers PRIVATE ${${prefix}_LIBRARY})
        else()
            message(STATUS "weir-peers: ${name} is not installed and takes no part")
        endif()
    endif()
endforeach()
