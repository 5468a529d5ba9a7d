#pragma once

#include <string>

#include "daguerre/core/error.hpp"
#include "daguerre/ops/host_values.hpp"

namespace daguerre::models::detail {

/// How many of a prompt's `length` tokens are to be looked at, by `mask[length]`: 1 for those, which come
/// first, 0 for the padding behind them; empty: all. Throws ArgumentError, said by `who`, for another mask
/// and for none at all.
inline Index prompt_length(const Tensor<float>& mask, Index length, const char* who, Index least = 1) {
  if (mask.empty()) return length;
  Index count = 0;
  bool ended = false;
  for (const float value : ops::host_values(mask)) {
    if (value != 0.0f && ended)
      throw ArgumentError(who, "a mask that leaves out tokens before others; padding must come last");
    ended = value == 0.0f;
    count += ended ? 0 : 1;
  }
  if (mask.size() != length || count < least)
    throw ArgumentError(who, "a mask " + to_string(mask.shape()) + " with " + std::to_string(count) +
                                 " tokens to look at, of a prompt of " + std::to_string(length));
  return count;
}

}  // namespace daguerre::models::detail
