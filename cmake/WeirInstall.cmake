# Headers, both libraries, the command, find_package(weir) and pkg-config.

include(CMakePackageConfigHelpers)

set(weir_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/weir")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/weir" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.h")
if(EXISTS "${PROJECT_SOURCE_DIR}/include/weir.h")
    install(FILES "${PROJECT_SOURCE_DIR}/include/weir.h"
            DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
endif()

# Two export sets: who links the shared library needs none of the packages below it.
install(TARGETS weir EXPORT weirTargets)
install(TARGETS weir_static EXPORT weirStaticTargets)
install(EXPORT weirTargets NAMESPACE weir:: DESTINATION "${weir_config_dir}")
install(EXPORT weirStaticTargets NAMESPACE weir:: DESTINATION "${weir_config_dir}")

# The command's target is named by the room; the file it installs is `weir`.
if(TARGET weir_command)
    install(TARGETS weir_command)
endif()

set(WEIR_CONFIG_PACKAGES "")
foreach(spec ${weir_packages})
    string(REGEX MATCH "^[^<>=]+" name "${spec}")
    string(TOUPPER "${name}" upper)
    string(MAKE_C_IDENTIFIER "${upper}" upper)
    string(APPEND WEIR_CONFIG_PACKAGES
           "    pkg_check_modules(${upper} REQUIRED IMPORTED_TARGET ${spec})\n")
endforeach()
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/weirConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/weirConfig.cmake" INSTALL_DESTINATION "${weir_config_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/weirConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/weirConfig.cmake"
              "${PROJECT_BINARY_DIR}/weirConfigVersion.cmake"
        DESTINATION "${weir_config_dir}")

list(TRANSFORM weir_packages REPLACE "([<>=]+)" " \\1 " OUTPUT_VARIABLE weir_requires)
file(RELATIVE_PATH WEIR_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" WEIR_PC_PREFIX "${WEIR_PC_PREFIX}")
list(JOIN weir_requires ", " WEIR_PC_REQUIRES_PRIVATE)
list(TRANSFORM weir_plain PREPEND "-l" OUTPUT_VARIABLE weir_libs)
list(JOIN weir_libs " " WEIR_PC_LIBS_PRIVATE)
configure_file("${PROJECT_SOURCE_DIR}/cmake/weir.pc.in" "${PROJECT_BINARY_DIR}/weir.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/weir.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
