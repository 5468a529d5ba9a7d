#include <Eigen/Core>

#include "daguerre/ops/engine.hpp"
#include "ops/kernels.hpp"

#ifdef DAGUERRE_HAS_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif

namespace daguerre::ops {
namespace {

template <class... Numbers>
std::string dotted(Numbers... numbers) {
  std::string result;
  ((result += (result.empty() ? "" : ".") + std::to_string(numbers)), ...);
  return result;
}

}  // namespace

std::string engine_version(std::string_view name) {
#ifdef DAGUERRE_HAS_ONEDNN
  if (make_engine(name)->name() == "onednn") {
    const auto* version = dnnl_version();
    return dotted(version->major, version->minor, version->patch);
  }
#else
  make_engine(name);  // throws for a name that is not known
#endif
  return dotted(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION);
}

std::string_view instruction_set() noexcept {
  return kernels::active().instruction_set;
}

}  // namespace daguerre::ops
