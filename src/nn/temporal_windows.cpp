#include "daguerre/nn/temporal_windows.hpp"

#include <algorithm>
#include <string>

namespace daguerre::nn {
namespace {

std::vector<float> window_weights(TemporalWindows::Weights kind, Index length) {
  std::vector<float> result(static_cast<std::size_t>(length), 1.0f);
  const Index middle = (length + 1) / 2;
  for (Index i = 0; i < length; ++i) {
    auto& weight = result[static_cast<std::size_t>(i)];
    if (kind == TemporalWindows::Weights::pyramid) weight = static_cast<float>(std::min(i + 1, length - i));
    if (kind != TemporalWindows::Weights::sawtooth) continue;
    // Of an even number of frames the two in the middle have the same.
    const bool rises = length % 2 == 0 ? i + 1 < middle : i < middle;
    weight = rises ? 0.01f : static_cast<float>(i < middle ? middle : length - i);
  }
  return result;
}

}  // namespace

std::vector<TemporalWindow> temporal_windows(const TemporalWindows& options, Index frames) {
  const Index length = options.length;
  if (options.stride < 1 || options.stride > length)
    throw ArgumentError("temporal_windows", "windows of " + std::to_string(length) + " frames every " +
                                                std::to_string(options.stride) +
                                                ": the stride must be from 1 to the length");
  if (frames <= length) return {{0, 0, std::vector<float>(static_cast<std::size_t>(frames), 1.0f)}};

  const auto weights = window_weights(options.weights, length);
  std::vector<float> totals(static_cast<std::size_t>(frames), 0.0f);
  std::vector<TemporalWindow> windows;
  const auto add = [&](Index begin, Index first) {
    for (Index i = first; i < length; ++i)
      totals[static_cast<std::size_t>(begin + i)] += weights[static_cast<std::size_t>(first > 0 ? first : i)];
    windows.push_back({begin, first, weights});
  };
  for (Index begin = 0; begin + length <= frames; begin += options.stride) add(begin, 0);
  const Index end = windows.back().begin + length;
  if (end < frames) add(frames - length, end - (frames - length));
  for (auto& window : windows)
    for (Index i = window.first; i < length; ++i)
      window.shares[static_cast<std::size_t>(i)] /= totals[static_cast<std::size_t>(window.begin + i)];
  return windows;
}

}  // namespace daguerre::nn
