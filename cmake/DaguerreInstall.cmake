# The installed package: for CMake, find_package(daguerre) and daguerre::daguerre; for others, daguerre.pc.
include(CMakePackageConfigHelpers)

get_target_property(DAGUERRE_TYPE daguerre TYPE)
set(DAGUERRE_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/daguerre")
set(DAGUERRE_STAGE "${PROJECT_BINARY_DIR}/package")

install(TARGETS daguerre EXPORT daguerreTargets
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/daguerre" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp")
install(EXPORT daguerreTargets NAMESPACE daguerre:: DESTINATION "${DAGUERRE_PACKAGE_DIR}")

# What a program has to link besides a static libdaguerre.
set(DAGUERRE_NEEDS_THREADS OFF)
set(DAGUERRE_NEEDS_OPENMP OFF)
set(DAGUERRE_NEEDS_ONEDNN OFF)
set(DAGUERRE_PC_LIBS "")
foreach(library WebP TIFF LibAV)
  set(DAGUERRE_NEEDS_${library} OFF)
endforeach()
if(DAGUERRE_TYPE STREQUAL "STATIC_LIBRARY")
  set(DAGUERRE_NEEDS_THREADS ON)
  list(APPEND DAGUERRE_PC_LIBS -pthread)
  if(OpenMP_CXX_FOUND)
    set(DAGUERRE_NEEDS_OPENMP ON)
    list(APPEND DAGUERRE_PC_LIBS ${OpenMP_CXX_FLAGS})
  endif()
  if(OneDNN_FOUND)
    set(DAGUERRE_NEEDS_ONEDNN ON)
    get_filename_component(folder "${OneDNN_LIBRARY}" DIRECTORY)
    if(NOT folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
      list(APPEND DAGUERRE_PC_LIBS "-L${folder}")
    endif()
    list(APPEND DAGUERRE_PC_LIBS -ldnnl)
    install(FILES "${PROJECT_SOURCE_DIR}/cmake/FindOneDNN.cmake" DESTINATION "${DAGUERRE_PACKAGE_DIR}")
  endif()
  foreach(library WebP TIFF)
    if(${library}_FOUND)
      set(DAGUERRE_NEEDS_${library} ON)
      string(TOLOWER ${library} name)
      list(APPEND DAGUERRE_PC_LIBS -l${name})
    endif()
  endforeach()
  if(LibAV_FOUND)
    set(DAGUERRE_NEEDS_LibAV ON)
    list(APPEND DAGUERRE_PC_LIBS -lavformat -lavcodec -lswscale -lavutil)
  endif()
  foreach(library WebP LibAV)
    if(${library}_FOUND)
      install(FILES "${PROJECT_SOURCE_DIR}/cmake/Find${library}.cmake" DESTINATION "${DAGUERRE_PACKAGE_DIR}")
    endif()
  endforeach()
endif()
list(JOIN DAGUERRE_PC_LIBS " " DAGUERRE_PC_LIBS)

if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(DAGUERRE_COMPATIBILITY SameMinorVersion)
else()
  set(DAGUERRE_COMPATIBILITY SameMajorVersion)
endif()
write_basic_package_version_file("${DAGUERRE_STAGE}/daguerreConfigVersion.cmake" VERSION ${PROJECT_VERSION}
                                 COMPATIBILITY ${DAGUERRE_COMPATIBILITY})
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/daguerreConfig.cmake.in"
                              "${DAGUERRE_STAGE}/daguerreConfig.cmake" INSTALL_DESTINATION "${DAGUERRE_PACKAGE_DIR}"
                              NO_SET_AND_CHECK_MACRO)
install(FILES "${DAGUERRE_STAGE}/daguerreConfig.cmake" "${DAGUERRE_STAGE}/daguerreConfigVersion.cmake"
        DESTINATION "${DAGUERRE_PACKAGE_DIR}")

# The prefix is told from where the file lies, so that `cmake --install --prefix` and moved folders work.
file(RELATIVE_PATH DAGUERRE_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" DAGUERRE_PC_PREFIX "${DAGUERRE_PC_PREFIX}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/daguerre.pc.in" "${DAGUERRE_STAGE}/daguerre.pc" @ONLY)
install(FILES "${DAGUERRE_STAGE}/daguerre.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
