#include "daguerre/core/version.hpp"

#define DAGUERRE_STRINGIFY_(x) #x
#define DAGUERRE_STRINGIFY(x) DAGUERRE_STRINGIFY_(x)

namespace daguerre {

const char* version() noexcept {
  return DAGUERRE_STRINGIFY(DAGUERRE_VERSION_MAJOR) "." DAGUERRE_STRINGIFY(
      DAGUERRE_VERSION_MINOR) "." DAGUERRE_STRINGIFY(DAGUERRE_VERSION_PATCH);
}

}  // namespace daguerre
