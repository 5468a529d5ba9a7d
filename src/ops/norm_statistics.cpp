#include "daguerre/ops/norm_statistics.hpp"

#include <string>

#include "daguerre/core/error.hpp"

namespace daguerre::ops {

void NormStatistics::keep() {
  calls_.clear();
  at_ = 0;
  uses_ = false;
}

void NormStatistics::use() noexcept {
  at_ = 0;
  uses_ = true;
}

std::span<NormStatistics::Group> NormStatistics::next(std::size_t groups) {
  if (!uses_) return calls_.emplace_back(groups);
  if (at_ == calls_.size() || calls_[at_].size() != groups)
    throw ArgumentError("group_norm", "norm " + std::to_string(at_) + " of " + std::to_string(groups) +
                                          " groups is none of the " + std::to_string(calls_.size()) +
                                          " whose statistics were kept");
  return calls_[at_++];
}

}  // namespace daguerre::ops
