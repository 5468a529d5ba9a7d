# What every target of this project has in common. Nothing is set globally, so that a host project that adds
# this one as a sub-directory keeps its own settings.
function(daguerre_target_defaults target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON
                        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU,Clang,AppleClang>:-Wall -Wextra -Wpedantic>)
  # gcc 12 warns of overlapping copies inside std::string's operator+ (its bug 105651).
  target_compile_options(${target} PRIVATE
                         $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
  # What is in an anonymous namespace is no less its file's own where several files are compiled as one.
  target_compile_options(${target} PRIVATE
                         $<$<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:$<TARGET_PROPERTY:UNITY_BUILD>>>:-Wno-subobject-linkage>)
  if(DAGUERRE_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU,Clang,AppleClang>:-Werror>)
  endif()
endfunction()

# A shared library exports what is in namespace daguerre and nothing else: no Eigen, JSON, stb, nor instantiations of
# the standard library's templates, which could be mixed up with the host's. (The pattern is in the mangled names, where
# a return type cannot be taken for a namespace.) No effect on a static library.
function(daguerre_export_own_symbols target)
  include(CheckLinkerFlag)
  set(script "${PROJECT_SOURCE_DIR}/cmake/exports.map")
  check_linker_flag(CXX "-Wl,--version-script=${script}" DAGUERRE_HAS_VERSION_SCRIPT)
  get_target_property(type ${target} TYPE)
  if(DAGUERRE_HAS_VERSION_SCRIPT AND type STREQUAL "SHARED_LIBRARY")
    target_link_options(${target} PRIVATE "-Wl,--version-script=${script}")
    set_target_properties(${target} PROPERTIES LINK_DEPENDS "${script}")
  endif()
endfunction()
