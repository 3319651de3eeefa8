include(CMakePackageConfigHelpers)

install(TARGETS waggle EXPORT waggle-targets FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT waggle-targets NAMESPACE waggle:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/waggle)
file(WRITE ${PROJECT_BINARY_DIR}/waggle-config.cmake [[
include(${CMAKE_CURRENT_LIST_DIR}/waggle-dependencies.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/waggle-targets.cmake)
]])
write_basic_package_version_file(${PROJECT_BINARY_DIR}/waggle-config-version.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/waggle-config.cmake ${PROJECT_BINARY_DIR}/waggle-config-version.cmake
  tools/cmake/waggle-dependencies.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/waggle)
if(WAGGLE_PROGRAMS)
  install(TARGETS waggle_cli waggle_broker waggle_gateway RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
