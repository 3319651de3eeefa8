# What the waggle headers need, found the same way when waggle is built and when an installed waggle is used.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(cppzmq)
find_dependency(tl-expected)
find_dependency(fmt)
find_dependency(nlohmann_json)

# msgpack-cxx is header-only. Its CMake package has been called msgpackc-cxx (Debian 12) and msgpack-cxx (Debian 13), and
# asks for Boost unless told otherwise, so the header is looked for instead.
if(NOT TARGET waggle::msgpack)
  find_path(WAGGLE_MSGPACK_INCLUDE_DIR msgpack.hpp)
  if(NOT WAGGLE_MSGPACK_INCLUDE_DIR)
    message(FATAL_ERROR "waggle needs msgpack.hpp: install libmsgpack-cxx-dev (Ubuntu 22.04: libmsgpack-dev)")
  endif()
  add_library(waggle::msgpack INTERFACE IMPORTED)
  set_target_properties(waggle::msgpack PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${WAGGLE_MSGPACK_INCLUDE_DIR}"
    INTERFACE_COMPILE_DEFINITIONS MSGPACK_NO_BOOST)
endif()
