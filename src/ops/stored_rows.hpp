#pragma once

#include <span>

#include "daguerre/ops/weight_source.hpp"

namespace daguerre::ops {

template <>
const WeightSource* Weight::elements<WeightSource>() const noexcept;

inline std::span<const WeightSource> sources_of(const Weight& weight) noexcept {
  const auto* const first = weight.elements<WeightSource>();
  std::size_t count = 0;
  for (Index rows = 0; rows < weight.rows(); ++count) rows += first[count].shape[0];
  return {first, count};
}

}  // namespace daguerre::ops
