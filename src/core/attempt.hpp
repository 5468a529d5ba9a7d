#pragma once

#include <filesystem>
#include <type_traits>

#include "daguerre/core/expected.hpp"

namespace daguerre {

/// What `f()` returns, or what it throws.
template <class F>
Expected<std::invoke_result_t<F>> attempt(const F& f) noexcept {
  try {
    return f();
  } catch (...) {
    return current_failure();
  }
}

/// What `f()` returns. An error of what it reads that leaves it without saying which file it is about gets
/// `file`, unless that is empty.
template <class F>
decltype(auto) naming(const std::filesystem::path& file, const F& f) {
  try {
    return f();
  } catch (const ArgumentError&) {
    throw;
  } catch (const NumericError&) {
    throw;
  } catch (const Cancelled&) {
    throw;
  } catch (Error& error) {
    error.set_path(file);
    throw;
  }
}

}  // namespace daguerre
