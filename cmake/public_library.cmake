# The public headers, where the build and the installation have them in the same form, and what
# find_package and pkg-config need. What is not named here is not installed.
set(public ${PROJECT_BINARY_DIR}/include/numpool)
foreach(header numpool.hpp pools.hpp memory_resource.hpp)
    configure_file(src/numpool/${header} ${public}/${header} COPYONLY)
endforeach()
foreach(header base/error.hpp threads/lifecycle/pool_figures.hpp)
    configure_file(src/${header} ${public}/${header} COPYONLY)
endforeach()
# For extensions of Python, which get the functions at run time.
if(NUMPOOL_PYTHON)
    configure_file(src/bindings/c_api/c_api.h ${public}/c_api.h COPYONLY)
endif()
configure_file(src/numpool/version.hpp.in ${public}/version.hpp @ONLY)
target_include_directories(numpool INTERFACE $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
                                             $<INSTALL_INTERFACE:include>)

if(NOT NUMPOOL_INSTALL)
    return()
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
# In the Python package all is found from one folder, whatever the system calls it.
if(NUMPOOL_PYTHON)
    set(CMAKE_INSTALL_LIBDIR lib)
endif()
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/numpool)
install(TARGETS numpool EXPORT numpoolTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT numpoolTargets NAMESPACE numpool:: DESTINATION ${package})
install(DIRECTORY ${PROJECT_BINARY_DIR}/include/ DESTINATION include)
configure_package_config_file(cmake/numpoolConfig.cmake.in numpoolConfig.cmake
                              INSTALL_DESTINATION ${package})
# In 0.x another minor version may differ in its interface.
write_basic_package_version_file(numpoolConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/numpoolConfig.cmake
              ${PROJECT_BINARY_DIR}/numpoolConfigVersion.cmake DESTINATION ${package})
configure_file(cmake/numpool.pc.in numpool.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/numpool.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
