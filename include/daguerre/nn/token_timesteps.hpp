#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "daguerre/core/error.hpp"
#include "daguerre/core/shape.hpp"

namespace daguerre::nn {

/// The timesteps of a call, each once, and whose they are: what is made of them, embeddings and modulation,
/// is made for a few rows however many tokens there are.
struct TokenTimesteps {
  std::vector<float> times;  ///< one for each image or, where there are rows, the distinct ones
  /// For the tokens `[N, L]`, see ops::ChannelChunk; empty: those of the n-th image have the n-th of `times`.
  std::vector<std::int32_t> rows{};

  /// Of `timesteps`: one for all of the `batch`, one for each, or one for each of the `length` tokens of
  /// each. Throws ArgumentError in the name of `who` for another number of them.
  static TokenTimesteps of(std::span<const float> timesteps, Index batch, Index length, const char* who) {
    const auto count = static_cast<Index>(timesteps.size());
    if (count == 1) return {std::vector<float>(static_cast<std::size_t>(batch), timesteps.front())};
    if (count == batch) return {{timesteps.begin(), timesteps.end()}};
    if (count != batch * length)
      throw ArgumentError(who, std::to_string(count) + " timesteps for " + std::to_string(batch) +
                                   " images of " + std::to_string(length) + " tokens");
    TokenTimesteps result;
    std::map<float, std::int32_t> seen;
    for (const float time : timesteps) {
      const auto [found, is_new] = seen.try_emplace(time, static_cast<std::int32_t>(result.times.size()));
      if (is_new) result.times.push_back(time);
      result.rows.push_back(found->second);
    }
    return result;
  }
};

}  // namespace daguerre::nn
