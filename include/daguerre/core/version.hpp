#pragma once

/// The library's version; CMake reads it from here, so this is the one place to change it.
#define DAGUERRE_VERSION_MAJOR 0
#define DAGUERRE_VERSION_MINOR 2
#define DAGUERRE_VERSION_PATCH 0

namespace daguerre {

/// The version of the compiled library as "MAJOR.MINOR.PATCH". A host that links it dynamically can compare
/// it with the macros above, which tell the version of the headers.
const char* version() noexcept;

}  // namespace daguerre
